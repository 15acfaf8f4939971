package promsingleflight

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed-737f55c4/singleflight"
)

// stuck is a function for flights that returns when its gate is closed.
func stuck(gate <-chan struct{}) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		<-gate
		return 1, nil
	}
}

// want compares all that c collects.
func want(t *testing.T, c *Collector, text string) {
	t.Helper()
	if err := testutil.CollectAndCompare(c, strings.NewReader(text)); err != nil {
		t.Error(err)
	}
}

const header = `
# HELP singleflight_abandoned_total Times that a flight lost its last caller.
# TYPE singleflight_abandoned_total counter
singleflight_abandoned_total{group="users"} %d
# HELP singleflight_calls_total Calls that led or joined a flight.
# TYPE singleflight_calls_total counter
singleflight_calls_total{group="users"} %d
# HELP singleflight_detached_total Callers that left before the landing.
# TYPE singleflight_detached_total counter
singleflight_detached_total{group="users"} %d
# HELP singleflight_dropped_total Successors that never ran.
# TYPE singleflight_dropped_total counter
singleflight_dropped_total{group="users"} %d
# HELP singleflight_flights_total Functions run.
# TYPE singleflight_flights_total counter
singleflight_flights_total{group="users"} %d
# HELP singleflight_in_flight Flights in the air, by state.
# TYPE singleflight_in_flight gauge
singleflight_in_flight{group="users",state="abandoned"} %d
singleflight_in_flight{group="users",state="cancelled"} %d
singleflight_in_flight{group="users",state="running"} %d
singleflight_in_flight{group="users",state="waiting"} %d
# HELP singleflight_joined_total Calls that joined another caller's flight: the work spared.
# TYPE singleflight_joined_total counter
singleflight_joined_total{group="users"} %d
# HELP singleflight_oldest_flight_age_seconds Age of the oldest flight known to be in the air, 0 if there is none.
# TYPE singleflight_oldest_flight_age_seconds gauge
singleflight_oldest_flight_age_seconds{group="users"} %g
# HELP singleflight_panics_total Flights that ended in a panic or Goexit.
# TYPE singleflight_panics_total counter
singleflight_panics_total{group="users"} %d
`

func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		users := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true, Recover: true})
		var c Collector
		Register(&c, "users", users)
		want(t, &c, fmt.Sprintf(header, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0))

		gate := make(chan struct{})
		leave := func(key string) {
			ctx, cancel := context.WithCancel(t.Context())
			users.DoChanContext(ctx, key, stuck(gate))
			cancel()
			synctest.Wait()
		}
		leave("a")
		leave("a") // its successor is dropped
		users.DoChanContext(t.Context(), "a", stuck(gate))
		users.DoChanContext(t.Context(), "b", stuck(gate))
		leave("b") // the other caller stays
		users.Do("c", func() (int, error) { panic("out of users") })
		users.Do("c", func() (int, error) { return 0, errors.New("no user") })
		synctest.Wait()
		time.Sleep(90 * time.Second) // the flight of b is known by now
		want(t, &c, fmt.Sprintf(header, 2, 7, 3, 1, 4, 0, 1, 1, 1, 1, 90.0, 1))

		close(gate)
		synctest.Wait()
		want(t, &c, fmt.Sprintf(header, 2, 7, 3, 1, 5, 0, 0, 0, 0, 1, 0.0, 1))
	})
}

func TestAbandonedFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var users singleflight.Group[int, int]
		var c Collector
		Register(&c, "users", &users)
		gate := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		users.DoChanContext(ctx, 1, stuck(gate))
		cancel()
		synctest.Wait()
		want(t, &c, fmt.Sprintf(header, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0.0, 0))
		time.Sleep(time.Hour) // since that scrape
		want(t, &c, fmt.Sprintf(header, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 3600.0, 0))
		close(gate)
	})
}

func TestLint(t *testing.T) {
	var c Collector
	Register(&c, "users", new(singleflight.Group[string, int]))
	problems, err := testutil.CollectAndLint(&c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestEveryStateHasAName(t *testing.T) {
	for state, name := range states {
		if text := singleflight.FlightState(state).String(); !strings.EqualFold(name, text) {
			t.Errorf("state %s is named %s", text, name)
		}
	}
	if text := singleflight.FlightState(len(states)).String(); !strings.Contains(text, "(") {
		t.Errorf("state %s has no name", text)
	}
}

// A found group is as it was found.
type found []singleflight.Flight[string]

func (f found) Stats() singleflight.Stats { return singleflight.Stats{InFlight: len(f)} }

func (f found) Flights() iter.Seq[singleflight.Flight[string]] {
	return slices.Values([]singleflight.Flight[string](f))
}

// The library may be newer than this package.
func TestUnknownStates(t *testing.T) {
	unknown := singleflight.FlightState(len(states))
	var c Collector
	Register(&c, "users", found{{State: unknown}, {State: singleflight.Waiting}, {State: unknown + 1000}, {State: -1}})
	err := testutil.CollectAndCompare(&c, strings.NewReader(`
# HELP singleflight_in_flight Flights in the air, by state.
# TYPE singleflight_in_flight gauge
singleflight_in_flight{group="users",state="abandoned"} 0
singleflight_in_flight{group="users",state="cancelled"} 0
singleflight_in_flight{group="users",state="running"} 0
singleflight_in_flight{group="users",state="unknown"} 3
singleflight_in_flight{group="users",state="waiting"} 1
`), "singleflight_in_flight")
	if err != nil {
		t.Error(err)
	}
}

func TestGroupsOfAnyKind(t *testing.T) {
	var c Collector
	Register(&c, "strings", new(singleflight.Group[string, int]))
	Register(&c, "ints", new(singleflight.Group[int, []byte]))
	Register(&c, "structs", singleflight.New(singleflight.Options[struct{ a, b any }, error]{}))
	Register(&c, "", new(singleflight.Group[any, any]))
	Register(&c, "näme \"quoted\"\n", new(singleflight.Group[any, any]))
	if n := testutil.CollectAndCount(&c, "singleflight_flights_total"); n != 5 {
		t.Errorf("%d groups are collected, want 5", n)
	}
}

// panicOf returns the text of what f panics with.
func panicOf(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return
}

func TestRegisterRefuses(t *testing.T) {
	var c Collector
	Register(&c, "users", new(singleflight.Group[string, int]))
	for what, f := range map[string]func(){
		`reuse of name "users"`:           func() { Register(&c, "users", new(singleflight.Group[int, int])) },
		`nil group "none"`:                func() { Register[int](&c, "none", nil) },
		`nil group "nil"`:                 func() { Register(&c, "nil", (*singleflight.Group[int, int])(nil)) },
		`name "a\xff" is not valid UTF-8`: func() { Register(&c, "a\xff", new(singleflight.Group[int, int])) },
	} {
		if got, want := panicOf(f), "promsingleflight: "+what; got != want {
			t.Errorf("panic %q, want %q", got, want)
		}
	}
	if n := testutil.CollectAndCount(&c, "singleflight_flights_total"); n != 1 {
		t.Errorf("%d groups are collected, want 1", n)
	}
}

func TestOldestFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		for _, c := range []struct {
			since []time.Duration
			want  time.Duration
		}{
			{nil, 0},
			{[]time.Duration{-3 * time.Second}, 3 * time.Second},
			{[]time.Duration{-1 * time.Second, -5 * time.Second, -2 * time.Second}, 5 * time.Second},
			{[]time.Duration{time.Hour}, 0}, // the clock may have been set back since it was stamped
			{[]time.Duration{time.Hour, -time.Second, time.Minute}, time.Second},
		} {
			var flights found
			for _, d := range c.since {
				flights = append(flights, singleflight.Flight[string]{Since: now.Add(d)})
			}
			if a := observe(flights.Flights()); a.oldest != c.want {
				t.Errorf("the oldest flight of %v is %v old, want %v", c.since, a.oldest, c.want)
			}
		}
	})
}

// A scrape takes no memory for flights.
func TestScrapeTakesLittleMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g singleflight.Group[int, int]
		var c Collector
		Register(&c, "burst", &g)
		gate := make(chan struct{})
		for key := range 5000 {
			g.DoChanContext(t.Context(), key, stuck(gate))
		}
		synctest.Wait()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		a := c.groups["burst"].air()
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 50_000 || a.flights[singleflight.Running] != 5000 {
			t.Errorf("a look at %d flights took %d bytes", a.flights[singleflight.Running], took)
		}
		close(gate)
	})
}

func TestUnregister(t *testing.T) {
	var c Collector
	if c.Unregister("users") {
		t.Error("a name that was never registered was unregistered")
	}
	Register(&c, "users", new(singleflight.Group[string, int]))
	Register(&c, "sessions", new(singleflight.Group[string, int]))
	if !c.Unregister("users") || c.Unregister("users") {
		t.Error("a name must be there once")
	}
	if n := testutil.CollectAndCount(&c, "singleflight_flights_total"); n != 1 {
		t.Errorf("%d groups are collected, want 1", n)
	}
	Register(&c, "users", new(singleflight.Group[int, int]))
	if n := testutil.CollectAndCount(&c, "singleflight_flights_total"); n != 2 {
		t.Errorf("%d groups are collected, want 2", n)
	}
}

func TestUnregisterTheCollector(t *testing.T) {
	var c Collector
	Register(&c, "users", new(singleflight.Group[string, int]))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&c)
	if err := registry.Register(new(Collector)); err == nil {
		t.Error("a registry took a second Collector")
	}
	if !registry.Unregister(&c) {
		t.Error("the registry didn't know the Collector")
	}
	registry.MustRegister(&c)
}

func TestScrape(t *testing.T) {
	var c Collector
	users := new(singleflight.Group[string, int])
	Register(&c, "users", users)
	users.Do("token-17", func() (int, error) { return 1, nil })
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&c)
	handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})

	for _, accept := range []string{"text/plain", "application/openmetrics-text"} {
		request := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		request.Header.Set("Accept", accept)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		body := answer.Body.String()
		if answer.Code != http.StatusOK {
			t.Fatalf("%s: status %d: %s", accept, answer.Code, body)
		}
		if got := answer.Header().Get("Content-Type"); !strings.HasPrefix(got, accept) {
			t.Errorf("Content-Type %q, want %q", got, accept)
		}
		for _, line := range []string{
			`singleflight_flights_total{group="users"} 1`,
			`singleflight_in_flight{group="users",state="running"} 0`,
			`singleflight_oldest_flight_age_seconds{group="users"} 0`,
		} {
			if !strings.Contains(body, "\n"+line) {
				t.Errorf("%s: no line %s in\n%s", accept, line, body)
			}
		}
		if strings.Contains(body, "token-17") {
			t.Errorf("%s: the key is shown in\n%s", accept, body)
		}
	}
}

// Groups may come, go and work while others are scraped; those that stay are in
// every scrape, and their counters only grow.
func TestConcurrency(t *testing.T) {
	var c Collector
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&c)
	stays := new(singleflight.Group[int, int])
	Register(&c, "stays", stays)

	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			name := "group " + strconv.Itoa(i)
			for range 100 {
				g := new(singleflight.Group[int, int])
				Register(&c, name, g)
				g.Do(1, func() (int, error) { return 1, nil })
				stays.Do(1, func() (int, error) { return 1, nil })
				c.Unregister(name)
			}
		})
	}
	for range 2 {
		all.Go(func() {
			last := 0.0
			for range 100 {
				calls, err := callsByGroup(registry)
				if err != nil {
					t.Error(err)
					return
				}
				if calls["stays"] < last {
					t.Errorf("a counter fell from %v to %v", last, calls["stays"])
				}
				last = calls["stays"]
			}
		})
	}
	all.Wait()
	calls, err := callsByGroup(registry)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Collect(maps.Keys(calls)); !slices.Equal(names, []string{"stays"}) || calls["stays"] != 400 {
		t.Errorf("calls: %v, want 400 of the group that stays", calls)
	}
}

// callsByGroup returns singleflight_calls_total.
func callsByGroup(registry prometheus.Gatherer) (map[string]float64, error) {
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	calls := make(map[string]float64)
	for _, family := range families {
		if family.GetName() != "singleflight_calls_total" {
			continue
		}
		for _, metric := range family.GetMetric() {
			calls[metric.GetLabel()[0].GetValue()] = metric.GetCounter().GetValue()
		}
	}
	if len(calls) == 0 {
		return nil, errors.New("no singleflight_calls_total")
	}
	return calls, nil
}
