// SPDX-License-Identifier: Apache-2.0

//go:build ftlib_layout

package ftlib

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// golden has the lines of the golden file of these kinds, of each so many words.
func golden(t *testing.T, words map[string]int) (lines []string) {
	files, err := filepath.Glob("../../capi/abi/*.layout")
	must(t, err)
	text, err := os.ReadFile(files[len(files)-1])
	must(t, err)
	for _, line := range strings.Split(string(text), "\n") {
		all := strings.Split(line, " ")
		if n := words[all[0]]; n > 0 {
			lines = append(lines, strings.Join(all[:n], " "))
		}
	}
	return lines
}

func TestStructsAndNumbersAreThoseOfTheGoldenLayout(t *testing.T) {
	want := golden(t, map[string]int{"constant": 3, "enum": 4, "struct": 4, "field": 5})
	have := layout()
	check(t, len(want) > 200 && len(have) == len(want), "as many facts")
	for i := range want {
		check(t, have[i] == want[i], have[i]+", golden: "+want[i])
	}
}

func TestTheLibraryIsOfTheGoldenABI(t *testing.T) {
	want := golden(t, map[string]int{"constant": 3})[0]
	have := fmt.Sprintf("constant FT_ABI_VERSION %d", ABIVersion())
	check(t, have == want, have+", golden: "+want)
}

func TestEveryFunctionOfTheLibraryIsCalled(t *testing.T) {
	files, err := filepath.Glob("*.go")
	must(t, err)
	var sources strings.Builder
	for _, file := range files {
		if file == "layout.go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		must(t, err)
		sources.Write(text)
	}
	calls := map[string]bool{}
	for _, call := range regexp.MustCompile(`\bft_\w+\(`).FindAllString(sources.String(), -1) {
		calls[strings.TrimSuffix(call, "(")] = true
	}
	functions := golden(t, map[string]int{"function": 2})
	check(t, len(functions) > 80, "the functions of the golden file")
	for _, function := range functions {
		name := strings.TrimPrefix(function, "function ")
		check(t, calls[name], name+" is not called: this binding lacks it")
	}
}
