package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// chartOf draws the chart of a family as SVG; it is empty if nothing of the
// family was measured.
func chartOf(family string, r measure.Results) ([]byte, error) {
	var panels []*plot.Plot
	columns := 2
	height := vg.Length(250)
	add := func(p *plot.Plot, err error) error {
		panels = append(panels, p)
		return err
	}
	if rows := r.RowsOf(family); len(rows) > 0 {
		columns, height = 1, vg.Length(60+28*len(rows))
		title, axis := "What this library takes of its peer's time or memory: shorter is better", "this / peer"
		if family == measure.NestedFamily {
			title, axis = "What a call takes of the time of what it is held against: shorter is better", "ratio"
		}
		if err := add(barsChart(title, axis, rows)); err != nil {
			return nil, err
		}
	}
	for _, c := range r.Curves {
		if c.Family == family {
			if err := add(curveChart(c)); err != nil {
				return nil, err
			}
		}
	}
	for _, g := range r.Grids {
		if g.Family == family {
			columns, height = 1, 280
			if err := add(gridChart(g)); err != nil {
				return nil, err
			}
		}
	}
	if len(panels) == 0 {
		return nil, nil
	}
	return tile(panels, min(columns, len(panels)), height)
}

// tile draws panels beside and below each other.
func tile(panels []*plot.Plot, columns int, height vg.Length) ([]byte, error) {
	const width = 820
	rows := (len(panels) + columns - 1) / columns
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], panels[i*columns:min((i+1)*columns, len(panels))])
	}
	canvas := vgsvg.New(width, height*vg.Length(rows))
	dc := draw.New(canvas)
	dc.SetColor(color.White)
	dc.Fill(dc.Rectangle.Path())
	tiles := draw.Tiles{
		Rows: rows, Cols: columns,
		PadX: 18, PadY: 18, PadTop: 8, PadBottom: 8, PadLeft: 8, PadRight: 18,
	}
	for i, row := range plot.Align(grid, tiles, dc) {
		for j, at := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(at)
			}
		}
	}
	var svg bytes.Buffer
	if _, err := canvas.WriteTo(&svg); err != nil {
		return nil, fmt.Errorf("drawing: %w", err)
	}
	return bytes.ReplaceAll(svg.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:"+fontFamily)), nil
}

// barsChart shows for each row what this library takes of its peer's time, and
// the bar.
func barsChart(title, axis string, rows []measure.Row) (*plot.Plot, error) {
	p := newPlot(title)
	p.X.Label.Text = axis
	p.X.Min = 0
	ratios := make(plotter.Values, len(rows))
	limits := make(plotter.XYs, len(rows))
	names := make([]string, len(rows))
	most := 1.0
	for i, row := range rows {
		y := len(rows) - 1 - i // the first row on top
		ratios[y] = measure.Median(row.Ratios())
		limits[y] = plotter.XY{X: row.MaxRatio, Y: float64(y)}
		names[y] = row.Work + " (" + row.PeerName + ")"
		most = max(most, ratios[y], row.MaxRatio)
	}
	bars, err := plotter.NewBarChart(ratios, 14)
	if err != nil {
		return nil, err
	}
	bars.Horizontal = true
	bars.Color = lookOf("this").color
	bars.LineStyle.Width = 0
	marks, err := plotter.NewScatter(limits)
	if err != nil {
		return nil, err
	}
	marks.GlyphStyle = draw.GlyphStyle{Color: color.RGBA{R: 0xc0, A: 0xff}, Radius: 9, Shape: verticalMark{}}
	p.Add(bars, marks)
	p.NominalY(names...)
	p.X.Max = most * 1.05
	p.Y.Max = float64(len(rows)) + 0.2 // leaves a row for the legend
	small := *marks
	small.Radius = 4
	p.Legend.Add("measured", bars)
	p.Legend.Add("bar: at most", &small)
	p.Legend.Top = true
	return p, nil
}

// verticalMark is a glyph: a vertical stroke.
type verticalMark struct{}

func (verticalMark) DrawGlyph(c *draw.Canvas, style draw.GlyphStyle, at vg.Point) {
	c.StrokeLine2(draw.LineStyle{Color: style.Color, Width: 2.5}, at.X, at.Y-style.Radius, at.X, at.Y+style.Radius)
}

// curveChart shows a line for each series, with the span of the runs at each
// point.
func curveChart(c measure.Curve) (*plot.Plot, error) {
	p := newPlot(c.Title)
	p.X.Label.Text = c.Size
	p.X.Scale = plot.LogScale{}
	p.X.Tick.Marker = sizeTicks{base: 10}
	if c.Family == measure.GoroutinesFamily {
		p.X.Tick.Marker = sizeTicks{base: 2}
	}
	least, most := math.Inf(1), 0.0
	for _, s := range c.Series {
		line, err := drawSeries(p, s)
		if err != nil {
			return nil, err
		}
		least, most = min(least, line.least), max(most, line.most)
	}
	// The legend is above the lines.
	room := 1 / (1 - 0.09*float64(len(c.Series)))
	// Differences of a few times are seen from zero, larger ones are not.
	if least > 0 && most/least > 12 {
		p.Y.Scale = plot.LogScale{}
		p.Y.Tick.Marker = logAmountTicks{c.Unit}
		p.Y.Min, p.Y.Max = least/1.3, least*math.Pow(most/least, room)
	} else {
		p.Y.Tick.Marker = amountTicks{c.Unit}
		p.Y.Min, p.Y.Max = 0, most*room
	}
	p.Legend.Top = true
	return p, nil
}

// extent is the span of a series' values.
type extent struct{ least, most float64 }

// span is a series for plotter.NewYErrorBars.
type span struct {
	plotter.XYs
	plotter.YErrors
}

func drawSeries(p *plot.Plot, s measure.Series) (extent, error) {
	look := lookOf(s.Name)
	e := extent{least: math.Inf(1)}
	var data span
	for _, point := range s.Points {
		median := measure.Median(point.Values)
		lowest, highest := slices.Min(point.Values), slices.Max(point.Values)
		data.XYs = append(data.XYs, plotter.XY{X: float64(point.Size), Y: median})
		data.YErrors = append(data.YErrors, struct{ Low, High float64 }{median - lowest, highest - median})
		e.least, e.most = min(e.least, lowest), max(e.most, highest)
	}
	line, marks, err := plotter.NewLinePoints(data.XYs)
	if err != nil {
		return e, err
	}
	line.LineStyle = draw.LineStyle{Color: look.color, Width: 1.6, Dashes: look.dashes}
	marks.GlyphStyle = draw.GlyphStyle{Color: look.color, Radius: 2.2, Shape: look.shape}
	spans, err := plotter.NewYErrorBars(data)
	if err != nil {
		return e, err
	}
	spans.LineStyle = draw.LineStyle{Color: look.color, Width: 0.7}
	spans.CapWidth = 4
	p.Add(spans, line, marks)
	p.Legend.Add(s.Name, line, marks)
	return e, nil
}

// gridChart shows for each kind of work a bar for each library.
func gridChart(g measure.Grid) (*plot.Plot, error) {
	p := newPlot(g.Title)
	p.Y.Min = 0
	p.Y.Tick.Marker = amountTicks{g.Unit}
	const width = vg.Length(18)
	most := 0.0
	for i, library := range g.Columns {
		values := make(plotter.Values, len(g.Rows))
		labels := plotter.XYLabels{XYs: make(plotter.XYs, len(g.Rows)), Labels: make([]string, len(g.Rows))}
		for j, row := range g.Rows {
			if len(row.Cells[i]) > 0 {
				values[j] = measure.Median(row.Cells[i])
				labels.Labels[j] = strings.TrimSuffix(roundAmount(math.Round(values[j]), g.Unit), " ns")
			}
			labels.XYs[j] = plotter.XY{X: float64(j), Y: values[j]}
		}
		most = max(most, slices.Max(values))
		bars, err := plotter.NewBarChart(values, width)
		if err != nil {
			return nil, err
		}
		bars.Color = lookOf(library).color
		bars.LineStyle.Width = 0
		bars.Offset = (vg.Length(i) - vg.Length(len(g.Columns)-1)/2) * (width + 2)
		text, err := plotter.NewLabels(labels)
		if err != nil {
			return nil, err
		}
		text.Offset = vg.Point{X: bars.Offset, Y: 2}
		for j := range text.TextStyle {
			text.TextStyle[j].Font = p.Legend.TextStyle.Font
			text.TextStyle[j].Font.Size = 6
			text.TextStyle[j].XAlign = draw.XCenter
		}
		p.Add(bars, text)
		p.Legend.Add(library, bars)
	}
	var names []string
	for _, row := range g.Rows {
		names = append(names, row.Name)
	}
	p.NominalX(names...)
	p.Y.Max = most * 1.25
	p.Legend.Top = true
	p.Legend.Left = true
	return p, nil
}
