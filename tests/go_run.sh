#!/bin/sh
# go_run.sh MODULE PACKAGE ARGUMENT...: `go run` of 1.19 looks for the module in the working folder only.
module=$1
shift
cd "$module" && exec go run "$@"
