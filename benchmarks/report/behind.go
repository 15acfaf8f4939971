package main

import (
	"strings"

	"github.com/seed-737f55c4/singleflight/benchmarks/measure"
)

// behind is work that a peer does better than this library.
type behind struct {
	Work  string
	Peer  string
	Ratio float64 // of this library to the peer
	Why   string
}

// findBehind lists all work that a peer did better by more than chance
// explains. For a curve it is the size where the difference is largest.
func findBehind(r measure.Results) []behind {
	var all []behind
	for _, row := range r.RowsOf(measure.BarsFamily) {
		all = append(all, compare(row.Work, "", row.PeerName, row.This, row.Peer)...)
	}
	for _, c := range r.Curves {
		for _, pair := range comparisons(c) {
			var worst []behind
			for _, p := range pair[0].Points {
				q, _ := pair[1].At(p.Size)
				found := compare(c.Title, ", "+count(p.Size)+" "+c.Size, pair[1].Name, p.Values, q.Values)
				if len(found) > 0 && (len(worst) == 0 || found[0].Ratio > worst[0].Ratio) {
					worst = found
				}
			}
			all = append(all, worst...)
		}
	}
	for _, g := range r.Grids {
		if g.Family == measure.HooksFamily {
			continue // no peer
		}
		for _, row := range g.Rows {
			for i, peer := range g.Columns {
				if peer != "this" && peer != "bare" {
					all = append(all, compare(row.Name, "", peer, row.Cells[0], row.Cells[i])...)
				}
			}
		}
	}
	return all
}

// compare returns one entry if the peer is ahead, and none if it isn't. Detail
// says at which size of the work.
func compare(work, detail, peer string, this, other []float64) []behind {
	if len(this) == 0 || len(other) == 0 || !measure.Differ(this, other) {
		return nil
	}
	ratio := measure.Median(measure.Ratios(this, other))
	if ratio <= 1 {
		return nil
	}
	library, _, _ := strings.Cut(peer, " ")
	return []behind{{Work: work + detail, Peer: peer, Ratio: ratio, Why: advantage(library, work)}}
}
