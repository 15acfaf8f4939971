package singleflight_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-737f55c4/singleflight"
)

// A recipe is the order of steps of functions that fill a cache with what they
// read from a source, and of a writer who changes the source.
type recipe struct{ function, writer []string }

// Clause 22.
var rightRecipe = recipe{
	function: []string{"read", "set", "delete if forgotten"},
	writer:   []string{"write", "Forget", "delete"},
}

// An actor is the writer, or a caller with the flight that it leads.
type actor struct {
	name  string
	steps []string // not taken yet
	turn  chan string
	end   <-chan singleflight.Result[int]
}

// A play is one run of some actors.
type play struct {
	g             singleflight.Group[string, int]
	source, cache int      // the version of the value; 0 in the cache is none
	taken         []string // the steps
}

// take takes an actor's next step.
func (p *play) take(a *actor) {
	step := a.steps[0]
	a.steps = a.steps[1:]
	p.taken = append(p.taken, a.name+": "+step)
	switch step {
	case "write":
		p.source = 2
	case "Forget":
		p.g.Forget("key")
	case "ForgetUnshared":
		p.g.ForgetUnshared("key")
	case "delete":
		p.cache = 0
	case "call":
		joined := p.g.Stats().Joined
		a.turn = make(chan string)
		a.end = p.g.DoChanContext(context.Background(), "key", p.function(a.turn))
		if p.g.Stats().Joined > joined {
			a.steps = nil // others do the work
		}
	case "land":
		close(a.turn)
		<-a.end
	default:
		a.turn <- step
		<-a.turn
	}
}

// function returns one that takes its steps when it is told to, on turn.
func (p *play) function(turn chan string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		read := 0
		for step := range turn {
			switch step {
			case "read":
				read = p.source
			case "set":
				p.cache = read
			case "delete if forgotten":
				if singleflight.Forgotten(ctx) {
					p.cache = 0
				}
			}
			turn <- step
		}
		return read, nil
	}
}

// staleOrders tries all orders of the steps of so many callers and the writer.
// It returns how many there are, and those after which the old value stays in
// the cache.
func (r recipe) staleOrders(callers int) (orders int, stale [][]string) {
	orders = eachOrder(func(choose func(n int) int) {
		p := &play{source: 1, cache: 1}
		actors := []*actor{{name: "writer", steps: r.writer}}
		for i := range callers {
			steps := slices.Concat([]string{"call"}, r.function, []string{"land"})
			actors = append(actors, &actor{name: fmt.Sprint("caller ", i+1), steps: steps})
		}
		done := func(a *actor) bool { return len(a.steps) == 0 }
		for len(actors) > 0 {
			p.take(actors[choose(len(actors))])
			actors = slices.DeleteFunc(actors, done)
		}
		if p.cache == 1 {
			stale = append(stale, p.taken)
		}
	})
	return orders, stale
}

// eachOrder calls run for each series of choices that it can make. choose
// returns a number below n.
func eachOrder(run func(choose func(n int) int)) (orders int) {
	var choices, of []int
	for {
		made := 0
		run(func(n int) int {
			if made == len(choices) {
				choices, of = append(choices, 0), append(of, n)
			}
			made++
			return choices[made-1]
		})
		orders++
		for len(choices) > 0 && choices[len(choices)-1] == of[len(of)-1]-1 {
			choices, of = choices[:len(choices)-1], of[:len(of)-1]
		}
		if len(choices) == 0 {
			return orders
		}
		choices[len(choices)-1]++
	}
}

func TestNoOldValueStaysInACache(t *testing.T) {
	// Clause 22: function: read the source, set, then delete again if Forgotten, all before it returns; writer: write,
	// Forget, delete. In that order no old value stays, whatever the timing.
	for callers := range 3 {
		orders, stale := rightRecipe.staleOrders(callers)
		t.Logf("%d callers: %d orders", callers, orders)
		for _, steps := range stale {
			t.Errorf("the old value stays after\n\t%s", strings.Join(steps, "\n\t"))
		}
		if least := []int{1, 56, 1000}[callers]; orders < least {
			t.Errorf("%d callers: %d orders were tried, want at least %d", callers, orders, least)
		}
	}
}

func TestOldValueStaysInACacheByOtherOrders(t *testing.T) {
	// Clause 22: each step has its place. This also shows that the test before can fail.
	function, writer := rightRecipe.function, rightRecipe.writer
	for name, test := range map[string]struct {
		recipe
		callers int
	}{
		"the function doesn't delete":          {recipe{function[:2], writer}, 1},
		"the function deletes before it sets":  {recipe{[]string{"read", "delete if forgotten", "set"}, writer}, 1},
		"the writer doesn't forget":            {recipe{function, []string{"write", "delete"}}, 1},
		"the writer doesn't delete":            {recipe{function, []string{"write", "Forget"}}, 0},
		"the writer forgets before it writes":  {recipe{function, []string{"Forget", "write", "delete"}}, 1},
		"the writer deletes before it forgets": {recipe{function, []string{"write", "delete", "Forget"}}, 1},
		"the writer deletes before it writes":  {recipe{function, []string{"delete", "write", "Forget"}}, 1},
		"the writer uses ForgetUnshared":       {recipe{function, []string{"write", "ForgetUnshared", "delete"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stale := test.staleOrders(test.callers); len(stale) == 0 {
				t.Error("no old value stays")
			}
		})
	}
}
