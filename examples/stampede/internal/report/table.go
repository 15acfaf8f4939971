package report

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Text writes the report for a reader: a table, and the findings below it.
func (r *Report) Text(w io.Writer) error {
	_, err := io.WriteString(w, r.table()+"\n\n")
	for _, finding := range r.Findings {
		if err == nil {
			_, err = fmt.Fprintln(w, finding)
		}
	}
	return err
}

func (r *Report) table() string {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault

	columns := []table.ColumnConfig{{Number: 1, Align: text.AlignLeft}}
	header := table.Row{""}
	for i, d := range r.Dresses {
		header = append(header, d.Name)
		columns = append(columns, table.ColumnConfig{Number: i + 2, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.AppendHeader(header)
	t.SetColumnConfigs(columns)

	line := func(name string, cell func(d *Dress) any) {
		row := table.Row{name}
		for i := range r.Dresses {
			row = append(row, cell(&r.Dresses[i]))
		}
		t.AppendRow(row)
	}
	line("requests", func(d *Dress) any { return d.Requests })
	line("answered", func(d *Dress) any { return d.Answered })
	line("hung up (impatient clients)", func(d *Dress) any { return d.HungUp })
	line("failed by somebody else's hang-up: patient", func(d *Dress) any { return d.PatientFailedByAnother })
	line("  and impatient, while they still waited", func(d *Dress) any { return d.ImpatientFailedByAnother })
	if r.failedOtherwise() {
		line("failed in another way", func(d *Dress) any { return d.FailedOtherwise })
	}
	t.AppendSeparator()
	line("queries that reached the database", func(d *Dress) any { return d.Queries })
	line("  most at once", func(d *Dress) any { return d.MostAtOnce })
	line("  most at once for one key", func(d *Dress) any { return d.MostForOneKey })
	t.AppendSeparator()
	line("answer to a patient client: p50", func(d *Dress) any { return shown(d.Latency.P50) })
	line("  p95", func(d *Dress) any { return shown(d.Latency.P95) })
	line("  p99", func(d *Dress) any { return shown(d.Latency.P99) })
	return t.Render()
}

func (r *Report) failedOtherwise() bool {
	for _, d := range r.Dresses {
		if d.FailedOtherwise > 0 {
			return true
		}
	}
	return false
}

func shown(milliseconds *float64) string {
	if milliseconds == nil {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", *milliseconds)
}
