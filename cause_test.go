package singleflight_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

func TestCausesMatchTheirErrors(t *testing.T) {
	// Clause 15: ErrFlightTimeout matches context.DeadlineExceeded, ErrAbandoned context.Canceled, and neither the other.
	for cause, want := range map[error]error{
		singleflight.ErrFlightTimeout: context.DeadlineExceeded,
		singleflight.ErrAbandoned:     context.Canceled,
	} {
		for _, err := range []error{context.DeadlineExceeded, context.Canceled, singleflight.ErrDeadlock, singleflight.ErrGoexit} {
			if is := errors.Is(cause, err); is != (err == want) {
				t.Errorf("errors.Is(%v, %v) is %v", cause, err, is)
			}
			if errors.Is(err, cause) {
				t.Errorf("%v is %v", err, cause)
			}
		}
		if !errors.Is(cause, cause) {
			t.Errorf("%v isn't itself", cause)
		}
		timeout, ok := cause.(interface{ Timeout() bool })
		if is := want == context.DeadlineExceeded; !ok || timeout.Timeout() != is || os.IsTimeout(cause) != is {
			t.Errorf("%v: Timeout isn't %v", cause, is)
		}
	}
	if _, ok := singleflight.ErrFlightTimeout.(net.Error); !ok {
		t.Error("ErrFlightTimeout is no net.Error, as context.DeadlineExceeded is")
	}
}

func TestCauseIsOfTheFlightAlone(t *testing.T) {
	// Clause 15: a caller gets its own ctx.Err(), never a cause; and the cause of a caller's context isn't the flight's.
	eachWay(t, detaching, func(t *testing.T, w way) {
		g := cancelling(timed(time.Hour))
		ctx, cancel := context.WithCancelCause(t.Context())
		j := newJob()
		leader := w.call(g, ctx, "key", j)
		cancel(errFlight)
		synctest.Wait()
		leader.got(t, canceled)
		inState(t, "abandoned", j.ctx, singleflight.ErrAbandoned)
		j.returns(1)

		short, cancelShort := context.WithTimeoutCause(t.Context(), 2*time.Hour, errFlight)
		defer cancelShort()
		j = newJob()
		leader = w.call(g, short, "key", j)
		sleep(time.Hour)
		inState(t, "timed out", j.ctx, singleflight.ErrFlightTimeout)
		sleep(time.Hour)
		leader.got(t, late)
		inState(t, "timed out, and abandoned after that", j.ctx, singleflight.ErrFlightTimeout)
		j.returns(2)
	})
}

func TestCauseOfASuccessor(t *testing.T) {
	// Clause 15: it has its own, and not that of the flight that it waited for.
	eachWay(t, bound, func(t *testing.T, w way) {
		g := cancelling(timed(time.Minute))
		before := abandoned(t, g, "key")
		j := newJob()
		w.call(g, t.Context(), "key", j)
		sleep(time.Hour)
		before.returns(1)
		inState(t, "the cancelled flight", before.ctx, singleflight.ErrAbandoned)
		inState(t, "the successor", j.ctx, nil)
		sleep(time.Minute)
		inState(t, "the successor past its time", j.ctx, singleflight.ErrFlightTimeout)
		j.returns(2)
	})
}
