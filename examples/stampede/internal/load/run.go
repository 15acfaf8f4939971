package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

var errHungUp = errors.New("the client hung up")

// Run sends the load of a plan to the service at a base URL, and returns when each request has ended.
// Requests that fail are counted, and are no error; the error is that of ctx, with which the clients hang up, all of them.
func Run(ctx context.Context, plan Plan, base string) (*Tally, error) {
	if err := plan.Check(); err != nil {
		return nil, err
	}
	if len(plan.Queries) == 0 {
		return nil, errNoQueries
	}
	// It goes to a server on this machine, so proxies have no say.
	transport := &http.Transport{Proxy: nil, MaxIdleConnsPerHost: plan.Clients, DisableCompression: true}
	defer transport.CloseIdleConnections()
	run := &run{
		base:   base,
		http:   &http.Client{Transport: transport},
		tally:  newTally(),
		closes: time.Now().Add(plan.Duration),
	}
	bounded, cancel := context.WithDeadline(ctx, run.closes.Add(plan.Grace))
	defer cancel()

	var clients sync.WaitGroup
	for number := range plan.Clients {
		clients.Go(func() { run.client(bounded, plan.client(number)) })
	}
	clients.Wait()
	return run.tally, ctx.Err()
}

type run struct {
	base   string
	http   *http.Client
	tally  *Tally
	closes time.Time
}

// client sends the requests of one client until it has sent enough, the time is over or ctx ends.
func (r *run) client(ctx context.Context, c *client) {
	for sent := 0; sent < c.plan.Requests || c.plan.Requests == 0; sent++ {
		pause, query := c.next()
		if time.Until(r.closes) <= pause {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		r.request(ctx, c, query)
	}
}

func (r *run) request(ctx context.Context, c *client, query string) {
	own := ctx
	if c.impatient {
		var cancel context.CancelFunc
		own, cancel = context.WithTimeoutCause(ctx, c.plan.Patience, errHungUp)
		defer cancel()
	}
	start := time.Now()
	ended, err := r.get(own, query)
	took := time.Since(start)
	r.tally.add(c.impatient, ended, took, err)
}

func (r *run) get(ctx context.Context, query string) (outcome, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/search?q="+url.QueryEscape(query), nil)
	if err != nil {
		return failed, err
	}
	var body []byte
	response, err := r.http.Do(request)
	if err == nil {
		defer response.Body.Close()
		body, err = io.ReadAll(response.Body)
	}
	switch {
	case err != nil && context.Cause(ctx) == errHungUp:
		return hungUp, nil
	case err != nil:
		return failed, err
	case response.StatusCode == http.StatusOK:
		return answered, nil
	case response.StatusCode == http.StatusServiceUnavailable:
		return failedByAnother, errors.New("the service gave up")
	}
	return failed, fmt.Errorf("%s: %s", response.Status, strings.TrimSpace(string(body)))
}
