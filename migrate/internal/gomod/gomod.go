// Package gomod changes the go.mod of a module, in a copy until all is well.
package gomod

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/semver"

	"github.com/seed-737f55c4/singleflight/migrate/internal/flight"
	"github.com/seed-737f55c4/singleflight/migrate/internal/program"
)

// A Module is the main module, with a copy of its go.mod and go.sum.
type Module struct {
	Root  string
	dir   string // of the command
	copy  string // the folder of the copies
	wasGo string
}

// Open finds the main module of a folder. It fails where there is none, or it
// is one of several of a workspace, or the packages that it needs are vendored.
// Close removes what it made.
func Open(dir string) (*Module, error) {
	out, err := goCommand(dir, "env", "-json", "GOMOD", "GOWORK", "GOFLAGS")
	if err != nil {
		return nil, err
	}
	var env struct{ GOMOD, GOWORK, GOFLAGS string }
	if err := json.Unmarshal(out, &env); err != nil {
		return nil, err
	}
	if env.GOMOD == "" || env.GOMOD == os.DevNull || env.GOMOD == "NUL" {
		return nil, errors.New("no go.mod here or above: this works on modules")
	}
	m := &Module{Root: filepath.Dir(env.GOMOD), dir: dir}
	if env.GOWORK != "" && env.GOWORK != "off" {
		return nil, fmt.Errorf("%s makes this a part of a workspace, where the go.mod to change isn't clear: run this with GOWORK=off in each module", env.GOWORK)
	}
	vendored := filepath.Join(m.Root, "vendor", "modules.txt")
	if _, err := os.Stat(vendored); err == nil && !strings.Contains(env.GOFLAGS, "-mod=mod") && !strings.Contains(env.GOFLAGS, "-mod=readonly") {
		return nil, fmt.Errorf("%s: the module's requirements are vendored, and a new one isn't: run this with GOFLAGS=-mod=mod, and go mod vendor after it", vendored)
	}
	if m.copy, err = os.MkdirTemp("", "singleflightmigrate"); err != nil {
		return nil, err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		contents, err := os.ReadFile(filepath.Join(m.Root, name))
		if name == "go.sum" && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(m.copy, name), contents, 0o666)
		}
		if err != nil {
			m.Close()
			return nil, err
		}
	}
	return m, nil
}

// Close removes the copies.
func (m *Module) Close() { os.RemoveAll(m.copy) }

// Flags are those with which the go command uses the copy.
func (m *Module) Flags() []string { return []string{"-modfile=" + filepath.Join(m.copy, "go.mod")} }

// Require adds the requirement of this project's module to the copy, unless it
// is there.
func (m *Module) Require(version string) error {
	file, err := m.parse()
	if err != nil {
		return err
	}
	if file.Go != nil {
		m.wasGo = file.Go.Version
	}
	if file.Module.Mod.Path == flight.Path || slices.ContainsFunc(file.Require, func(r *modfile.Require) bool { return r.Mod.Path == flight.Path }) {
		return nil
	}
	if slices.ContainsFunc(file.Replace, func(r *modfile.Replace) bool { return r.Old.Path == flight.Path }) {
		version = "v0.0.0-00010101000000-000000000000" // of what a folder replaces
	}
	if _, err := m.run("get", flight.Path+"@"+version); err != nil {
		return err
	}
	return m.direct()
}

// direct removes the comment that go get writes, since nothing imported the
// package yet.
func (m *Module) direct() error {
	file, err := m.parse()
	if err != nil {
		return err
	}
	for _, r := range file.Require {
		if r.Mod.Path == flight.Path && r.Indirect {
			version := r.Mod.Version
			if err := file.DropRequire(flight.Path); err != nil {
				return err
			}
			file.Cleanup()
			file.AddNewRequire(flight.Path, version, false)
			break
		}
	}
	file.SetRequireSeparateIndirect(file.Require)
	file.Cleanup()
	contents, err := file.Format()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.copy, "go.mod"), contents, 0o666)
}

// Tidy drops from the copy what the changed files don't need any more, if the
// module was tidy before. It says what is left to do by hand, if anything.
func (m *Module) Tidy(changes []program.Change) (left string) {
	if _, err := goCommand(m.dir, "mod", "tidy", "-diff"); err != nil {
		return "go.mod wasn't tidy before, and is only added to: run go mod tidy"
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for i, change := range changes {
		name := filepath.Join(m.copy, fmt.Sprintf("%d.go.txt", i))
		if err := os.WriteFile(name, change.After, 0o666); err != nil {
			return err.Error()
		}
		overlay.Replace[change.Name] = name
	}
	contents, err := json.Marshal(overlay)
	if err != nil {
		return err.Error()
	}
	overlayName := filepath.Join(m.copy, "overlay.json")
	if err := os.WriteFile(overlayName, contents, 0o666); err != nil {
		return err.Error()
	}
	if _, err := m.run("mod", "tidy", "-overlay="+overlayName); err != nil {
		return "run go mod tidy: it failed here: " + err.Error()
	}
	return ""
}

// Changes returns what the copies have that go.mod and go.sum don't.
func (m *Module) Changes() (changes []program.Change, err error) {
	for _, name := range []string{"go.mod", "go.sum"} {
		after, err := os.ReadFile(filepath.Join(m.copy, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		original := filepath.Join(m.Root, name)
		before, err := os.ReadFile(original)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if !bytes.Equal(before, after) {
			changes = append(changes, program.Change{Name: original, Before: before, After: after})
		}
	}
	return changes, nil
}

// Raised says what it means that the module's Go version has gone up, or "".
func (m *Module) Raised() string {
	file, err := m.parse()
	if err != nil || file.Go == nil || file.Go.Version == m.wasGo {
		return ""
	}
	was := m.wasGo
	if was == "" {
		was = "1.16"
	}
	text := fmt.Sprintf("the go line goes from %s to %s, which the requirement needs", was, file.Go.Version)
	if semver.Compare("v"+was, "v1.22.0") < 0 {
		text += "; since 1.22 each round of a for loop has its own variables (go.dev/blog/loopvar-preview), in all of the module"
	}
	return text
}

// Packages returns the import paths of the module's packages.
func (m *Module) Packages() ([]string, error) {
	out, err := goCommand(m.Root, "list", "-e", "./...")
	return strings.Fields(string(out)), err
}

// Name is the path of go.mod.
func (m *Module) Name() string { return filepath.Join(m.Root, "go.mod") }

func (m *Module) parse() (*modfile.File, error) {
	name := filepath.Join(m.copy, "go.mod")
	contents, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return modfile.Parse(name, contents, nil)
}

// run runs a go command on the copy.
func (m *Module) run(args ...string) ([]byte, error) {
	words := 1
	if args[0] == "mod" {
		words = 2
	}
	return goCommand(m.dir, slices.Insert(slices.Clone(args), words, m.Flags()...)...)
}

func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(problems.Bytes()))
	}
	return out.Bytes(), nil
}
