// Package service answers searches over HTTP, from a cache whose entries expire and, where that has no answer, from a
// database.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
	"golang.org/x/sync/semaphore"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
)

// longest is how many bytes a query may have.
const longest = 200

// A Query is the expensive part of a search.
type Query func(ctx context.Context, query string) (*database.Answer, error)

// A Service is an http.Handler for GET /search?q=…. It answers with status
//
//	200 and a database.Answer as JSON;
//	400 if the query is missing, has no words or is too long;
//	503 if the search was given up although this client still waits for it: somebody else's context ended;
//	504 if the database took too long;
//	500 if it failed in another way.
//
// Dress has to be called before the first request.
type Service struct {
	expiry time.Duration
	limit  time.Duration

	mux *http.ServeMux
	// Each request under way holds one part of it. Who holds all of it has the service to himself.
	floor *semaphore.Weighted
	worn  atomic.Pointer[costume]
}

// A costume is what a service wears: a cache, and a front for what isn't in it.
type costume struct {
	cache *otter.Cache[string, []byte]
	front dress.Front
}

// New makes a service whose cache forgets an answer when it has been there for expiry, and whose queries may take up to limit.
func New(expiry, limit time.Duration) *Service {
	s := &Service{expiry: expiry, limit: limit, mux: http.NewServeMux(), floor: semaphore.NewWeighted(math.MaxInt64)}
	s.mux.HandleFunc("GET /search", s.search)
	return s
}

// Dress makes the service answer in another way, with an empty cache. Before that it waits until the requests under way
// have left and the last dress's queries have ended; its error is that of ctx, if ctx ends first.
func (s *Service) Dress(ctx context.Context, d dress.Dress, query Query) error {
	if err := s.floor.Acquire(ctx, math.MaxInt64); err != nil {
		return err
	}
	defer s.floor.Release(math.MaxInt64)
	if err := s.drain(ctx); err != nil {
		return err
	}
	cache, err := otter.New(&otter.Options[string, []byte]{
		ExpiryCalculator: otter.ExpiryWriting[string, []byte](s.expiry),
	})
	if err != nil {
		return err
	}
	s.worn.Store(&costume{cache, d.New(load(cache, query), s.limit)})
	return nil
}

// Close waits until no request is under way and no query runs. Whatever the queries need may be closed after that, but not
// if Close fails, which it does with the error of ctx. No request may follow.
func (s *Service) Close(ctx context.Context) error {
	if err := s.floor.Acquire(ctx, math.MaxInt64); err != nil {
		return err
	}
	defer s.floor.Release(math.MaxInt64)
	return s.drain(ctx)
}

func (s *Service) drain(ctx context.Context) error {
	worn := s.worn.Load()
	if worn == nil {
		return nil
	}
	if err := worn.front.Wait(ctx); err != nil {
		return err
	}
	worn.cache.StopAllGoroutines()
	return nil
}

// load is what a front calls when the cache had no answer.
func load(cache *otter.Cache[string, []byte], query Query) dress.Load {
	return func(ctx context.Context, key string) ([]byte, error) {
		// It may have come since the request looked.
		if known, ok := cache.GetIfPresent(key); ok {
			return known, nil
		}
		answer, err := query(ctx, key)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(answer)
		if err != nil {
			return nil, err
		}
		cache.Set(key, text)
		return text, nil
	}
}

// ServeHTTP answers one request.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.floor.Acquire(r.Context(), 1) != nil {
		return // the client hung up
	}
	defer s.floor.Release(1)
	s.mux.ServeHTTP(w, r)
}

func (s *Service) search(w http.ResponseWriter, r *http.Request) {
	key := strings.ToLower(strings.Join(strings.Fields(r.URL.Query().Get("q")), " "))
	if key == "" || len(key) > longest {
		http.Error(w, fmt.Sprintf("q has to be words to search for, of up to %d bytes", longest), http.StatusBadRequest)
		return
	}
	worn := s.worn.Load()
	answer, ok := worn.cache.GetIfPresent(key)
	if !ok {
		var err error
		answer, err = worn.front.Answer(r.Context(), key)
		switch {
		case err == nil:
		case r.Context().Err() != nil:
			return // the client hung up
		case errors.Is(err, context.Canceled):
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		case errors.Is(err, context.DeadlineExceeded):
			http.Error(w, err.Error(), http.StatusGatewayTimeout)
			return
		case errors.Is(err, database.ErrNoWords):
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		default:
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // an error means that the client hung up
}
