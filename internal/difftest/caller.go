package difftest

import (
	"context"
	"runtime"

	"github.com/seed-737f55c4/singleflight/internal/model"
)

// A caller makes one call, on a goroutine of its own. The fields below the first
// group are written by that goroutine and by the function of the call; the run
// reads them while all goroutines are blocked.
type caller struct {
	Step    // the call
	run     *run
	group   group
	context context.Context
	cancel  context.CancelFunc
	ending  chan Ending // how its function shall end

	// How the call ended.
	result    result
	channel   channel
	sent      []int // channel callers who had their Results when this one, a leader, returned
	returned  bool
	recovered any
	panicked  bool
	exited    bool

	// What its function observed.
	runs        int
	running     bool
	onCaller    bool
	deadline    string
	fnContext   context.Context
	afterFunc   bool
	child       context.Context // of fnContext
	cancelChild context.CancelFunc

	// What the run has observed.
	seenAnswer   bool
	seenRuns     int
	seenContext  error
	seenCause    error
	contextBroke bool
}

// call makes the call and notes how it ended.
func (c *caller) call() {
	continued := false
	defer func() {
		c.run.afterObservation()
		c.exited = !continued
	}()
	c.callAndRecover()
	continued = true
}

func (c *caller) callAndRecover() {
	defer func() {
		c.run.afterObservation()
		if !c.returned {
			c.recovered = recover()
			c.panicked = c.recovered != nil
		}
	}()
	got, channel := c.callMethod()
	c.run.afterObservation()
	if c.Op == OpDo && c.runs > 0 {
		c.sent = c.run.sentResults()
	}
	c.result, c.returned = got, true
	if channel != nil { // a leader that returns looks at the others' channels
		c.channel = channel
	}
}

// callMethod returns what the method returned: a result or a channel.
func (c *caller) callMethod() (got result, channel channel) {
	switch c.Op {
	case OpDo:
		got.value, got.err, got.shared = c.group.Do(c.Key, c.function())
	case OpDoChan:
		channel = c.group.DoChan(c.Key, c.function())
	case OpDoContext:
		g := c.group.(contextGroup)
		got.value, got.err, got.shared = g.DoContext(c.context, c.Key, c.contextFunction())
	case OpDoChanContext:
		channel = c.group.(contextGroup).DoChanContext(c.context, c.Key, c.contextFunction())
	case OpFunc:
		got.value, got.err = c.group.(contextGroup).Func(c.loader())(c.context, c.Key)
	case OpWait:
		got.err = c.group.(contextGroup).Wait(c.context)
	}
	return got, channel
}

func (c *caller) function() func() (*Value, error) {
	if c.NilFunc {
		return nil
	}
	return c.runFunction
}

func (c *caller) contextFunction() func(context.Context) (*Value, error) {
	if c.NilFunc {
		return nil
	}
	return func(ctx context.Context) (*Value, error) {
		c.look(ctx)
		return c.runFunction()
	}
}

func (c *caller) loader() func(context.Context, string) (*Value, error) {
	if c.NilFunc {
		return nil
	}
	return func(ctx context.Context, key string) (*Value, error) {
		if key != c.Key {
			panic("the loader got the key " + key)
		}
		return c.contextFunction()(ctx)
	}
}

// runFunction runs until the script lets it end.
func (c *caller) runFunction() (*Value, error) {
	c.run.afterObservation()
	c.runs++
	c.onCaller = onCallersGoroutine()
	c.running = true
	ending := <-c.ending
	c.running = false
	return ending.perform(c.Caller, c.run.in)
}

// look looks at the context that the function got. That of every other caller is
// used as well: what is made of it must not change what it says.
func (c *caller) look(ctx context.Context) {
	c.run.afterObservation()
	c.fnContext = ctx
	c.deadline = deadlineOf(ctx)
	if ctx.Value(callerKey{}) != c.context.Value(callerKey{}) {
		c.deadline += ", values lost"
	}
	if c.Caller%2 == 0 {
		c.child, c.cancelChild = context.WithCancel(ctx)
		context.AfterFunc(ctx, func() {
			c.run.afterObservation()
			c.afterFunc = true
		})
	}
}

// copy is Clone for a value.
func (v *Value) copy() *Value {
	switch v.clone {
	case model.ClonePanics:
		raise(v.label + " cannot be copied")
	case model.CloneExits:
		runtime.Goexit()
	}
	return &Value{label: "copy of " + v.label}
}
