package chart_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/chart"
)

func TestSVG(t *testing.T) {
	for _, test := range []struct {
		name   string
		series []chart.Series
	}{
		{"queries", []chart.Series{
			{Name: "first", Line: []chart.Point{{Seconds: 0, Running: 1}, {Seconds: 0.5, Running: 40}, {Seconds: 2, Running: 0}}},
			{Name: "second", Line: []chart.Point{{Seconds: 0.1, Running: 1}, {Seconds: 0.2, Running: 0}}},
		}},
		{"a panel without queries", []chart.Series{
			{Name: "first", Line: []chart.Point{{Seconds: 1, Running: 1}}}, {Name: "second"},
		}},
		{"no queries at all", []chart.Series{{Name: "first"}, {Name: "second"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var b bytes.Buffer
			if err := chart.SVG(&b, test.series); err != nil {
				t.Fatal(err)
			}
			shown, root := readXML(t, b.Bytes())
			if root != "svg" {
				t.Errorf("the root element is %q, want svg", root)
			}
			for _, text := range []string{"first", "second", "seconds", "queries at once"} {
				if !shown[text] {
					t.Errorf("the chart doesn't say %q", text)
				}
			}
			if strings.Contains(b.String(), "NaN") || strings.Contains(b.String(), "Inf") {
				t.Error("the chart has coordinates that are no numbers")
			}
		})
	}
}

// readXML gives the texts and the root element of a document, and fails if it is none.
func readXML(t *testing.T, document []byte) (texts map[string]bool, root string) {
	t.Helper()
	texts = make(map[string]bool)
	decoder := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return texts, root
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if root == "" {
				root = token.Name.Local
			}
		case xml.CharData:
			texts[string(token)] = true
		}
	}
}
