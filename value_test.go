package singleflight_test

import (
	"errors"
	"fmt"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight"
)

// largestValue is the size of the largest values, in bytes: Go has no channels
// of elements of 64 kB, and a Result holds more than the value.
const largestValue = 65_504

func TestLargestValueFitsAChannelOnEveryPlatform(t *testing.T) {
	// The elements of a channel are smaller than 64 kB. A Result is laid out as this struct.
	result := func(size int64) types.Type {
		field := func(name string, of types.Type) *types.Var { return types.NewField(0, nil, name, of, false) }
		return types.NewStruct([]*types.Var{
			field("Val", types.NewArray(types.Typ[types.Byte], size)),
			field("Err", types.Universe.Lookup("error").Type()),
			field("Shared", types.Typ[types.Bool]),
			field("Leader", types.Typ[types.Bool]),
		}, nil)
	}
	for _, arch := range []string{"amd64", "arm64", "386", "arm", "wasm"} {
		sizes := types.SizesFor("gc", arch)
		if n := sizes.Sizeof(result(largestValue)); n >= 1<<16 {
			t.Errorf("%s: the Result takes %d bytes", arch, n)
		}
		if n := sizes.Sizeof(result(largestValue + 1)); arch == "amd64" && n < 1<<16 {
			t.Errorf("%s: a Result of a larger value takes %d bytes: the limit is too low", arch, n)
		}
	}
}

func TestLargestValueIsUsed(t *testing.T) {
	var g singleflight.Group[string, [largestValue]byte]
	v, err, _ := g.Do("key", func() (v [largestValue]byte, err error) { v[largestValue-1] = 1; return v, nil })
	if v[largestValue-1] != 1 || err != nil {
		t.Errorf("got %v, %v", v[largestValue-1], err)
	}
	if r := <-g.DoChan("key", constant([largestValue]byte{2})); r.Val[0] != 2 || r.Err != nil {
		t.Errorf("DoChan got %v, %v", r.Val[0], r.Err)
	}
}

func TestLargerValueDoesNotCompile(t *testing.T) {
	// The documents name the limit.
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir := t.TempDir()
	root, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, contents string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(contents), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("go.mod", "module example.com/values\n\ngo 1.26\n\nrequire github.com/seed-737f55c4/singleflight v0.0.0\n\nreplace github.com/seed-737f55c4/singleflight => "+root+"\n")
	for size, compiles := range map[int]bool{largestValue: true, largestValue + 1: false} {
		write("main.go", fmt.Sprintf(`package main

import "github.com/seed-737f55c4/singleflight"

func main() {
	var g singleflight.Group[string, [%d]byte]
	g.Do("key", func() (v [%d]byte, err error) { return })
	println("done")
}
`, size, size))
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "program"), ".")
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOARCH=amd64", "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Skip(err)
		}
		t.Logf("%d bytes: %s", size, out)
		if (err == nil) != compiles {
			t.Errorf("values of %d bytes compile: %v, want %v", size, err == nil, compiles)
		}
		if !compiles && !strings.Contains(string(out), "64kB") {
			t.Errorf("the compiler doesn't tell why")
		}
	}
}
