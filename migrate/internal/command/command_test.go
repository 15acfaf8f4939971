package command

import (
	"bytes"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var large = flag.Bool("large", false, "run the tests that take minutes too")

var update = flag.Bool("update", false, "write what the archives want anew")

// Each archive in testdata is a module, with the arguments of the command in its
// comment, and what is wanted of it: the output, the exit status, and the files
// that are then there and weren't, or are others.
func TestCommand(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal(archives, err)
	}
	for _, name := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			run(t, name, archive)
		})
	}
}

func run(t *testing.T, name string, archive *txtar.Archive) {
	if strings.Contains("\n"+string(archive.Comment), "\nlarge\n") && !*large {
		t.Skip("this takes minutes: -large")
	}
	dir, before := unpack(t, archive)
	var got bytes.Buffer
	for line := range strings.Lines(string(archive.Comment)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || fields[0] == "#":
			continue
		case fields[0] == "large":
			continue
		case fields[0] == "env":
			name, value, _ := strings.Cut(fields[1], "=")
			t.Setenv(name, value)
			continue
		case fields[0] == "readonly":
			if err := os.Chmod(filepath.Join(dir, fields[1]), 0o444); err != nil {
				t.Fatal(err)
			}
			continue
		case fields[0] == "go":
			cmd := exec.Command("go", fields[1:]...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s%v\n%s", line, err, out)
			}
			continue
		}
		var out bytes.Buffer
		status := Main(dir, fields[1:], &out, &out)
		got.WriteString("> " + line)
		got.WriteString(clean(out.String(), dir))
		got.WriteString("exit status " + string(rune('0'+status)) + "\n")
	}
	files := []txtar.File{{Name: "want/output", Data: got.Bytes()}}
	for _, f := range contents(t, dir) {
		if string(before[f.Name]) != string(f.Data) {
			files = append(files, txtar.File{Name: "want/" + f.Name, Data: f.Data})
		}
	}
	var want []txtar.File
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") {
			want = append(want, f)
		}
	}
	if *update {
		var kept []txtar.File
		for _, f := range archive.Files {
			if !strings.HasPrefix(f.Name, "want/") {
				kept = append(kept, f)
			}
		}
		archive.Files = append(kept, files...)
		if err := os.WriteFile(name, txtar.Format(archive), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	gotText := string(txtar.Format(&txtar.Archive{Files: files}))
	if wantText := string(txtar.Format(&txtar.Archive{Files: want})); gotText != wantText {
		t.Errorf("got\n%s\nwant\n%s", gotText, wantText)
	}
}

// clean removes from output what differs from machine to machine.
func clean(out, dir string) string {
	root, _ := filepath.Abs("../../..")
	out = strings.ReplaceAll(out, dir, "$DIR")
	return strings.ReplaceAll(out, root, "$ROOT")
}

// unpack writes the module, and gives its go.mod the requirements that can be
// had without a network.
func unpack(t *testing.T, archive *txtar.Archive) (dir string, before map[string][]byte) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOWORK", "off")
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "-buildvcs=false")
	for _, f := range archive.Files {
		if strings.HasPrefix(f.Name, "want/") {
			continue
		}
		name := filepath.Join(dir, f.Name)
		data := bytes.Clone(f.Data)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) == "go.mod" && !bytes.Contains(data, []byte("as it is")) {
			root, err := filepath.Abs("../../..")
			if err != nil {
				t.Fatal(err)
			}
			data = append(data, "\nreplace github.com/seed-737f55c4/singleflight => "+root+"\n"...)
			sum, err := os.ReadFile("../../go.sum")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(filepath.Dir(name), "go.sum"), only(sum, data), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	before = map[string][]byte{}
	for _, f := range contents(t, dir) {
		before[f.Name] = f.Data
	}
	return dir, before
}

// only returns the lines of a go.sum for the modules that a go.mod names.
func only(sum, mod []byte) (lines []byte) {
	for line := range strings.Lines(string(sum)) {
		if path, _, _ := strings.Cut(line, " "); strings.Contains(string(mod), path+" v") {
			lines = append(lines, line...)
		}
	}
	return lines
}

// contents returns the files of a module, but for go.sum, and with a go.mod that
// names no path of this machine.
func contents(t *testing.T, dir string) (files []txtar.File) {
	root, _ := filepath.Abs("../../..")
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "go.sum" {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		data = bytes.ReplaceAll(data, []byte(root), []byte("$ROOT"))
		files = append(files, txtar.File{Name: filepath.ToSlash(rel), Data: data})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
