package otelsingleflight

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/seed-737f55c4/singleflight"
)

func TestFlightIsAChildOfItsLeadersSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		ctx, request := r.request("leader")
		var inside trace.SpanContext
		r.DoContext(ctx, "k", func(ctx context.Context) (int, error) {
			inside = trace.SpanContextFromContext(ctx)
			time.Sleep(3 * time.Second)
			return 1, nil
		})
		synctest.Wait()

		flight := r.flight()
		if flight.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("parent %v, want the leader's span", flight.Parent())
		}
		if !inside.Equal(flight.SpanContext()) {
			t.Errorf("the function's span is %v, want the flight's", inside)
		}
		if flight.Name() != "singleflight users" || flight.SpanKind() != trace.SpanKindInternal {
			t.Errorf("span %q of kind %v", flight.Name(), flight.SpanKind())
		}
		if took := flight.EndTime().Sub(flight.StartTime()); took != 3*time.Second {
			t.Errorf("the span took %v, want 3s", took)
		}
		if flight.Status().Code != codes.Unset {
			t.Errorf("status %v, want none", flight.Status())
		}
		wantAttributes(t, flight, "singleflight.group=users", "singleflight.callers=1", "singleflight.detached=0")
		r.wantLinks(request, flight, 0)
		r.wantNothingKept()
	})
}

func TestFlightOutlivesItsLeadersSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		ctx, request := r.request("leader")
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r.DoContext(ctx, "k", func(context.Context) (int, error) {
			time.Sleep(5 * time.Second)
			return 1, nil
		})
		request.End()
		r.Wait(t.Context())
		synctest.Wait()

		flight := r.flight()
		if flight.Parent().SpanID() != request.SpanContext().SpanID() {
			t.Errorf("parent %v, want the leader's span", flight.Parent())
		}
		if took := flight.EndTime().Sub(flight.StartTime()); took != 5*time.Second {
			t.Errorf("the span took %v, want 5s", took)
		}
		wantAttributes(t, flight, "singleflight.group=users", "singleflight.callers=1", "singleflight.detached=1")
		r.wantNothingKept()
	})
}

func TestJoinersAreLinkedToTheFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		g := make(gate)
		leading, leader := r.request("leader")
		blocking, first := r.request("blocking")
		waiting, second := r.request("channel")
		go r.DoContext(leading, "k", g.pass)
		synctest.Wait()
		go r.DoContext(blocking, "k", g.pass)
		synctest.Wait()
		r.DoChanContext(waiting, "k", g.pass)
		r.DoChanContext(waiting, "k", g.pass)
		go r.Do("k", nil)
		r.DoChan("k", nil)
		synctest.Wait()
		close(g)
		synctest.Wait()

		flight := r.flight()
		r.wantLinks(leader, flight, 0)
		r.wantLinks(first, flight, 1)
		r.wantLinks(second, flight, 2)
		if len(flight.Links()) != 0 {
			t.Errorf("links from the flight: %v", flight.Links())
		}
		wantAttributes(t, flight, "singleflight.group=users", "singleflight.callers=6", "singleflight.detached=0")
		r.wantNothingKept()
	})
}

func TestFlightsWithoutAContextHaveNoParent(t *testing.T) {
	for _, c := range []struct {
		name string
		lead func(r *rig, g gate)
	}{
		{"Do", func(r *rig, g gate) { r.Do("k", func() (int, error) { return g.pass(r.t.Context()) }) }},
		{"DoChan", func(r *rig, g gate) { r.DoChan("k", func() (int, error) { return g.pass(r.t.Context()) }) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, singleflight.Options[string, int]{}, nil)
				g := make(gate)
				go c.lead(r, g)
				synctest.Wait()
				ctx, joiner := r.request("joiner")
				go r.DoContext(ctx, "k", g.pass)
				synctest.Wait()
				close(g)
				synctest.Wait()

				flight := r.flight()
				if flight.Parent().IsValid() {
					t.Errorf("parent %v, want none", flight.Parent())
				}
				r.wantLinks(joiner, flight, 1)
				r.wantNothingKept()
			})
		})
	}
}

// Who joins a successor that waits joins a flight that has no span yet.
func TestJoinersOfASuccessorAreLinkedWhenItStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{CancelAbandoned: true}, nil)
		first, second := make(gate), make(gate)
		r.abandon("k", first)

		leading, leader := r.request("leader")
		staying, joiner := r.request("joiner")
		leaving, quitter := r.request("quitter")
		leaving, cancel := context.WithCancel(leaving)
		go r.DoContext(leading, "k", second.pass)
		synctest.Wait()
		go r.DoContext(staying, "k", second.pass)
		r.DoChanContext(staying, "k", second.pass)
		go r.DoContext(leaving, "k", second.pass)
		go r.DoContext(t.Context(), "k", second.pass) // has no span
		synctest.Wait()
		r.wantLinks(joiner, nil, 0)
		cancel()
		synctest.Wait()

		close(first)
		synctest.Wait()
		if n := len(joiner.(sdktrace.ReadOnlySpan).Links()); n != 2 {
			t.Errorf("%d links once the successor runs, want 2", n)
		}
		close(second)
		synctest.Wait()

		flights := r.flights()
		if len(flights) != 2 {
			t.Fatalf("%d spans of flights, want 2", len(flights))
		}
		successor := flights[1]
		if successor.Parent().SpanID() != leader.SpanContext().SpanID() {
			t.Errorf("parent %v, want the leader's span", successor.Parent())
		}
		r.wantLinks(joiner, successor, 2)
		r.wantLinks(quitter, successor, 0)
		wantAttributes(t, successor, "singleflight.group=users", "singleflight.callers=5", "singleflight.detached=1")
		r.wantNothingKept()
	})
}

func TestDroppedFlightLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{CancelAbandoned: true}, nil)
		g := make(gate)
		r.abandon("k", g)
		for range 100 {
			leading, request := r.request("request")
			joining, _ := r.request("joiner")
			leading, cancelLeader := context.WithCancel(leading)
			joining, cancelJoiner := context.WithCancel(joining)
			go r.DoContext(leading, "k", g.pass)
			synctest.Wait()
			go r.DoContext(leading, "k", g.pass)
			r.DoChanContext(joining, "k", g.pass)
			go r.DoContext(joining, "k", g.pass)
			synctest.Wait()
			cancelLeader()
			cancelJoiner()
			synctest.Wait()
			r.wantLinks(request, nil, 0)
		}
		if dropped := r.Stats().Dropped; dropped != 100 {
			t.Fatalf("%d flights were dropped, want 100", dropped)
		}
		if n := len(r.recorder.flights.known); n != 1 {
			t.Errorf("%d flights are kept, want the one in the air", n)
		}
		close(g)
		synctest.Wait()
		r.flight()
		r.wantNothingKept()
	})
}

// abandon leaves a cancelled flight in the air.
func (r *rig) abandon(key string, g gate) {
	ctx, cancel := context.WithCancel(r.t.Context())
	go r.DoContext(ctx, key, g.pass)
	synctest.Wait()
	cancel()
	synctest.Wait()
}

type notFound struct{ key string }

func (e *notFound) Error() string { return "no user " + e.key }

func TestFailedFlights(t *testing.T) {
	for _, c := range []struct {
		name        string
		fn          func(context.Context) (int, error)
		errorType   string
		description string
	}{
		{"error", func(context.Context) (int, error) { return 0, &notFound{"17"} },
			"*otelsingleflight.notFound", "no user 17"},
		{"wrapped", func(context.Context) (int, error) { return 0, fmt.Errorf("load: %w", &notFound{"17"}) },
			"*otelsingleflight.notFound", "load: no user 17"},
		{"typed nil", func(context.Context) (int, error) { return 0, (*notFound)(nil) },
			"*otelsingleflight.notFound", "<nil>"},
		{"nil PanicError", func(context.Context) (int, error) { return 0, (*singleflight.PanicError)(nil) },
			"*singleflight.PanicError", "<nil>"},
		{"not UTF-8", func(context.Context) (int, error) { return 0, errors.New("no user \xff") },
			"*errors.errorString", "no user \uFFFD"},
		{"panic", func(context.Context) (int, error) { panic("out of users") },
			"panic", "panic: out of users"},
		{"panic with an error", func(context.Context) (int, error) { panic(&notFound{"17"}) },
			"panic", "panic: no user 17"},
		{"Goexit", func(context.Context) (int, error) { runtime.Goexit(); return 0, nil },
			"goexit", singleflight.ErrGoexit.Error()},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, singleflight.Options[string, int]{Recover: true}, nil)
				ctx, cancel := context.WithCancel(t.Context()) // so that fn has a goroutine of its own
				defer cancel()
				r.DoContext(ctx, "k", c.fn)
				synctest.Wait()

				flight := r.flight()
				if want := (sdktrace.Status{Code: codes.Error, Description: c.description}); flight.Status() != want {
					t.Errorf("status %v, want %v", flight.Status(), want)
				}
				wantAttributes(t, flight, "singleflight.group=users", "singleflight.callers=1", "singleflight.detached=0",
					"error.type="+c.errorType)
				wantPanicEvent(t, flight, strings.HasPrefix(c.description, "panic: "))
				r.wantNothingKept()
			})
		})
	}
}

// wantPanicEvent checks that a span has one event if it tells of a panic, with
// its stack, and none otherwise.
func wantPanicEvent(t *testing.T, span sdktrace.ReadOnlySpan, want bool) {
	t.Helper()
	events := span.Events()
	if !want {
		if len(events) != 0 {
			t.Errorf("events: %v", events)
		}
		return
	}
	if len(events) != 1 || events[0].Name != "exception" {
		t.Fatalf("events: %v, want one exception", events)
	}
	texts := make(map[string]string)
	for _, a := range events[0].Attributes {
		texts[string(a.Key)] = a.Value.String()
	}
	if _, message, _ := strings.Cut(span.Status().Description, ": "); texts["exception.message"] != message {
		t.Errorf("exception.message %q, want %q", texts["exception.message"], message)
	}
	if texts["exception.type"] != "string" && texts["exception.type"] != "*otelsingleflight.notFound" {
		t.Errorf("exception.type %q, want that of the panic's value", texts["exception.type"])
	}
	if !strings.Contains(texts["exception.stacktrace"], "TestFailedFlights") {
		t.Errorf("exception.stacktrace doesn't name the function:\n%s", texts["exception.stacktrace"])
	}
}

// A panic that goes on to the leader ends the span all the same.
func TestPanicWithoutRecover(t *testing.T) {
	r := newRig(t, singleflight.Options[string, int]{}, nil)
	func() {
		defer func() { recover() }()
		r.Do("k", func() (int, error) { panic("out of users") })
	}()
	if got := r.flight().Status().Description; got != "panic: out of users" {
		t.Errorf("status %q", got)
	}
	r.wantNothingKept()
}

func TestKeysAreRecordedOnlyIfAskedFor(t *testing.T) {
	const secret = "token-17"
	plain := newRig(t, singleflight.Options[string, int]{}, nil)
	plain.Do(secret, func() (int, error) { return 1, nil })
	if span := fmt.Sprint(plain.flight().Attributes(), plain.flight().Name()); strings.Contains(span, secret) {
		t.Errorf("the span has the key: %s", span)
	}

	shown := newRig(t, singleflight.Options[string, int]{}, func(key string) string { return "<" + key + "\xff>" })
	shown.Do(secret, func() (int, error) { return 1, nil })
	wantAttributes(t, shown.flight(), "singleflight.group=users", "singleflight.callers=1", "singleflight.detached=0",
		"singleflight.key=<token-17\uFFFD>")
	if metrics := fmt.Sprint(shown.metrics()); strings.Contains(metrics, secret) {
		t.Errorf("the metrics have the key: %s", metrics)
	}
}

func TestPanicInKeyIsTheFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entered, leave := make(chan struct{}), make(chan struct{})
		r := newRig(t, singleflight.Options[string, int]{Recover: true}, func(string) string {
			close(entered)
			<-leave
			panic("no text")
		})
		leading, leader := r.request("leader")
		joining, joiner := r.request("joiner")
		go func() {
			_, err, _ := r.DoContext(leading, "k", func(context.Context) (int, error) { return 1, nil })
			var p *singleflight.PanicError
			if !errors.As(err, &p) || p.Value != "no text" {
				t.Errorf("err %v, want the panic", err)
			}
		}()
		<-entered
		go r.DoContext(joining, "k", nil)
		synctest.Wait()
		close(leave)
		synctest.Wait()
		if flights := r.flights(); len(flights) != 0 {
			t.Errorf("spans of flights: %v", flights)
		}
		if leader.(sdktrace.ReadOnlySpan).EndTime() != (time.Time{}) {
			t.Error("the leader's span was ended")
		}
		r.wantLinks(joiner, nil, 0)
		r.wantNothingKept()
	})
}

// Without a provider for the flights' spans, whoever joins must not be linked
// to the leader's span instead.
func TestNoLinksWithoutSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{}, nil)
		group := singleflight.New(singleflight.Options[string, int]{
			Trace: NewTrace("users", Options[string]{TracerProvider: noop.NewTracerProvider()}),
		})
		g := make(gate)
		leading, leader := r.request("leader")
		joining, joiner := r.request("joiner")
		go group.DoContext(leading, "k", g.pass)
		synctest.Wait()
		go group.DoContext(joining, "k", g.pass)
		synctest.Wait()
		close(g)
		synctest.Wait()
		r.wantLinks(joiner, nil, 0)
		r.wantLinks(leader, nil, 0)
		if leader.(sdktrace.ReadOnlySpan).EndTime() != (time.Time{}) {
			t.Error("the leader's span was ended")
		}
	})
}

func TestUnsampledFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		spans := tracetest.NewSpanRecorder()
		recorder := newRecorder("users", Options[string]{
			TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans), sdktrace.WithSampler(sdktrace.NeverSample())),
			MeterProvider:  otel.GetMeterProvider(),
		})
		group := singleflight.New(singleflight.Options[string, int]{Trace: recorder.trace()})
		g := make(gate)
		go group.DoContext(t.Context(), "k", g.pass)
		synctest.Wait()
		go group.DoContext(t.Context(), "k", g.pass)
		synctest.Wait()
		close(g)
		synctest.Wait()
		if n := len(spans.Ended()); n != 0 {
			t.Errorf("%d spans, want none", n)
		}
		if n := len(recorder.flights.known); n != 0 {
			t.Errorf("%d flights are kept, want none", n)
		}
	})
}
