package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/seed-737f55c4/singleflight"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/report"
	"github.com/seed-737f55c4/singleflight/flightz"
)

// pagePath is where the page of the flights is.
const pagePath = "/debug/flights"

// watch keeps the service under load, and serves the page of its flights, until ctx ends. When it returns, all that it
// started has ended.
func (p *program) watch(ctx context.Context, o *options) (err error) {
	// First, since it takes no time to find out that a port is in use.
	page, err := listen("listen", o.listen)
	if err != nil {
		return err
	}
	defer page.Close()
	listener, err := listen("addr", o.addr)
	if err != nil {
		return err
	}
	defer listener.Close()

	about := new(report.Report)
	data, err := p.open(ctx, o, about)
	if err != nil {
		return err
	}
	stage := newStage(data, listener, o.expiry, p.limits)
	defer func() { err = errors.Join(err, stage.close()) }()
	plan := o.plan
	plan.Grace = p.limits.grace
	if plan.Queries, err = terms(ctx, data, o.terms, about.Input.Folder); err != nil {
		return err
	}
	watched := dress.Watched(func(group *singleflight.Group[string, []byte]) { flightz.Register("searches", group) })
	search := func(ctx context.Context, query string) (*database.Answer, error) { return p.search(data, ctx, query) }
	if err := stage.service.Dress(ctx, watched, search); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle(pagePath, flightz.Handler())
	mux.Handle("/{$}", http.RedirectHandler(pagePath, http.StatusFound))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: p.limits.query}
	failed := make(chan error, 1)
	loading, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		failed <- server.Serve(page)
		stop()
	}()
	p.say("serving on %s", stage.base)
	p.say("the flights are on http://%s%s until Ctrl-C", page.Addr(), pagePath)
	p.loadUntil(loading, stage.base, plan)

	closing, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if server.Shutdown(closing) != nil {
		server.Close() // somebody's connection
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the page: %w", err)
	}
	return nil
}

// rest is how long the program waits after a load without requests, for which no time may have passed.
const rest = time.Second

// loadUntil sends one load after another until ctx ends, and tells of requests that failed.
func (p *program) loadUntil(ctx context.Context, base string, plan load.Plan) {
	for ; ; plan.Seed++ {
		tally, err := load.Run(ctx, plan, base)
		if err != nil {
			return
		}
		c := tally.Count()
		if n := c.PatientFailedByAnother + c.ImpatientFailedByAnother + c.FailedOtherwise; n > 0 {
			p.say("this must not happen: %d of %d requests failed. %s", n, c.Requests, c.FirstFailure)
		}
		if c.Requests == 0 {
			select {
			case <-time.After(rest):
			case <-ctx.Done():
			}
		}
	}
}
