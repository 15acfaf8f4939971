package load_test

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
)

// plan is a load that ends by its count of requests.
func plan() load.Plan {
	return load.Plan{
		Clients:  4,
		Duration: time.Minute,
		Requests: 25,
		Patience: time.Millisecond,
		Skew:     1.5,
		Seed:     7,
		Grace:    time.Minute,
		Queries:  []string{"first", "second", "third", "fourth"},
	}
}

// nowhere is the base URL of no service: each request fails, without a network.
const nowhere = ""

// run sends a load to a server with this handler.
func run(t *testing.T, p load.Plan, handler http.HandlerFunc) *load.Tally {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	tally, err := load.Run(t.Context(), p, server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

func TestEveryLoadOfAPlanIsTheSame(t *testing.T) {
	asked := func(p load.Plan) []string {
		var mu sync.Mutex
		var queries []string
		run(t, p, func(_ http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			queries = append(queries, r.URL.Query().Get("q"))
		})
		slices.Sort(queries)
		return queries
	}
	p := plan()
	first := asked(p)
	if len(first) != p.Clients*p.Requests {
		t.Errorf("%d requests were sent, want %d", len(first), p.Clients*p.Requests)
	}
	if again := asked(p); !slices.Equal(again, first) {
		t.Error("the same plan asked for other things")
	}
	p.Seed++
	if other := asked(p); slices.Equal(other, first) {
		t.Error("another seed asked for the same things")
	}
	count := make(map[string]int)
	for _, query := range first {
		count[query]++
	}
	for i := range p.Queries[1:] {
		if count[p.Queries[i]] <= count[p.Queries[i+1]] {
			t.Errorf("the queries were asked %v times: not the more frequent first", count)
		}
	}
}

func TestOutcomes(t *testing.T) {
	for _, test := range []struct {
		name      string
		impatient float64
		handler   http.HandlerFunc
		want      load.Count
	}{
		{"answers", 0, func(http.ResponseWriter, *http.Request) {}, load.Count{Answered: 100, PatientAnswered: 100}},
		{"given up", 0.5, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			load.Count{PatientFailedByAnother: 50, ImpatientFailedByAnother: 50}},
		{"timed out", 0.5, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "slow", http.StatusGatewayTimeout) },
			load.Count{FailedOtherwise: 100, FirstFailure: "504 Gateway Timeout: slow"}},
		{"impatience", 1, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, load.Count{HungUp: 100}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := plan()
			p.Impatient = test.impatient
			if test.name != "impatience" {
				p.Patience = time.Minute
			}
			test.want.Requests = 100
			tally := run(t, p, test.handler)
			if got := tally.Count(); got != test.want {
				t.Errorf("counted %+v, want %+v", got, test.want)
			}
			if _, ok := tally.Percentile(50); ok != (test.want.PatientAnswered > 0) {
				t.Errorf("is there a median: %t", ok)
			}
		})
	}
}

func TestALoadEndsByItsTime(t *testing.T) {
	p := plan()
	p.Requests, p.Duration, p.Pause = 0, time.Hour, time.Minute
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		tally, err := load.Run(t.Context(), p, nowhere)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > p.Duration || tally.Count().Requests == 0 {
			t.Errorf("%d requests were sent in %v, want some, within %v", tally.Count().Requests, took, p.Duration)
		}
	})
}

// Pauses that are more than a time.Duration holds are long ones.
func TestLongPauses(t *testing.T) {
	sent := func(t *testing.T, duration time.Duration) int {
		p := plan()
		p.Clients, p.Requests, p.Duration, p.Pause = 100, 1, duration, duration
		tally, err := load.Run(t.Context(), p, nowhere)
		if err != nil {
			t.Fatal(err)
		}
		return tally.Count().Requests
	}
	synctest.Test(t, func(t *testing.T) {
		if short, long := sent(t, time.Hour), sent(t, 1<<62); long != short {
			t.Errorf("of 100 clients %d send a request, want %d as in a short load: the pauses are in proportion", long, short)
		}
	})
}

func TestGraceEndsWhatHangs(t *testing.T) {
	p := plan()
	p.Duration, p.Grace = time.Second, time.Millisecond
	got := run(t, p, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }).Count()
	if got.FailedOtherwise != got.Requests || got.Requests == 0 || !strings.Contains(got.FirstFailure, "deadline") {
		t.Errorf("counted %+v, want every request to have failed by the deadline", got)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done() // the clients hang up
	}))
	defer server.Close()
	if _, err := load.Run(ctx, plan(), server.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v, want %v", err, context.Canceled)
	}
}

func TestCheckNamesTheNumber(t *testing.T) {
	for name, spoil := range map[string]func(*load.Plan){
		"clients":   func(p *load.Plan) { p.Clients = -1 },
		"duration":  func(p *load.Plan) { p.Duration = 0 },
		"requests":  func(p *load.Plan) { p.Requests = -1 },
		"impatient": func(p *load.Plan) { p.Impatient = math.NaN() },
		"patience":  func(p *load.Plan) { p.Patience = -1 },
		"pause":     func(p *load.Plan) { p.Pause = -1 },
		"skew":      func(p *load.Plan) { p.Skew = 1 },
	} {
		p := plan()
		if err := p.Check(); err != nil {
			t.Fatal(err)
		}
		spoil(&p)
		if err := p.Check(); err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("the error is %v, want it to begin with %s", err, name)
		}
		if _, err := load.Run(t.Context(), p, ""); err == nil {
			t.Errorf("a load with such %s ran", name)
		}
	}
	p := plan()
	p.Queries = nil
	if _, err := load.Run(t.Context(), p, ""); err == nil {
		t.Error("a load without queries ran")
	}
}
