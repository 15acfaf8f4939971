package dress_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
)

// query is how long a load of these tests takes; a patient client always waits for it.
const query = time.Minute

// slow is a Load that takes as long as query, unless its context ends, and counts.
type slow struct{ begun, running atomic.Int32 }

func (s *slow) load(ctx context.Context, key string) ([]byte, error) {
	s.begun.Add(1)
	s.running.Add(1)
	defer s.running.Add(-1)
	select {
	case <-time.After(query):
		return []byte(key), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type outcome struct {
	answer string
	err    error
}

// ask asks in the background, and answers when the channel is read.
func ask(ctx context.Context, front dress.Front, key string) <-chan outcome {
	ended := make(chan outcome, 1)
	go func() {
		answer, err := front.Answer(ctx, key)
		ended <- outcome{string(answer), err}
	}()
	synctest.Wait()
	return ended
}

// each runs a test in a bubble for every dress.
func each(t *testing.T, test func(t *testing.T, d dress.Dress)) {
	for _, d := range dress.All() {
		t.Run(d.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, d) })
		})
	}
}

func TestRequestsForOneKey(t *testing.T) {
	each(t, func(t *testing.T, d dress.Dress) {
		want := int32(1)
		if d.Name == "no deduplication" {
			want = 3
		}
		var s slow
		front := d.New(s.load, time.Hour)
		var all []<-chan outcome
		for range 3 {
			all = append(all, ask(t.Context(), front, "key"))
		}
		other := ask(t.Context(), front, "other")
		if running := s.running.Load(); running != want+1 {
			t.Errorf("%d loads run, want %d", running, want+1)
		}
		for _, ended := range all {
			if got := <-ended; got != (outcome{"key", nil}) {
				t.Errorf("got %+v, want the answer", got)
			}
		}
		if got := <-other; got != (outcome{"other", nil}) {
			t.Errorf("got %+v, want the other answer", got)
		}
		<-ask(t.Context(), front, "key")
		if begun := s.begun.Load(); begun != want+2 {
			t.Errorf("%d loads began, want %d", begun, want+2)
		}
	})
}

// A patient request that comes second is why the scene exists: only x/sync Do, as people write it, lets it fall.
func TestFirstRequestHangsUp(t *testing.T) {
	each(t, func(t *testing.T, d dress.Dress) {
		want := outcome{"key", nil}
		if d.Name == "x/sync Do" {
			want = outcome{"", context.Canceled}
		}
		var s slow
		front := d.New(s.load, time.Hour)
		hangs, hangUp := context.WithCancel(t.Context())
		first := ask(hangs, front, "key")
		second := ask(t.Context(), front, "key")
		hangUp()
		if got := <-first; !errors.Is(got.err, context.Canceled) {
			t.Errorf("the request that hung up got %+v, want its context's error", got)
		}
		if got := <-second; got.answer != want.answer || !errors.Is(got.err, want.err) {
			t.Errorf("the other got %+v, want %+v", got, want)
		}
	})
}

func TestSecondRequestHangsUp(t *testing.T) {
	each(t, func(t *testing.T, d dress.Dress) {
		var s slow
		front := d.New(s.load, time.Hour)
		first := ask(t.Context(), front, "key")
		hangs, hangUp := context.WithCancel(t.Context())
		second := ask(hangs, front, "key")
		hangUp()
		if got := <-first; got != (outcome{"key", nil}) {
			t.Errorf("the first got %+v, want the answer", got)
		}
		<-second // under x/sync Do it can't leave
	})
}

func TestWaitDrainsWhatNobodyWaitsFor(t *testing.T) {
	each(t, func(t *testing.T, d dress.Dress) {
		var s slow
		front := d.New(s.load, time.Hour)
		hangs, hangUp := context.WithCancel(t.Context())
		ended := ask(hangs, front, "key")
		hangUp()
		<-ended

		goesOn := d.Name == "x/sync DoChan" || d.Name == "this package"
		if running := s.running.Load(); goesOn != (running == 1) {
			t.Errorf("%d loads run", running)
		}
		soon, cancel := context.WithTimeout(t.Context(), query/2)
		defer cancel()
		if err := front.Wait(soon); (err != nil) != goesOn || goesOn && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("for half the time, Wait gives %v", err)
		}
		if err := front.Wait(t.Context()); err != nil || s.running.Load() != 0 {
			t.Errorf("Wait gives %v, and %d loads run; want nil and none", err, s.running.Load())
		}
	})
}

func TestLimit(t *testing.T) {
	each(t, func(t *testing.T, d dress.Dress) {
		var s slow
		start := time.Now()
		got := <-ask(t.Context(), d.New(s.load, query/2), "key")
		if !errors.Is(got.err, context.DeadlineExceeded) || time.Since(start) != query/2 {
			t.Errorf("got %+v after %v, want a deadline after %v", got, time.Since(start), query/2)
		}
	})
}

func TestFailureOfALoad(t *testing.T) {
	failure := errors.New("failure")
	each(t, func(t *testing.T, d dress.Dress) {
		front := d.New(func(context.Context, string) ([]byte, error) { return nil, failure }, time.Hour)
		if got := <-ask(t.Context(), front, "key"); got.answer != "" || got.err != failure {
			t.Errorf("got %+v, want the failure", got)
		}
	})
}

// net/http recovers panics in handlers; a load that panics beside them must not end the process either.
func TestPanicOfALoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mine dress.Dress
		for _, d := range dress.All() {
			if d.Mine {
				mine = d
			}
		}
		front := mine.New(func(context.Context, string) ([]byte, error) { panic("lost") }, time.Hour)
		if got := <-ask(t.Context(), front, "key"); got.err == nil {
			t.Errorf("got %+v, want an error", got)
		}
	})
}
