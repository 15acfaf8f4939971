package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		output string
		want   verdict
	}{
		{"all pass", `
			{"Action":"start","Package":"p"}
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"pass","Package":"p","Test":"TestA"}
			{"Action":"output","Package":"p","Output":"ok  \tp\n"}
			{"Action":"pass","Package":"p"}`,
			verdict{}},
		{"a test fails", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"run","Package":"p","Test":"TestA/sub"}
			{"Action":"fail","Package":"p","Test":"TestA/sub"}
			{"Action":"fail","Package":"p","Test":"TestA"}
			{"Action":"fail","Package":"p"}`,
			verdict{killed: true, by: "TestA"}},
		{"a test hangs", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"pass","Package":"p","Test":"TestA"}
			{"Action":"run","Package":"p","Test":"TestB"}
			{"Action":"output","Package":"p","Test":"TestB","Output":"panic: test timed out after 2m0s\n"}
			{"Action":"fail","Package":"p"}`,
			verdict{killed: true, by: "TestB, which hangs"}},
		{"the process crashes", `
			{"Action":"run","Package":"p","Test":"TestA"}
			{"Action":"output","Package":"p","Test":"TestA","Output":"fatal error: sync: unlock of unlocked mutex\n"}
			{"Action":"output","Package":"p","Test":"TestA","Output":"panic: more\n"}
			{"Action":"fail","Package":"p","Test":"TestA"}
			{"Action":"fail","Package":"p"}`,
			verdict{killed: true, by: "TestA, which crashes"}},
		{"nothing compiles", `
			{"ImportPath":"p","Action":"build-output","Output":"# p\n"}
			{"ImportPath":"p","Action":"build-output","Output":"./a.go:1:1: undefined: x\n"}
			{"ImportPath":"p","Action":"build-fail"}
			{"Action":"fail","Package":"p","FailedBuild":"p"}`,
			verdict{invalid: "# p\n./a.go:1:1: undefined: x\n"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readVerdict(strings.NewReader(test.output))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(verdict{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
