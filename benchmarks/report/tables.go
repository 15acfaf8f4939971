package main

import (
	"fmt"
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// printTables prints all tables for a terminal.
func printTables(to io.Writer, r report) error {
	print := func(title string, t table.Writer) error {
		style := table.StyleLight
		style.Format.Header = text.FormatDefault
		t.SetStyle(style)
		_, err := fmt.Fprintf(to, "%s\n%s\n\n", title, t.Render())
		return err
	}
	for _, family := range []string{measure.BarsFamily, measure.NestedFamily} {
		if rows := r.Results.RowsOf(family); len(rows) > 0 {
			if err := print(family, rowsTable(family, rows)); err != nil {
				return err
			}
		}
	}
	for _, c := range r.Results.Curves {
		if err := print(c.Title, curveTable(c)); err != nil {
			return err
		}
	}
	for _, g := range r.Results.Grids {
		if err := print(g.Title, gridTable(g)); err != nil {
			return err
		}
	}
	if v := curveVerdicts(r.Results.Curves); len(v) > 0 {
		return print("Bars on growth", verdictsTable(v))
	}
	return nil
}

// newTable returns a table with a header and no rows. Columns of names are
// aligned left, and those of figures right.
func newTable(header ...string) table.Writer {
	t := table.NewWriter()
	var row table.Row
	var columns []table.ColumnConfig
	for i, name := range header {
		row = append(row, name)
		align := text.AlignRight
		if name == "" || name == "work" || name == "peer" || name == "held against" || name == "curve" || name == "compared" {
			align = text.AlignLeft
		}
		columns = append(columns, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	t.AppendHeader(row)
	t.SetColumnConfigs(columns)
	return t
}

// rowsTable is the table of the rows of a family.
func rowsTable(family string, rows []measure.Row) table.Writer {
	if family == measure.NestedFamily {
		return nestedTable(rows)
	}
	return barsTable(rows)
}

// barsTable is the table of bars.
func barsTable(rows []measure.Row) table.Writer {
	t := newTable("work", "peer", "this", "peer's", "bare", "this / peer", "at most", "allocs/op", "at most", "bar",
		"a cache line from one processor to the other, ns")
	for _, row := range rows {
		allocs, mostAllocs := "", ""
		if len(row.Allocs) > 0 {
			allocs = allocations(row.Allocs)
		}
		if row.MaxAllocs != nil {
			mostAllocs = fmt.Sprint(*row.MaxAllocs)
		}
		t.AppendRow(table.Row{
			row.Work, row.PeerName + " " + row.PeerEntry,
			spread(row.This, row.Unit), spread(row.Peer, row.Unit), spread(row.Bare, row.Unit),
			ratio(row.Ratios()), fmt.Sprintf("%.2f", row.MaxRatio), allocs, mostAllocs,
			outcome(rowVerdicts(row)...),
			roundSpan(row.CacheLine),
		})
	}
	return t
}

// nestedTable is the table of calls from inside flights.
func nestedTable(rows []measure.Row) table.Writer {
	t := newTable("work", "held against", "this", "that", "this / that", "at most", "bar")
	for _, row := range rows {
		t.AppendRow(table.Row{
			row.Work, row.PeerName,
			spread(row.This, row.Unit), spread(row.Peer, row.Unit),
			ratio(row.Ratios()), fmt.Sprintf("%.2f", row.MaxRatio), outcome(rowVerdicts(row)...),
		})
	}
	return t
}

// outcome says whether a bar among the verdicts was missed.
func outcome(verdicts ...verdict) string {
	for _, v := range verdicts {
		if v.missed() {
			return "MISSED"
		}
	}
	return "met"
}

// curveTable has a row for each size and a column for each series.
func curveTable(c measure.Curve) table.Writer {
	header := []string{c.Size}
	for _, s := range c.Series {
		header = append(header, s.Name)
	}
	pairs := comparisons(c)
	for _, p := range pairs {
		header = append(header, p[0].Name+" / "+p[1].Name)
	}
	t := newTable(header...)
	for _, size := range sizesOf(c) {
		row := table.Row{count(size)}
		for _, s := range c.Series {
			p, _ := s.At(size)
			row = append(row, spread(p.Values, c.Unit))
		}
		for _, pair := range pairs {
			this, _ := pair[0].At(size)
			peer, _ := pair[1].At(size)
			row = append(row, ratio(measure.Ratios(this.Values, peer.Values)))
		}
		t.AppendRow(row)
	}
	return t
}

// comparisons returns the series of this library in a curve, each with its
// peer's.
func comparisons(c measure.Curve) [][2]measure.Series {
	var pairs [][2]measure.Series
	for _, names := range [][2]string{
		{"this", "x/sync"},
		{measure.ThisDo, measure.XSyncDo},
		{measure.ThisChan, measure.XSyncChan},
		{measure.ThisContext, measure.ResenjeContext},
		{measure.ThisChanContext, measure.TailscaleContext},
	} {
		this, ok := c.Find(names[0])
		peer, peerOK := c.Find(names[1])
		if ok && peerOK {
			pairs = append(pairs, [2]measure.Series{this, peer})
		}
	}
	return pairs
}

// sizesOf returns the sizes that a curve was measured at.
func sizesOf(c measure.Curve) []int {
	var sizes []int
	if len(c.Series) > 0 {
		for _, p := range c.Series[0].Points {
			sizes = append(sizes, p.Size)
		}
	}
	return sizes
}

// gridTable has a row for each kind of work and a column for each library.
func gridTable(g measure.Grid) table.Writer {
	t := newTable(append([]string{""}, g.Columns...)...)
	for _, r := range g.Rows {
		row := table.Row{r.Name}
		for i, cell := range r.Cells {
			if len(cell) == 0 {
				row = append(row, "–")
				continue
			}
			row = append(row, fmt.Sprintf("%s, %s allocs", spread(cell, g.Unit), allocations(r.Allocs[i])))
		}
		t.AppendRow(row)
	}
	return t
}

// verdictsTable lists bars that have no row of their own.
func verdictsTable(verdicts []verdict) table.Writer {
	t := newTable("curve", "compared", "measured", "bare", "at most", "bar")
	for _, v := range verdicts {
		bare := ""
		if v.Bare > 0 {
			bare = fmt.Sprintf("%.2f", v.Bare)
		}
		t.AppendRow(table.Row{v.Name, v.Quantity, fmt.Sprintf("%.2f", v.Value), bare, fmt.Sprintf("%.2f", v.AtMost), outcome(v)})
	}
	return t
}
