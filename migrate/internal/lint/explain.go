package lint

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

// The pages of the checks, each a file with the check's name. The first line
// says what the check is about.
//
//go:embed pages/*.txt
var pages embed.FS

var names = []string{"leaderctx", "captured", "assert", "key", "request", "alias", "forget", "reentry", "unread", "shared"}

// Names returns the names of the checks.
func Names() []string { return slices.Clone(names) }

// Summary is a line for each check.
func Summary() string {
	var b strings.Builder
	for _, name := range names {
		first, _, _ := strings.Cut(page(name), "\n")
		fmt.Fprintf(&b, "\t%-10s %s\n", name, first)
	}
	return b.String()
}

// Explain returns the page of a check, or all pages for "all".
func Explain(name string) (text string, ok bool) {
	if name == "all" {
		var all []string
		for _, name := range names {
			all = append(all, name+": "+page(name))
		}
		return strings.Join(all, "\n\n"), true
	}
	if !slices.Contains(names, name) {
		return "", false
	}
	return name + ": " + page(name), true
}

func page(name string) string {
	contents, err := pages.ReadFile("pages/" + name + ".txt")
	if err != nil {
		panic(err) // it isn't embedded
	}
	return string(contents)
}
