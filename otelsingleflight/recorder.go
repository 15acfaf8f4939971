package otelsingleflight

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-737f55c4/singleflight"
)

const (
	groupKey    = attribute.Key("singleflight.group")
	keyKey      = attribute.Key("singleflight.key")
	callersKey  = attribute.Key("singleflight.callers")
	detachedKey = attribute.Key("singleflight.detached")
)

// A recorder is what the hooks of one Trace share.
type recorder[K comparable] struct {
	spanName string
	group    attribute.KeyValue
	keyText  func(K) string // nil: keys are not recorded
	tracer   trace.Tracer
	metrics  instruments
	flights  flights
}

func newRecorder[K comparable](group string, opts Options[K]) *recorder[K] {
	r := &recorder[K]{
		spanName: "singleflight " + group,
		group:    groupKey.String(group),
		keyText:  opts.Key,
		tracer:   opts.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
	}
	r.metrics = newInstruments(opts.MeterProvider, r.group)
	return r
}

func (r *recorder[K]) trace() *singleflight.Trace[K] {
	return &singleflight.Trace[K]{Start: r.start, Join: r.join, Detach: r.detach, Land: r.land}
}

func (r *recorder[K]) start(ctx context.Context, key K, id uint64) context.Context {
	r.metrics.started(ctx)
	attributes := []attribute.KeyValue{r.group}
	if r.keyText != nil {
		attributes = append(attributes, keyKey.String(valid(r.keyText(key))))
	}
	parent := trace.SpanContextFromContext(ctx)
	ctx, span := r.tracer.Start(ctx, r.spanName, trace.WithAttributes(attributes...))

	target := span.SpanContext()
	if target.SpanID() == parent.SpanID() {
		target = trace.SpanContext{} // a tracer that makes no spans gives out the parent's
	}
	for _, joiner := range r.flights.start(id, span, target) {
		r.link(joiner, target)
	}
	return ctx
}

func (r *recorder[K]) join(ctx context.Context, _ K, id uint64) {
	r.metrics.joined(ctx)
	joiner := trace.SpanFromContext(ctx)
	r.link(joiner, r.flights.join(id, joiner))
}

func (r *recorder[K]) detach(ctx context.Context, _ K, id uint64, _ error) {
	r.metrics.detached(ctx)
	r.flights.detach(id, trace.SpanFromContext(ctx))
}

func (r *recorder[K]) land(ctx context.Context, _ K, id uint64, info singleflight.Landing) {
	span := r.flights.land(id, info.Callers, info.Detached)
	if span != nil {
		defer span.End()
	}
	failure := errorType(info.Err)
	r.metrics.landed(ctx, info, failure)
	if span == nil || !span.IsRecording() {
		return
	}
	span.SetAttributes(callersKey.Int(info.Callers), detachedKey.Int(info.Detached))
	if failure.Valid() {
		span.SetAttributes(failure)
		describe(span, info.Err)
	}
}

// link links a span that joined to that of the flight, if both are there.
func (r *recorder[K]) link(joiner trace.Span, flight trace.SpanContext) {
	if flight.IsValid() {
		joiner.AddLink(trace.Link{SpanContext: flight, Attributes: []attribute.KeyValue{r.group}})
	}
}

// errorType returns the error.type of how a flight ended, which isn't valid if
// there was no error.
func errorType(err error) attribute.KeyValue {
	if err == nil {
		return attribute.KeyValue{}
	}
	if p, _ := err.(*singleflight.PanicError); p != nil {
		return semconv.ErrorTypeKey.String("panic")
	}
	if err == singleflight.ErrGoexit {
		return semconv.ErrorTypeKey.String("goexit")
	}
	return semconv.ErrorTypeKey.String(valid(nameOf(err)))
}

// nameOf returns what the convention names an error's type. It calls the methods
// ErrorType, As and Unwrap of the error and of those that it wraps. If one of
// them panics, the name is that of the Go type.
func nameOf(err error) (name string) {
	name = fmt.Sprintf("%T", err)
	defer func() { recover() }() // the flight has landed well: its callers must not notice
	return semconv.ErrorType(err).Value.AsString()
}

// describe says in a flight's span how it failed. A panic's text includes the
// stack, which is too long for a status.
func describe(span trace.Span, err error) {
	p, _ := err.(*singleflight.PanicError)
	if p == nil {
		span.SetStatus(codes.Error, textOf(err))
		return
	}
	value := textOf(p.Value)
	span.SetStatus(codes.Error, "panic: "+value)
	span.AddEvent("exception", trace.WithAttributes(
		semconv.ExceptionType(fmt.Sprintf("%T", p.Value)),
		semconv.ExceptionMessage(value),
		semconv.ExceptionStacktrace(valid(string(p.Stack))),
	))
}

// textOf returns a value as fmt.Sprint writes it. Of the panics of the value's
// methods, that lets those through whose own values can't be printed.
func textOf(v any) (text string) {
	text = fmt.Sprintf("(a %T that can't be printed)", v)
	defer func() { recover() }()
	return valid(fmt.Sprint(v))
}

// valid replaces what isn't UTF-8: one such string would make an exporter
// reject the spans of a whole batch.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
