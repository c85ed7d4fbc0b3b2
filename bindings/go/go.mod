module ftlib

go 1.19
