package difftest

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-737f55c4/singleflight/internal/model"
)

// RunModel runs the script on the model of the contract and returns its trace.
// Every step must apply, as Determined sees to. A step that crashes the process
// is the last that is traced.
func RunModel(s Script) Trace {
	r := newModelRun(s)
	for _, step := range s.Steps {
		r.perform(step)
		r.observe()
		if r.model.Crashed() {
			return r.trace()
		}
	}
	r.observeWaiting()
	r.landAll()
	r.observeWaiting()
	return r.trace()
}

// A modelRun is the state of a script that runs on the model.
type modelRun struct {
	script   Script
	model    *model.Model
	usesTime bool
	calls    []modelCall // in order
	step     int
	records  []modelRecord
}

// A modelCall is a call that was made.
type modelCall struct {
	Step
	context *model.Context
}

type modelRecord struct {
	Event
	value *model.Value
	panic *model.Panic
}

func newModelRun(s Script) *modelRun {
	var options []model.Options
	for _, o := range s.groups() {
		options = append(options, model.Options(o))
	}
	return &modelRun{script: s, model: model.New(options...), usesTime: s.usesTime()}
}

// replay returns the state of the model after the script.
func replay(s Script) *modelRun {
	r := newModelRun(s)
	for _, step := range s.Steps {
		r.perform(step)
	}
	return r
}

// applies reports whether the step makes sense now, and whether the contract
// determines what it does.
func (r *modelRun) applies(step Step) bool {
	switch {
	case r.model.Crashed() || step.Group >= len(r.script.groups()):
		return false
	case step.Op.call() || step.Op == OpWait:
		return r.callApplies(step)
	case step.Op == OpEnd:
		return slices.Contains(r.model.Leaders(), step.Caller) &&
			(r.clones(step.Caller) || !step.Ending.onlyWithClone())
	case step.Op == OpCancel:
		c := r.call(step.Caller)
		return c != nil && c.Step.Context.cancellable()
	}
	return true
}

func (r *modelRun) callApplies(step Step) bool {
	if r.call(step.Caller) != nil {
		return false
	}
	if !step.Op.takesContext() {
		return true
	}
	if step.Context.derives() && r.model.FlightContext(step.Context.Flight) == nil {
		return false
	}
	if step.Op != OpWait {
		return true
	}
	return step.Context.Kind != KindNil && r.model.WaitDetermined(step.Group, r.context(step))
}

// clones reports whether the caller's group has Clone.
func (r *modelRun) clones(caller int) bool {
	return r.script.groups()[r.call(caller).Group].Clone
}

// call returns the call of a caller, or nil.
func (r *modelRun) call(caller int) *modelCall {
	for i := range r.calls {
		if r.calls[i].Caller == caller {
			return &r.calls[i]
		}
	}
	return nil
}

func (r *modelRun) perform(step Step) {
	if r.usesTime {
		r.model.Advance(tick)
	}
	switch {
	case step.Op.call() || step.Op == OpWait:
		r.start(step)
	case step.Op == OpEnd:
		r.model.End(step.Caller, step.Ending.outcome(step.Caller))
	case step.Op == OpForget:
		r.model.Forget(step.Group, step.Key)
	case step.Op == OpForgetUnshared:
		forgotten := r.model.ForgetUnshared(step.Group, step.Key)
		r.happened(Event{Caller: nobody, What: Reports, Detail: fmt.Sprint(forgotten)})
	case step.Op == OpCancel:
		r.model.Cancel(r.call(step.Caller).context)
	case step.Op == OpSleep:
		r.model.Advance(step.Duration)
	}
}

func (r *modelRun) start(step Step) {
	c := modelCall{Step: step}
	if step.Op.takesContext() {
		c.context = r.context(step)
	}
	r.calls = append(r.calls, c)
	if step.Op == OpWait {
		r.model.Wait(step.Caller, step.Group, c.context)
		return
	}
	r.model.Call(model.Call{
		Caller:     step.Caller,
		Group:      step.Group,
		Key:        step.Key,
		Channel:    !step.Op.blocks(),
		Context:    c.context,
		NilContext: step.Op.takesContext() && step.Context.Kind == KindNil,
		NilFunc:    step.NilFunc,
	})
}

func (r *modelRun) context(step Step) *model.Context {
	m, flight := r.model, r.model.FlightContext(step.Context.Flight)
	switch step.Context.Kind {
	case KindCancellable:
		return m.Cancellable()
	case KindDone:
		ctx := m.Cancellable()
		m.Cancel(ctx)
		return ctx
	case KindTimeout:
		return m.Timeout(CallTimeout)
	case KindFlight:
		return flight
	case KindFlightCancellable:
		return m.WithCancel(flight)
	case KindFlightWithoutCancel:
		return m.WithoutCancel(flight)
	}
	return m.Background()
}

func (r *modelRun) landAll() {
	for {
		leaders := r.model.Leaders()
		if len(leaders) == 0 || r.model.Crashed() {
			return
		}
		r.model.End(leaders[0], WithValue.outcome(leaders[0]))
		r.observe()
	}
}

func (r *modelRun) observe() {
	clones := 0
	for _, e := range r.model.Events() {
		if e.What == model.Clones {
			clones++
			continue
		}
		r.record(e)
	}
	if clones > 0 {
		r.happened(Event{Caller: nobody, What: Clones, Detail: fmt.Sprint(clones)})
	}
	r.step++
}

func (r *modelRun) observeWaiting() {
	for _, caller := range r.model.Waiting() {
		r.happened(Event{Caller: caller, What: Waits})
	}
}

var modelWhat = map[model.What]What{
	model.Runs: Runs, model.Returns: Returns, model.Receives: Receives, model.Panics: Panics,
	model.Exits: Exits, model.ContextEnds: ContextEnds, model.Crashes: Crashes,
}

// record records an event of the model.
func (r *modelRun) record(e model.Event) {
	event := Event{
		Step: r.step, Caller: e.Caller, What: modelWhat[e.What],
		Err: e.Err, Shared: e.Shared, Leader: e.Leader, Detail: sentDetail(e.Sent),
	}
	if e.What == model.Runs {
		event.Detail = runsDetail(e.OnCaller, durationDetail(e.Deadline))
	}
	if c := r.call(e.Caller); c != nil && c.Op == OpFunc {
		event.Shared = false // 20: Func has no third result
	}
	r.records = append(r.records, modelRecord{event, e.Value, e.Panic})
}

func durationDetail(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func (r *modelRun) happened(e Event) {
	e.Step = r.step
	r.records = append(r.records, modelRecord{Event: e})
}

// trace returns what was recorded, in order, with names for values and panics.
func (r *modelRun) trace() Trace {
	slices.SortStableFunc(r.records, func(a, b modelRecord) int { return compareEvents(a.Event, b.Event) })
	var names naming
	trace := make(Trace, 0, len(r.records))
	for _, record := range r.records {
		e := record.Event
		if record.value != nil {
			e.Value = names.name(record.value.Label, record.value)
		}
		if p := record.panic; p != nil && (e.What == Panics || e.What == Crashes) {
			e.Panic = names.modelPanic(p)
		} else if p != nil {
			e.Err = names.modelPanic(p)
		}
		trace = append(trace, e)
	}
	return trace
}

func (n *naming) modelPanic(p *model.Panic) string {
	if p.Bare {
		return p.Text
	}
	return n.name(panicText(p), p)
}

// panicText describes a *PanicError of the model as describePanicError does.
func panicText(p *model.Panic) string {
	return panicDescription("PanicError", p.Text, p.Unwraps, p.Raised)
}

// ends reports whether the script can be run to its end: it doesn't crash the
// process and leaves nothing open, and nor does landing what still runs. A nil
// function may wait in a successor.
func (s Script) ends() bool {
	r := replay(s)
	r.landAll()
	return !r.model.Crashed() && !r.model.Open()
}

// thatEnds returns the longest beginning of the script that can be run to its end.
func (s Script) thatEnds() Script {
	for !s.ends() {
		s.Steps = s.Steps[:len(s.Steps)-1]
	}
	return s
}

// Determined returns the script without the steps that don't apply and those
// whose effect the contract leaves open, up to and without the first that would
// crash the process or, if inXSync, would crash it in x/sync.
func Determined(s Script, inXSync bool) Script {
	r := newModelRun(s)
	determined := Script{Groups: s.Groups}
	for _, step := range s.Steps {
		if !r.applies(step) {
			continue
		}
		if inXSync && r.crashesXSync(step) {
			break
		}
		if r.perform(step); r.model.Crashed() || r.model.Open() {
			break
		}
		determined.Steps = append(determined.Steps, step)
	}
	return determined.thatEnds()
}

// crashesXSync reports whether x/sync crashes the process at the step: at what it
// takes for a panic that a channel caller should get.
func (r *modelRun) crashesXSync(step Step) bool {
	switch {
	case step.Op == OpEnd:
		return step.Ending.panicsInXSync() && r.model.ChannelWaits(step.Caller)
	case step.NilFunc:
		return step.Op == OpDoChan
	}
	return false
}
