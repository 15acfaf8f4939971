package singleflight_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	testName     = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w*`)
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
)

// The tests that docs/reliability.md names are there. What begins the names of
// some, for -run, counts as a name.
func TestReliabilityNamesTests(t *testing.T) {
	var tests []string
	for _, pattern := range []string{"*_test.go", "internal/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			for _, match := range testFunction.FindAllStringSubmatch(read(t, file), -1) {
				tests = append(tests, match[1])
			}
		}
	}
	for _, name := range testName.FindAllString(read(t, "docs/reliability.md"), -1) {
		if !slices.ContainsFunc(tests, func(test string) bool { return strings.HasPrefix(test, name) }) {
			t.Errorf("docs/reliability.md names %s, which isn't there", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	contents, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(contents)
}
