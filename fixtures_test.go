package singleflight_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/seed-737f55c4/singleflight"
)

var errFlight = errors.New("the flight's error")

// A job is a function for a flight that runs until the test ends it.
type job struct {
	runs atomic.Int32
	ctx  context.Context // what it got; nil from Do and DoChan
	end  chan func() (int, error)
}

func newJob() *job { return &job{end: make(chan func() (int, error))} }

func (j *job) bound(ctx context.Context) (int, error) {
	j.runs.Add(1)
	j.ctx = ctx
	return (<-j.end)()
}

func (j *job) plain() (int, error) {
	j.runs.Add(1)
	return (<-j.end)()
}

// lands ends the function by end, and waits until everything that follows from
// it has happened.
func (j *job) lands(end func() (int, error)) {
	j.end <- end
	synctest.Wait()
}

func (j *job) returns(v int)    { j.lands(func() (int, error) { return v, nil }) }
func (j *job) fails(err error)  { j.lands(func() (int, error) { return 0, err }) }
func (j *job) panics(value any) { j.lands(func() (int, error) { panic(value) }) }
func (j *job) ran() int         { return int(j.runs.Load()) }
func (j *job) exits()           { j.lands(func() (int, error) { runtime.Goexit(); return 0, nil }) }

// An answer is what came of a call.
type answer struct {
	Val    int
	Err    error
	Shared bool
	Leader bool // of a Result
	Panic  any  // what a blocking call panicked with
	Exited bool // a blocking call's goroutine exited
}

// A caller is a call that was made and may be waiting.
type caller struct {
	blocking <-chan answer
	channel  <-chan singleflight.Result[int]
}

// blocked makes a blocking call on a goroutine of its own, and waits until all
// goroutines of the bubble are blocked.
func blocked(call func() (int, error, bool)) caller {
	answers := make(chan answer, 1)
	go func() {
		a := answer{Exited: true}
		defer func() {
			if value := recover(); value != nil {
				a = answer{Panic: value}
			}
			answers <- a
		}()
		v, err, shared := call()
		a = answer{Val: v, Err: err, Shared: shared}
	}()
	synctest.Wait()
	return caller{blocking: answers}
}

// channelled is a call of DoChan or DoChanContext.
func channelled(ch <-chan singleflight.Result[int]) caller {
	synctest.Wait()
	return caller{channel: ch}
}

// poll returns the answer if it is there.
func (c caller) poll() (a answer, ok bool) {
	select {
	case a = <-c.blocking:
		return a, true
	case r := <-c.channel:
		return answer{Val: r.Val, Err: r.Err, Shared: r.Shared, Leader: r.Leader}, true
	default:
		return a, false
	}
}

// got fails the test unless the call has been answered with want.
func (c caller) got(t *testing.T, want answer) {
	t.Helper()
	if c.channel == nil {
		want.Leader = false // only a Result tells
	}
	switch a, ok := c.poll(); {
	case !ok:
		t.Errorf("the call still waits, want %+v", want)
	case a != want:
		t.Errorf("the call got %+v, want %+v", a, want)
	}
}

// waits fails the test if the call has been answered.
func (c caller) waits(t *testing.T) {
	t.Helper()
	if a, ok := c.poll(); ok {
		t.Errorf("the call got %+v, want it to wait", a)
	}
}

type group = singleflight.Group[string, int]

// A way is one to make a call. Only a call that can detach is given ctx.
type way struct {
	name     string
	detaches bool
	channel  bool
	here     bool // a leader runs its function itself
	call     func(g *group, ctx context.Context, key string, j *job) caller
}

var (
	byDo = way{"Do", false, false, true, func(g *group, _ context.Context, key string, j *job) caller {
		return blocked(func() (int, error, bool) { return g.Do(key, j.plain) })
	}}
	byDoChan = way{"DoChan", false, true, false, func(g *group, _ context.Context, key string, j *job) caller {
		return channelled(g.DoChan(key, j.plain))
	}}
	byDoContext = way{"DoContext", true, false, false, func(g *group, ctx context.Context, key string, j *job) caller {
		return blocked(func() (int, error, bool) { return g.DoContext(ctx, key, j.bound) })
	}}
	byDoChanContext = way{"DoChanContext", true, true, false, func(g *group, ctx context.Context, key string, j *job) caller {
		return channelled(g.DoChanContext(ctx, key, j.bound))
	}}
	byEndlessDoContext = way{"DoContext with endless context", false, false, true, func(g *group, ctx context.Context, key string, j *job) caller {
		return blocked(func() (int, error, bool) { return g.DoContext(context.WithoutCancel(ctx), key, j.bound) })
	}}
	byEndlessDoChanContext = way{"DoChanContext with endless context", false, true, false, func(g *group, ctx context.Context, key string, j *job) caller {
		return channelled(g.DoChanContext(context.WithoutCancel(ctx), key, j.bound))
	}}

	ways         = []way{byDo, byDoChan, byDoContext, byDoChanContext, byEndlessDoContext, byEndlessDoChanContext}
	detaching    = []way{byDoContext, byDoChanContext}
	runningHere  = []way{byDo, byEndlessDoContext}
	runningApart = []way{byDoChan, byDoContext, byDoChanContext, byEndlessDoChanContext}
	bound        = []way{byDoContext, byDoChanContext, byEndlessDoContext, byEndlessDoChanContext} // fn gets a context
)

// eachWay runs a test in a bubble for each of the ways.
func eachWay(t *testing.T, ways []way, test func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, w) })
		})
	}
}

// eachPair runs a test in a bubble for each way to lead and each to join.
func eachPair(t *testing.T, leads, joins []way, test func(t *testing.T, leads, joins way)) {
	for _, l := range leads {
		for _, j := range joins {
			t.Run(l.name+"/"+j.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { test(t, l, j) })
			})
		}
	}
}

// An ending is one way in which a function may end.
type ending struct {
	name string
	of   func(j *job)
}

var endings = []ending{
	{"value", func(j *job) { j.returns(7) }},
	{"error", func(j *job) { j.fails(errFlight) }},
	{"panic", func(j *job) { j.panics("boom") }},
	{"Goexit", func(j *job) { j.exits() }},
	{"panic during Goexit", func(j *job) {
		j.lands(func() (int, error) { defer panic("boom"); runtime.Goexit(); return 0, nil })
	}},
}

var bubbleHeader = regexp.MustCompile(`(?m)^goroutine \d+ .*(synctest bubble \d+)`)

// bubbleGoroutines counts the goroutines of the bubble that it is called in.
func bubbleGoroutines() int {
	synctest.Wait()
	stack := func(all bool) []byte {
		buf := make([]byte, 1<<16)
		for {
			n := runtime.Stack(buf, all)
			if n < len(buf) {
				return buf[:n]
			}
			buf = make([]byte, 2*len(buf))
		}
	}
	bubble := bubbleHeader.FindSubmatch(stack(false))[1]
	n := 0
	for _, m := range bubbleHeader.FindAllSubmatch(stack(true), -1) {
		if bytes.Equal(m[1], bubble) {
			n++
		}
	}
	return n
}

// inChild runs body in a process of its own, and returns what that wrote and
// whether it crashed. The test must do nothing else before.
func inChild(t *testing.T, body func()) (output string, crashed bool) {
	t.Helper()
	const variable = "SINGLEFLIGHT_TEST_CHILD"
	if os.Getenv(variable) == t.Name() {
		body()
		os.Exit(0)
	}
	pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(t.Name()), "/", "$/^") + "$"
	cmd := exec.Command(os.Args[0], "-test.run="+pattern, "-test.count=1", "-test.v") // so that logs come before a crash
	cmd.Env = append(os.Environ(), variable+"="+t.Name())
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), err != nil
}
