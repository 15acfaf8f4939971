package main

import (
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// fontFamily replaces the family that charts are laid out with by one that
// falls back to fonts of the same widths where it isn't installed.
const fontFamily = "'Liberation Sans',Arial,Helvetica,sans-serif"

// newPlot returns an empty plot in the style of all charts.
func newPlot(title string) *plot.Plot {
	p := plot.New()
	sans := font.Font{Typeface: "Liberation", Variant: "Sans"}
	p.Title.Text = title
	p.Title.TextStyle.Font = font.From(sans, 12)
	p.Title.Padding = 8
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Label.TextStyle.Font = font.From(sans, 10)
		axis.Tick.Label.Font = font.From(sans, 9)
		axis.Padding = 4
	}
	p.Legend.TextStyle.Font = font.From(sans, 9)
	p.Legend.ThumbnailWidth = 22
	p.Legend.Padding = 2
	grid := plotter.NewGrid()
	grid.Horizontal.Color = color.Gray{Y: 225}
	grid.Vertical.Color = color.Gray{Y: 225}
	p.Add(grid)
	return p
}

// look is how a series is drawn.
type look struct {
	color  color.Color
	dashes []vg.Length
	shape  draw.GlyphDrawer
}

// lookOf gives a library the same colour in all charts. A second series of a
// library, for channels, is dashed.
func lookOf(series string) look {
	library, entry, _ := strings.Cut(series, " ")
	l := look{shape: draw.CircleGlyph{}}
	switch library {
	case "this":
		l.color = color.RGBA{R: 0x0b, G: 0x62, B: 0xc4, A: 0xff}
	case "x/sync":
		l.color = color.RGBA{R: 0xd9, G: 0x5f, B: 0x02, A: 0xff}
	case "resenje":
		l.color = color.RGBA{R: 0x1b, G: 0x8a, B: 0x4b, A: 0xff}
	case "tailscale":
		l.color = color.RGBA{R: 0x7b, G: 0x4f, B: 0xb3, A: 0xff}
	case "msync":
		l.color = color.RGBA{R: 0x9c, G: 0x6b, B: 0x2f, A: 0xff}
	default:
		l.color = color.Gray{Y: 0x90}
	}
	if strings.Contains(entry, "Chan") || entry == "AfterFunc" {
		l.dashes = []vg.Length{5, 3}
		l.shape = draw.BoxGlyph{}
	}
	return l
}
