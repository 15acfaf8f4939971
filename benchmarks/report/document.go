package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
	"github.com/seed-737f55c4/singleflight/benchmarks/peer"
)

//go:embed document.md.tmpl
var documentText string

var documentTemplate = template.Must(template.New("document").Parse(documentText))

// document is what the template is given.
type document struct {
	Date      string
	Took      string
	Command   string
	Machine   machine
	Memory    string
	Libraries []library
	Settings  measure.Settings
	Bars      section
	Meanings  []meaning
	Growth    []section
	Verdicts  string // table
	Missed    []verdict
	Behind    []behind
}

type library struct{ Name, Module, Version string }

type meaning struct{ Work, Text string }

// section is a family of measurements.
type section struct {
	Name   string
	Text   string
	Chart  string // file; empty: none
	Tables []titledTable
}

type titledTable struct{ Title, Table string }

// writeDocuments writes benchmarks.md and its charts.
func writeDocuments(dir string, r report) error {
	for _, f := range measure.Families() {
		svg, err := chartOf(f.Name, r.Results)
		if err != nil {
			return fmt.Errorf("%s: %w", chartName(f.Name), err)
		}
		if svg == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, chartName(f.Name)), svg, 0o666); err != nil {
			return err
		}
	}
	text, err := render(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "benchmarks.md"), text, 0o666)
}

// chartName is the file of a family's chart.
func chartName(family string) string {
	return "benchmarks-" + strings.ReplaceAll(strings.ToLower(family), " ", "-") + ".svg"
}

// render returns the text of benchmarks.md.
func render(r report) ([]byte, error) {
	d := document{
		Date:     r.Started.UTC().Format("2 January 2006"),
		Took:     r.Results.Took.Round(time.Second).String(),
		Command:  r.Command,
		Machine:  r.Machine,
		Settings: r.Results.Settings,
		Behind:   findBehind(r.Results),
	}
	if r.Machine.Memory > 0 {
		d.Memory = fmt.Sprintf("%d GiB", (r.Machine.Memory+1<<29)>>30)
	}
	for _, l := range peer.Strings() {
		if version := r.Versions[l.Module]; l.Name != "this" && version != "" {
			d.Libraries = append(d.Libraries, library{l.Name, l.Module, version})
		}
	}
	for _, f := range measure.Families() {
		s := sectionOf(f.Name, r.Results)
		switch {
		case len(s.Tables) == 0:
		case f.Name == measure.BarsFamily:
			d.Bars = s
		default:
			d.Growth = append(d.Growth, s)
		}
	}
	for _, row := range r.Results.RowsOf(measure.BarsFamily) {
		d.Meanings = append(d.Meanings, meaning{row.Work, meanings[row.Work]})
	}
	if v := curveVerdicts(r.Results.Curves); len(v) > 0 {
		d.Verdicts = verdictsTable(v).RenderMarkdown()
	}
	for _, v := range verdicts(r.Results) {
		if v.missed() {
			d.Missed = append(d.Missed, v)
		}
	}
	var text bytes.Buffer
	if err := documentTemplate.Execute(&text, d); err != nil {
		return nil, fmt.Errorf("benchmarks.md: %w", err)
	}
	return text.Bytes(), nil
}

// sectionOf collects what was measured for a family.
func sectionOf(family string, r measure.Results) section {
	s := section{Name: family, Text: familyNotes[family], Chart: chartName(family)}
	if rows := r.RowsOf(family); len(rows) > 0 {
		s.Tables = append(s.Tables, titledTable{family, rowsTable(family, rows).RenderMarkdown()})
	}
	for _, c := range r.Curves {
		if c.Family == family {
			s.Tables = append(s.Tables, titledTable{c.Title, curveTable(c).RenderMarkdown()})
		}
	}
	for _, g := range r.Grids {
		if g.Family == family {
			s.Tables = append(s.Tables, titledTable{g.Title, gridTable(g).RenderMarkdown()})
		}
	}
	return s
}
