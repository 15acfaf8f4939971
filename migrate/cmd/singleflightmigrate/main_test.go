package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program is a tool of go vet and of go fix.
func TestAsTool(t *testing.T) {
	tool := filepath.Join(t.TempDir(), "singleflightmigrate.exe")
	if out, err := exec.Command("go", "build", "-o", tool, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, test := range []struct {
		args []string
		want string
		not  string
	}{
		{[]string{"vet", "-vettool=" + tool, "./testdata/lint/unread"}, "nobody reads the channel", "becomes"},
		{[]string{"vet", "-vettool=" + tool, "-singleflighttypes", "./testdata/types/renamed"}, "becomes github.com/seed-737f55c4/singleflight", ""},
		{[]string{"fix", "-fixtool=" + tool, "-diff", "./testdata/types/renamed"}, "+\tg sf.Group[string, any]", ""},
	} {
		cmd := exec.Command("go", test.args...)
		cmd.Dir = filepath.Join("..", "..")
		out, _ := cmd.CombinedOutput() // vet fails when it has something to say
		if !strings.Contains(string(out), test.want) || test.not != "" && strings.Contains(string(out), test.not) {
			t.Errorf("go %s: got\n%s\nwant %q", strings.Join(test.args, " "), out, test.want)
		}
	}
}
