package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

func TestDocument(t *testing.T) {
	dir := t.TempDir()
	r := canned()
	for i := range series(&r.Results, measure.DetachTime, measure.ThisChanContext).Points {
		series(&r.Results, measure.DetachTime, measure.ThisChanContext).Points[i].Values = times(3750)
	}
	if err := writeDocuments(dir, r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "benchmarks.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, want := range []string{
		"# Benchmarks\n",
		"go -C benchmarks run ./report\n",
		"| date | 4 March 2026, a run of 10m0s |",
		"| processor | A Processor |",
		"| memory | 8 GiB |",
		"| x/sync | golang.org/x/sync v0.24.0 |",
		"| Do, unshared, one goroutine | x/sync Do | 30.00ns ±2% | 140.0ns ±2% | 2.000ns ±2% | 0.21 (0.21–0.21) | 0.30 | 0 | 0 | met |  |",
		"| 0.40 |  |  | met | 200 (150–250) |",
		"### Calls from inside flights",
		"| A join from inside a flight that 10,000 wait for | 1 waits | 800.0ns ±2% | 700.0ns ±2% | 1.14 (1.14–1.14) | 3.00 | met |",
		"**Do, unshared, one goroutine.** A miss of a cache",
		"### Keys in flight",
		"| 100,000 |",
		"measured 7 times, in turn",
		"- **Time per caller that detaches, 1 callers**: this library takes 1.50 times what tailscale DoChanContext takes. Each of its waiting callers has a goroutine",
		"- **DoContext, cancellable**: this library takes 6.00 times what msync takes. throttle.Set.Call runs",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("benchmarks.md lacks %q", want)
		}
	}
	for _, unwanted := range []string{"<no value>", "%!", "NaN", "Inf", "MISSED", "Missed bars"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("benchmarks.md contains %q", unwanted)
		}
	}
	for _, f := range measure.Families() {
		if !strings.Contains(text, "("+chartName(f.Name)+")") {
			t.Errorf("benchmarks.md doesn't show %s", chartName(f.Name))
		}
		checkSVG(t, filepath.Join(dir, chartName(f.Name)))
	}
}

func checkSVG(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	texts := 0
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			return
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "text" {
			texts++
		}
	}
	if texts < 8 {
		t.Errorf("%s has %d texts, want a chart with labels", filepath.Base(file), texts)
	}
}

func TestDocumentNamesMissedBars(t *testing.T) {
	r := canned()
	r.Results.Rows[0].This = times(70)
	text, err := render(r)
	if err != nil {
		t.Fatal(err)
	}
	if want := "## Missed bars\n\n- Do, unshared, one goroutine: this / x/sync is 0.500, at most 0.30; without any library it is 0.01."; !strings.Contains(string(text), want) {
		t.Errorf("benchmarks.md lacks %q", want)
	}
}

// A partial run has only its own sections.
func TestDocumentOfOneCurve(t *testing.T) {
	r := canned()
	r.Results.Rows, r.Results.Grids = nil, nil
	r.Results.Curves = r.Results.Curves[:1]
	text, err := render(r)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "## Bars") || strings.Contains(string(text), "### Types of keys") {
		t.Errorf("benchmarks.md has sections that weren't measured:\n%s", text)
	}
}

// Every row and family must be explained to the reader.
func TestNotes(t *testing.T) {
	for _, f := range measure.Families() {
		if f.Name != measure.BarsFamily {
			if familyNotes[f.Name] == "" {
				t.Errorf("no note on %q", f.Name)
			}
			continue
		}
		for _, p := range f.Parts {
			if meanings[p.Name] == "" {
				t.Errorf("no meaning of %q", p.Name)
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{count(1), "1"},
		{count(1000), "1,000"},
		{count(1234567), "1,234,567"},
		{amount(32.1, "ns/op"), "32.10ns"},
		{amount(321_000, "ns/op"), "321.0µs"},
		{amount(412, "B"), "412.0B"},
		{roundAmount(2000, "ns/op"), "2 µs"},
		{roundAmount(10_000, "B"), "10,000 B"},
		{roundAmount(0, "ns/op"), "0"},
		{spread([]float64{10, 11, 8}, "ns/op"), "10.00ns ±20%"},
		{ratio([]float64{0.5, 0.25, 1}), "0.50 (0.25–1.00)"},
		{allocations([]float64{1e-6, 0.001, 1e-6}), "0"},
		{allocations([]float64{2.5}), "2.5"},
	} {
		if test.got != test.want {
			t.Errorf("got %q, want %q", test.got, test.want)
		}
	}
}
