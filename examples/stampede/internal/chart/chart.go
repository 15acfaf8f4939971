// Package chart draws how many queries run in a database over time.
package chart

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A Series is one panel of the chart.
type Series struct {
	Name string
	Line []Point
}

// A Point says how many queries run from a moment on.
type Point struct {
	Seconds float64
	Running int
}

var (
	blue = color.RGBA{R: 0x1f, G: 0x5f, B: 0xa8, A: 0xff}
	pale = color.RGBA{R: 0xd2, G: 0xe1, B: 0xf3, A: 0xff}
)

// SVG draws the series below each other, all to one scale.
func SVG(w io.Writer, series []Series) error {
	seconds, running := 0.0, 1
	for _, s := range series {
		for _, point := range s.Line {
			seconds = max(seconds, point.Seconds)
			running = max(running, point.Running)
		}
	}
	panels := make([][]*plot.Plot, len(series))
	for i, s := range series {
		p, err := panel(s, seconds)
		if err != nil {
			return err
		}
		p.X.Min, p.X.Max = 0, seconds
		p.Y.Min, p.Y.Max = 0, float64(running)
		if i == len(series)-1 {
			p.X.Label.Text = "seconds"
		}
		panels[i] = []*plot.Plot{p}
	}
	canvas := vgsvg.New(8*vg.Inch, vg.Length(len(series))*1.6*vg.Inch)
	tiles := draw.Tiles{Rows: len(series), Cols: 1, PadY: vg.Millimeter * 4, PadTop: vg.Millimeter * 2,
		PadBottom: vg.Millimeter * 2, PadLeft: vg.Millimeter * 2, PadRight: vg.Millimeter * 4}
	whole := draw.New(canvas)
	whole.SetColor(color.White) // so that it can be read on any page
	whole.Fill(whole.Rectangle.Path())
	for i, row := range plot.Align(panels, tiles, whole) {
		panels[i][0].Draw(row[0])
	}
	_, err := canvas.WriteTo(w)
	return err
}

func panel(s Series, seconds float64) (*plot.Plot, error) {
	points := plotter.XYs{{X: 0, Y: 0}}
	for _, point := range s.Line {
		points = append(points, plotter.XY{X: point.Seconds, Y: float64(point.Running)})
	}
	points = append(points, plotter.XY{X: seconds, Y: points[len(points)-1].Y})
	line, err := plotter.NewLine(points)
	if err != nil {
		return nil, fmt.Errorf("drawing %s: %w", s.Name, err)
	}
	line.StepStyle = plotter.PostStep
	line.Color = blue
	line.FillColor = pale
	line.Width = vg.Points(0.7)
	p := plot.New()
	p.Title.Text = s.Name
	p.Title.TextStyle.Font.Size = vg.Points(11)
	for _, style := range []*draw.TextStyle{
		&p.Title.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	p.Y.Label.Text = "queries at once"
	p.Add(plotter.NewGrid(), line)
	return p, nil
}
