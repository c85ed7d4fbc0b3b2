// SPDX-License-Identifier: Apache-2.0

//go:build ftlib_layout

package ftlib

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestStructsAndNumbersAreThoseOfTheGoldenLayout(t *testing.T) {
	files, err := filepath.Glob("../../capi/abi/*.layout")
	must(t, err)
	golden, err := os.ReadFile(files[len(files)-1])
	must(t, err)
	fields := map[string]int{"constant": 3, "enum": 4, "struct": 4, "field": 5}
	var want []string
	for _, line := range strings.Split(string(golden), "\n") {
		words := strings.Split(line, " ")
		if n := fields[words[0]]; n > 0 {
			want = append(want, strings.Join(words[:n], " "))
		}
	}
	have := layout()
	check(t, len(want) > 200 && len(have) == len(want), "as many facts")
	for i := range want {
		check(t, have[i] == want[i], have[i]+", golden: "+want[i])
	}
}
