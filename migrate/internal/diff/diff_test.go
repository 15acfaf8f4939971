package diff

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnified(t *testing.T) {
	got := Unified("f", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj", "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\n")
	want := `--- f
+++ f
@@ -1,5 +1,5 @@
 a
-b
+B
 c
 d
 e
@@ -7,4 +7,5 @@
 g
 h
 i
-j
\ No newline at end of file
+j
+k
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := Unified("f", "a", "a"); got != "" {
		t.Errorf("of equal texts: %q", got)
	}
}

// Each text made of the difference is what was compared, and patch agrees where
// it is installed.
func TestUnifiedRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteString(string(rune('a' + random.IntN(4))))
			b.WriteByte('\n')
		}
		return b.String()
	}
	_, err := exec.LookPath("patch")
	for i := range 500 {
		before, after := text(), text()
		var a, b strings.Builder
		for _, op := range compare(lines(before), lines(after)) {
			if op.kind != '+' {
				a.WriteString(op.line)
			}
			if op.kind != '-' {
				b.WriteString(op.line)
			}
		}
		if a.String() != before || b.String() != after {
			t.Fatalf("%q and %q: got %q and %q", before, after, a.String(), b.String())
		}
		if err != nil || before == after || i > 20 {
			continue
		}
		name := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(name, []byte(before), 0o666); err != nil {
			t.Fatal(err)
		}
		patch := exec.Command("patch", "-s", "-E", name)
		patch.Stdin = strings.NewReader(Unified("f", before, after))
		if out, err := patch.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got, _ := os.ReadFile(name); string(got) != after {
			t.Fatalf("patch made %q of %q, not %q", got, before, after)
		}
	}
}

func TestLines(t *testing.T) {
	got := Lines("a\nb\nc\n", "a\nx\ny\nb\nc\n")
	for after, before := range map[int]int{1: 1, 2: 1, 3: 1, 4: 2, 5: 3} {
		if got[after] != before {
			t.Errorf("line %d: got %d, want %d", after, got[after], before)
		}
	}
}
