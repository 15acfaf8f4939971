package otelsingleflight

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/seed-737f55c4/singleflight"
)

// A classed error says of what type it is, if it isn't nil.
type classed struct{ class string }

func (e *classed) Error() string     { return "failed" }
func (e *classed) ErrorType() string { return e.class }

// These errors have a method each that panics.
type unwieldy struct{ error }

func (unwieldy) Unwrap() error { panic("no cause") }

type unlike struct{ error }

func (unlike) As(any) bool { panic("like nothing") }

type unspeakable struct{}

// The value of this panic can't be printed either, which fmt lets through.
func (unspeakable) Error() string { panic(unspeakable{}) }

// Callers get what the function returned, and the span ends, whatever the
// methods of the error do.
func TestErrorsWhoseMethodsPanic(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct {
		name        string
		err         error
		errorType   string
		description string
	}{
		{"none of them", &classed{"timeout"}, "timeout", "failed"},
		{"ErrorType, not UTF-8", &classed{"time\xffout"}, "time\uFFFDout", "failed"},
		{"ErrorType", (*classed)(nil), "*otelsingleflight.classed", "failed"},
		{"ErrorType of a wrapped one", fmt.Errorf("load: %w", (*classed)(nil)), "*fmt.wrapError", "load: failed"},
		{"ErrorType of a joined one", errors.Join(failed, (*classed)(nil)), "*errors.joinError", "failed\nfailed"},
		{"Unwrap", unwieldy{failed}, "otelsingleflight.unwieldy", "failed"},
		{"As", unlike{failed}, "otelsingleflight.unlike", "failed"},
		{"Error", unspeakable{}, "github.com/seed-737f55c4/singleflight/otelsingleflight.unspeakable",
			"(a otelsingleflight.unspeakable that can't be printed)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				fail := func() (int, error) { return 0, c.err }
				for way, call := range map[string]func(*rig) error{
					"Do":        func(r *rig) error { _, err, _ := r.Do("k", fail); return err },
					"DoChan":    func(r *rig) error { return (<-r.DoChan("k", fail)).Err },
					"DoContext": func(r *rig) error { _, err, _ := r.DoContext(t.Context(), "k", bound(fail)); return err },
				} {
					for _, recovers := range []bool{false, true} {
						r := newRig(t, singleflight.Options[string, int]{Recover: recovers}, nil)
						if err := call(r); err != c.err {
							t.Errorf("%s: another error", way)
						}
						synctest.Wait()
						flight := r.flight()
						if want := (sdktrace.Status{Code: codes.Error, Description: c.description}); flight.Status() != want {
							t.Errorf("%s: status %v, want %v", way, flight.Status(), want)
						}
						wantAttributes(t, flight, "singleflight.group=users", "singleflight.callers=1", "singleflight.detached=0",
							"error.type="+c.errorType)
						if len(r.metrics()) == 0 {
							t.Errorf("%s: no metrics", way)
						}
						r.wantNothingKept()
					}
				}
			})
		})
	}
}

// So it is with the value of a panic.
func TestPanicWithAValueThatCannotBePrinted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, singleflight.Options[string, int]{Recover: true}, nil)
		result := <-r.DoChan("k", func() (int, error) { panic(unspeakable{}) })
		if p, ok := result.Err.(*singleflight.PanicError); !ok || p.Value != (unspeakable{}) {
			t.Errorf("the caller got an error of type %T", result.Err)
		}
		synctest.Wait()
		if got, want := r.flight().Status().Description, "panic: (a otelsingleflight.unspeakable that can't be printed)"; got != want {
			t.Errorf("status %q, want %q", got, want)
		}
		r.wantNothingKept()
	})
}

func bound(fn func() (int, error)) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return fn() }
}
