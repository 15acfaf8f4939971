package flightz

import (
	"encoding/json"
	"expvar"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/seed-737f55c4/singleflight"
)

var names atomic.Int32

// unused returns a name that is not registered yet: a test may run more than
// once.
func unused(t *testing.T) string { return fmt.Sprintf("%s %d", t.Name(), names.Add(1)) }

// panicOf returns what f panics with.
func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}

func TestRegisterTakesGroupsOfAnyKind(t *testing.T) {
	type point struct{ x, y int }
	Register(unused(t), new(singleflight.Group[string, int]))
	Register(unused(t), new(singleflight.Group[int, []byte]))
	Register(unused(t), new(singleflight.Group[any, any]))
	Register(unused(t), singleflight.New(singleflight.Options[point, error]{CancelAbandoned: true}))
	RegisterFunc(unused(t), new(singleflight.Group[point, int]), func(p point) string { return fmt.Sprint(p.x, "…", p.y) })
	RegisterFunc(unused(t), new(singleflight.Group[point, int]), nil)
}

func TestRegisterRefusesATakenName(t *testing.T) {
	name := unused(t)
	Register(name, new(singleflight.Group[string, int]))
	for what, again := range map[string]func(){
		"Register":     func() { Register(name, new(singleflight.Group[int, int])) },
		"RegisterFunc": func() { RegisterFunc(name, new(singleflight.Group[string, int]), strings.ToUpper) },
	} {
		if text := fmt.Sprint(panicOf(again)); !strings.Contains(text, name) {
			t.Errorf("%s panics with %q, which doesn't name %q", what, text, name)
		}
	}
	// The names that are free can still be had.
	Register(unused(t), new(singleflight.Group[string, int]))
}

func TestRegisterRefusesANilGroup(t *testing.T) {
	name := unused(t)
	for _, g := range []inspected[string]{nil, (*singleflight.Group[string, int])(nil)} {
		if text := fmt.Sprint(panicOf(func() { Register(name, g) })); !strings.Contains(text, name) {
			t.Errorf("Register panics with %q, which doesn't name %q", text, name)
		}
	}
	Register(name, new(singleflight.Group[string, int]))
}

func TestUnregister(t *testing.T) {
	name, other := unused(t), unused(t)
	if Unregister(name) {
		t.Error("a name that was never registered was unregistered")
	}
	shown := func(name string) bool {
		answer := httptest.NewRecorder()
		Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/debug/flights", nil))
		onPage := strings.Contains(answer.Body.String(), "<h2>"+name+"</h2>")
		if inVar := strings.Contains(Var{}.String(), `"`+name+`"`); inVar != onPage {
			t.Errorf("%s on the page: %v, in Var: %v", name, onPage, inVar)
		}
		return onPage
	}
	Register(name, new(singleflight.Group[string, int]))
	Register(other, new(singleflight.Group[string, int]))
	if !Unregister(name) || Unregister(name) {
		t.Error("a name must be there once")
	}
	if shown(name) || !shown(other) {
		t.Error("another group was taken off the page")
	}
	RegisterFunc(name, new(singleflight.Group[int, int]), nil)
	if !shown(name) {
		t.Error("the name isn't free again")
	}
	Unregister(name)
	Unregister(other)
}

// A group that was taken off the page isn't kept.
func TestUnregisterLetsGo(t *testing.T) {
	name := unused(t)
	gone := func() weak.Pointer[singleflight.Group[string, int]] {
		g := new(singleflight.Group[string, int])
		Register(name, g)
		return weak.Make(g)
	}()
	Unregister(name)
	for range 20 {
		if runtime.GC(); gone.Value() == nil {
			return
		}
	}
	t.Error("the group is kept")
}

func TestHandlerShowsWhatIsRegistered(t *testing.T) {
	h := Handler()
	name := unused(t)
	var g singleflight.Group[string, int]
	Register(name, &g)
	secret := unused(t)
	RegisterFunc(secret, &g, func(string) string { return "hidden" })
	g.Do("the key", func() (int, error) {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("GET", "/debug/flights", nil))
		page := answer.Body.String()
		section := func(name string) string {
			_, rest, _ := strings.Cut(page, "<h2>"+name+"</h2>")
			text, _, _ := strings.Cut(rest, "</section>")
			return text
		}
		if !strings.Contains(section(name), "the key") {
			t.Errorf("the section of the group doesn't show the key:\n%s", section(name))
		}
		if text := section(secret); !strings.Contains(text, "hidden") || strings.Contains(text, "the key") {
			t.Errorf("the section of the group with secret keys:\n%s", text)
		}
		return 0, nil
	})
}

func TestVar(t *testing.T) {
	var _ expvar.Var = Var{}
	name := unused(t)
	var g singleflight.Group[string, int]
	Register(name, &g)
	var text string
	g.Do("the key", func() (int, error) {
		text = Var{}.String()
		return 0, nil
	})
	if strings.Contains(text, "the key") {
		t.Errorf("it names a key: %s", text)
	}
	var got map[string]map[string]float64
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	want := map[string]float64{
		"calls": 1, "flights": 1, "joined": 0, "detached": 0, "abandoned": 0, "dropped": 0, "panics": 0, "inFlight": 1,
		"dedupRatio": 0,
	}
	if diff := cmp.Diff(want, got[name]); diff != "" {
		t.Errorf("the group's object (-want +got):\n%s", diff)
	}
}

func TestVarWithoutGroups(t *testing.T) {
	if got := new(registry).counters(); got != "{}" {
		t.Errorf("got %s", got)
	}
}

func Example() {
	var users singleflight.Group[int, string]
	Register("users", &users)

	// The keys of this group are for nobody's eyes.
	var sessions singleflight.Group[string, string]
	RegisterFunc("sessions", &sessions, func(token string) string { return token[:4] + "…" })

	http.Handle("/debug/flights", Handler())
	expvar.Publish("flights", Var{})
}
