package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/service"
)

const expiry, limit = time.Minute, time.Hour

// plain is the dress without deduplication.
func plain() dress.Dress { return dress.All()[0] }

// dressed is a service in a dress. It is closed when the test is over.
func dressed(t *testing.T, d dress.Dress, query service.Query) *service.Service {
	t.Helper()
	s := service.New(expiry, limit)
	if err := s.Dress(t.Context(), d, query); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func get(ctx context.Context, s *service.Service, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil))
	return w
}

// found answers every query, and counts them.
func found(queries *atomic.Int32) service.Query {
	return func(_ context.Context, query string) (*database.Answer, error) {
		queries.Add(1)
		return &database.Answer{Query: query, Matches: 1}, nil
	}
}

func TestAnswer(t *testing.T) {
	var queries atomic.Int32
	s := dressed(t, plain(), found(&queries))
	for _, target := range []string{"/search?q=reader", "/search?q=+READER++", "/search?q=%09reader"} {
		w := get(t.Context(), s, target)
		var answer database.Answer
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s is answered with %d %q", target, w.Code, w.Body)
		}
		if answer.Query != "reader" || answer.Matches != 1 || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%s is answered with %+v %v", target, answer, w.Header())
		}
	}
	if n := queries.Load(); n != 1 {
		t.Errorf("%d queries, want 1: it is all the same query", n)
	}
}

func TestCacheExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var queries atomic.Int32
		s := dressed(t, plain(), found(&queries))
		for _, want := range []int32{1, 1, 2, 2} {
			get(t.Context(), s, "/search?q=reader")
			if n := queries.Load(); n != want {
				t.Errorf("%d queries after %v, want %d", n, time.Now(), want)
			}
			time.Sleep(expiry * 2 / 3)
		}
	})
}

func TestStatus(t *testing.T) {
	for _, test := range []struct {
		name   string
		target string
		err    error
		want   int
	}{
		{"no query", "/search", nil, http.StatusBadRequest},
		{"no words", "/search?q=+", nil, http.StatusBadRequest},
		{"too long", "/search?q=" + strings.Repeat("x", 201), nil, http.StatusBadRequest},
		{"elsewhere", "/", nil, http.StatusNotFound},
		{"given up for somebody else", "/search?q=a", context.Canceled, http.StatusServiceUnavailable},
		{"too slow", "/search?q=a", context.DeadlineExceeded, http.StatusGatewayTimeout},
		{"no words to the database", "/search?q=a", database.ErrNoWords, http.StatusBadRequest},
		{"broken", "/search?q=a", errors.New("disk on fire"), http.StatusInternalServerError},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := dressed(t, plain(), func(context.Context, string) (*database.Answer, error) { return nil, test.err })
			if w := get(t.Context(), s, test.target); w.Code != test.want {
				t.Errorf("the status is %d %q, want %d", w.Code, w.Body, test.want)
			}
		})
	}
}

func TestOnlyGet(t *testing.T) {
	s := dressed(t, plain(), found(new(atomic.Int32)))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/search?q=a", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("the status is %d, want %d", w.Code, http.StatusMethodNotAllowed)
	}
}

func TestFailuresAreNotCached(t *testing.T) {
	var queries atomic.Int32
	s := dressed(t, plain(), func(ctx context.Context, query string) (*database.Answer, error) {
		if queries.Add(1) == 1 {
			return nil, errors.New("once")
		}
		return &database.Answer{Query: query}, nil
	})
	if w := get(t.Context(), s, "/search?q=a"); w.Code != http.StatusInternalServerError {
		t.Errorf("the first status is %d", w.Code)
	}
	if w := get(t.Context(), s, "/search?q=a"); w.Code != http.StatusOK {
		t.Errorf("the second status is %d", w.Code)
	}
}

func TestDressEmptiesTheCache(t *testing.T) {
	var before, after atomic.Int32
	s := dressed(t, plain(), found(&before))
	get(t.Context(), s, "/search?q=a")
	for _, d := range dress.All() {
		after.Store(0)
		if err := s.Dress(t.Context(), d, found(&after)); err != nil {
			t.Fatal(err)
		}
		get(t.Context(), s, "/search?q=a")
		get(t.Context(), s, "/search?q=a")
		if before.Load() != 1 || after.Load() != 1 {
			t.Errorf("%s: %d queries of the first dress and %d of this one, want 1 and 1", d.Name, before.Load(), after.Load())
		}
	}
}

// A query that nobody waits for any more still needs the database, and fills the cache for the next request.
func TestQueryGoesOnWithoutItsClient(t *testing.T) {
	for _, d := range dress.All() {
		if d.Name != "x/sync DoChan" && d.Name != "this package" {
			continue
		}
		t.Run(d.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan bool)
				var queries atomic.Int32
				s := dressed(t, d, func(_ context.Context, query string) (*database.Answer, error) {
					queries.Add(1)
					<-release
					return &database.Answer{Query: query}, nil
				})
				hangs, hangUp := context.WithCancel(t.Context())
				left := make(chan *httptest.ResponseRecorder)
				go func() { left <- get(hangs, s, "/search?q=a") }()
				synctest.Wait()
				hangUp()
				if w := <-left; w.Body.Len() != 0 {
					t.Errorf("a client that hung up is told %q", w.Body)
				}

				soon, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := s.Dress(soon, d, found(&queries)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Dress gives %v while the query runs, want a deadline", err)
				}
				soon, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := s.Close(soon); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Close gives %v while the query runs, want a deadline", err)
				}
				close(release)
				synctest.Wait()
				if w := get(t.Context(), s, "/search?q=a"); w.Code != http.StatusOK || queries.Load() != 1 {
					t.Errorf("the next request gets %d after %d queries, want an answer from the first", w.Code, queries.Load())
				}
			})
		})
	}
}

func TestCloseWaitsForRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		s := dressed(t, plain(), func(context.Context, string) (*database.Answer, error) {
			<-release
			return nil, nil
		})
		go get(t.Context(), s, "/search?q=a")
		synctest.Wait()
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Close(soon); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close gives %v while a request is under way, want a deadline", err)
		}
		close(release)
	})
}

// twice loads every answer twice.
type twice struct{ load dress.Load }

func (t twice) Answer(ctx context.Context, key string) ([]byte, error) {
	if _, err := t.load(ctx, key); err != nil {
		return nil, err
	}
	return t.load(ctx, key)
}

func (twice) Wait(context.Context) error { return nil }

// A request that found nothing in the cache may load just after the answer came.
func TestLoadLooksInTheCacheAgain(t *testing.T) {
	var queries atomic.Int32
	d := dress.Dress{New: func(load dress.Load, _ time.Duration) dress.Front { return twice{load} }}
	s := dressed(t, d, found(&queries))
	if w := get(t.Context(), s, "/search?q=a"); w.Code != http.StatusOK || queries.Load() != 1 {
		t.Errorf("the status is %d after %d queries, want %d after 1", w.Code, queries.Load(), http.StatusOK)
	}
}
