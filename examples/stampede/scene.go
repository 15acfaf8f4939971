package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/chart"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/corpus"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/database"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/dress"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/load"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/meter"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/report"
	"github.com/seed-737f55c4/singleflight/examples/stampede/internal/service"
)

// play plays the whole scene. When it returns, all that it started has ended.
func (p *program) play(ctx context.Context, o *options) (r *report.Report, err error) {
	// First, since it takes no time to find out that the port is in use.
	listener, err := listen("addr", o.addr)
	if err != nil {
		return nil, err
	}
	defer listener.Close()

	if o.svg != "" {
		if err := writable(o.svg); err != nil {
			return nil, fmt.Errorf("-svg: %w", err)
		}
	}
	r = &report.Report{Settings: report.Settings{Plan: o.plan, Expiry: o.expiry, Limit: p.limits.query}}
	r.Settings.Grace = p.limits.grace
	data, err := p.open(ctx, o, r)
	if err != nil {
		return nil, err
	}
	stage := newStage(data, listener, o.expiry, p.limits)
	defer func() {
		if closing := stage.close(); closing != nil {
			r, err = nil, closing
		}
	}()
	plan := &r.Settings.Plan
	if plan.Queries, err = terms(ctx, data, o.terms, r.Input.Folder); err != nil {
		return nil, err
	}
	p.say("serving on http://%s", listener.Addr())
	for _, d := range p.dresses {
		result, err := p.dance(ctx, stage, d, *plan)
		if err != nil {
			return nil, err
		}
		r.Dresses = append(r.Dresses, result)
	}
	r.Judge()
	return r, nil
}

// listen listens on the address that an argument gives.
func listen(flag, addr string) (net.Listener, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port in use: %s; -%s names another", addr, flag)
	}
	if err != nil {
		return nil, fmt.Errorf("-%s: %w", flag, err)
	}
	return listener, nil
}

// terms are what the clients search for.
func terms(ctx context.Context, data *database.Database, most int, folder string) ([]string, error) {
	terms, err := data.Terms(ctx, most)
	if err == nil && len(terms) == 0 {
		err = fmt.Errorf("%s: nothing to search for: no name that is declared there has a word of four letters", folder)
	}
	return terms, err
}

// open opens the database of the input, and says in the report what it is.
func (p *program) open(ctx context.Context, o *options, r *report.Report) (data *database.Database, err error) {
	input := o.input
	if input == "" {
		if input, err = p.source(ctx); err != nil {
			return nil, err
		}
	}
	tree, err := corpus.Survey(ctx, input)
	if err != nil {
		return nil, err
	}
	folder, err := p.cache()
	if err != nil {
		return nil, err
	}
	data, err = database.Open(ctx, tree, folder, o.plan.Clients, p.watcher)
	if err != nil {
		return nil, err
	}
	r.Input = report.Input{Folder: tree.Root, Database: string(data.Origin)}
	if r.Input.Packages, r.Input.Declarations, err = data.Size(ctx); err != nil {
		data.Close()
		return nil, err
	}
	p.say("%s: %d packages, %d declarations; database %s",
		tree.Root, r.Input.Packages, r.Input.Declarations, data.Origin)
	return data, nil
}

// dance sends the load to the service in one dress.
func (p *program) dance(ctx context.Context, s *stage, d dress.Dress, plan load.Plan) (report.Dress, error) {
	watch := meter.Start()
	search := func(ctx context.Context, query string) (*database.Answer, error) { return p.search(s.data, ctx, query) }
	// Nothing of the last dress may be left: what still runs there ends within the limit of a query.
	draining, cancel := context.WithTimeout(ctx, p.limits.drain)
	err := s.service.Dress(draining, d, meter.Query(watch, search))
	cancel()
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("before the dress %q: queries still run after %v", d.Name, p.limits.drain)
	}
	if err != nil {
		return report.Dress{}, err
	}
	bar := p.watcher.Begin(d.Name, int(plan.Duration.Milliseconds()))
	over := make(chan struct{})
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		defer bar.End()
		start := time.Now()
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				// A full bar would vanish while the last answers are still awaited.
				bar.Set(int(min(time.Since(start), plan.Duration-time.Millisecond).Milliseconds()))
			case <-over:
				return
			}
		}
	}()
	tally, err := load.Run(ctx, plan, s.base)
	close(over)
	<-shown
	if err != nil {
		return report.Dress{}, err
	}
	return report.Of(d.Name, d.Mine, tally, watch.Read()), nil
}

// A stage is the service with all that it stands on.
type stage struct {
	data    *database.Database
	service *service.Service
	server  *http.Server
	served  chan error
	base    string
	limits  limits
}

func newStage(data *database.Database, listener net.Listener, expiry time.Duration, limits limits) *stage {
	s := &stage{
		data:    data,
		service: service.New(expiry, limits.query),
		served:  make(chan error, 1),
		base:    "http://" + listener.Addr().String(),
		limits:  limits,
	}
	s.server = &http.Server{Handler: s.service, ReadHeaderTimeout: limits.query}
	go func() { s.served <- s.server.Serve(listener) }()
	return s
}

// close ends the service: no request is taken any more, those under way leave, the queries that still run are waited for,
// and only then the database is closed.
func (s *stage) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.limits.drain)
	defer cancel()
	err := s.server.Shutdown(ctx)
	if serving := <-s.served; !errors.Is(serving, http.ErrServerClosed) {
		err = errors.Join(err, serving)
	}
	if s.service.Close(ctx) != nil {
		return fmt.Errorf("queries still run after %v, so the database was left open", s.limits.drain)
	}
	return errors.Join(err, s.data.Close())
}

// draw writes the chart.
func draw(r *report.Report, name string) error {
	var series []chart.Series
	for _, d := range r.Dresses {
		s := chart.Series{Name: d.Name}
		for _, point := range d.Line {
			s.Line = append(s.Line, chart.Point{Seconds: point.At / 1000, Running: point.Running})
		}
		series = append(series, s)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := chart.SVG(file, series); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// writable finds out early that a file can't be written, rather than when there is something to write. What is there stays
// as it is, and what isn't stays missing.
func writable(name string) error {
	if err := isFolder(filepath.Dir(name)); err != nil {
		return err
	}
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return creatable(name)
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder", name)
	case !info.Mode().IsRegular():
		return nil // opened and closed, a pipe would end for its reader
	}
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return file.Close()
}

// creatable creates a file that isn't there, and removes it.
func creatable(name string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, os.ErrExist) {
		return nil // a link to a file that isn't there, which must not be the one that is removed
	}
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(name))
}

func isFolder(name string) error {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: no such folder", name)
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", name)
	}
	return nil
}
