package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A tree is a copy of the module, in which mutants are made one after another.
type tree struct {
	module  string // the folder of the original
	dir     string
	subject []string // the files whose tests are in the subject folder
}

// copyModule copies the module's files to a new folder, but for modules below
// it, and for this package: its test finds that a mutant isn't the module.
func copyModule(module string) (*tree, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	t := &tree{module: module, dir: dir}
	if err := t.copy(); err != nil {
		t.remove()
		return nil, err
	}
	return t, nil
}

func (t *tree) copy() error {
	return filepath.WalkDir(t.module, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(t.module, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && skipped(t.module, name):
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(t.dir, name), 0o777)
		case !entry.Type().IsRegular():
			return nil
		}
		contents, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return t.write(name, string(contents))
	})
}

// skipped reports whether a folder of the module isn't copied.
func skipped(module, name string) bool {
	if name == "." {
		return false
	}
	if strings.HasPrefix(filepath.Base(name), ".") || filepath.ToSlash(name) == "internal/mutants" {
		return true
	}
	_, err := os.Stat(filepath.Join(module, name, "go.mod"))
	return err == nil
}

func (t *tree) read(file string) (string, error) {
	contents, err := os.ReadFile(filepath.Join(t.dir, filepath.FromSlash(file)))
	return string(contents), err
}

func (t *tree) write(file, contents string) error {
	return os.WriteFile(filepath.Join(t.dir, filepath.FromSlash(file)), []byte(contents), 0o666)
}

// become makes the tree the mutant, and returns how to undo that.
func (t *tree) become(m mutant) (undo func() error, err error) {
	mutated, err := m.mutate(t.read)
	if err != nil {
		return nil, err
	}
	sources := make(map[string]string)
	for file := range mutated {
		if sources[file], err = t.read(file); err != nil {
			return nil, err
		}
	}
	return func() error { return t.writeAll(sources) }, t.writeAll(mutated)
}

func (t *tree) writeAll(files map[string]string) error {
	for file, contents := range files {
		if err := t.write(file, contents); err != nil {
			return err
		}
	}
	return nil
}

func (t *tree) remove() { os.RemoveAll(t.dir) }
