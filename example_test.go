package singleflight_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-737f55c4/singleflight"
)

// Two callers ask for the address of one host at the same time. The second
// joins the flight of the first, so there is one lookup.
func ExampleGroup_Do() {
	var g singleflight.Group[string, string] // host name to address

	started, answer := make(chan bool), make(chan string)
	lookUp := func() (string, error) {
		fmt.Println("looking up")
		started <- true
		return <-answer, nil
	}

	first := make(chan bool)
	go func() {
		addr, err, shared := g.Do("db.internal", lookUp)
		fmt.Println(addr, err, shared)
		first <- true
	}()
	<-started

	// The second caller uses DoChan, which returns as soon as it has joined.
	// With Do the example couldn't tell when to go on.
	second := g.DoChan("db.internal", lookUp)

	answer <- "10.0.0.7"
	<-first
	r := <-second
	fmt.Println(r.Val, r.Err, r.Shared)

	// Output:
	// looking up
	// 10.0.0.7 <nil> true
	// 10.0.0.7 <nil> true
}

// A caller waits for a report for a moment, says that it takes longer, and
// then waits until it is there.
func ExampleGroup_DoChan() {
	var g singleflight.Group[string, string]

	figures := make(chan string)
	ch := g.DoChan("march", func() (string, error) {
		return "report of " + <-figures, nil
	})

	select {
	case r := <-ch:
		fmt.Println(r.Val)
	case <-time.After(time.Millisecond):
		fmt.Println("still at work")
	}

	figures <- "March"
	r := <-ch
	fmt.Println(r.Val)
	fmt.Println("shared:", r.Shared, "leader:", r.Leader)

	// Output:
	// still at work
	// report of March
	// shared: false leader: true
}

// The caller that led the flight gives up. It returns at once, and the caller
// that joined still gets the result.
func ExampleGroup_DoContext() {
	var g singleflight.Group[string, int]

	started, rows := make(chan bool), make(chan int)
	count := func(ctx context.Context) (int, error) {
		started <- true
		select {
		case n := <-rows:
			return n, nil
		case <-ctx.Done(): // not by a caller that leaves
			return 0, ctx.Err()
		}
	}

	ctx, giveUp := context.WithCancel(context.Background())
	impatient := make(chan error)
	go func() {
		_, err, _ := g.DoContext(ctx, "orders", count)
		impatient <- err
	}()
	<-started
	patient := g.DoChanContext(context.Background(), "orders", count)

	giveUp()
	fmt.Println("impatient:", <-impatient)

	rows <- 42
	r := <-patient
	fmt.Println("patient:", r.Val, r.Err)

	// Output:
	// impatient: context canceled
	// patient: 42 <nil>
}

// Func makes a loader of a function: it has the same arguments and results, and
// calls of one key at the same time share one execution.
func ExampleGroup_Func() {
	type User struct {
		ID   int
		Name string
	}

	var g singleflight.Group[int, User]
	load := g.Func(func(ctx context.Context, id int) (User, error) {
		if id != 7 {
			return User{}, fmt.Errorf("no user %d", id)
		}
		return User{ID: 7, Name: "Ada"}, nil
	})

	ctx := context.Background()
	user, err := load(ctx, 7)
	fmt.Println(user.Name, err)
	_, err = load(ctx, 8)
	fmt.Println(err)

	// Output:
	// Ada <nil>
	// no user 8
}

// When everybody has given up on a query, it is cancelled, since nobody would
// get its result.
func ExampleOptions_cancelAbandoned() {
	g := singleflight.New(singleflight.Options[string, int]{CancelAbandoned: true})

	started, stopped := make(chan bool), make(chan error, 1)
	query := func(ctx context.Context) (int, error) {
		started <- true
		<-ctx.Done() // what a query does that is given ctx
		stopped <- ctx.Err()
		return 0, ctx.Err()
	}

	ctx, giveUp := context.WithCancel(context.Background())
	go func() {
		<-started
		giveUp()
	}()
	_, err, _ := g.DoContext(ctx, "orders", query) // the only caller
	fmt.Println("caller:", err)
	fmt.Println("query:", <-stopped)

	// Output:
	// caller: context canceled
	// query: context canceled
}

// A panic in the function becomes an error of its callers. Without Recover
// this panic would crash the process, since a channel can't pass it on.
func ExampleOptions_recover() {
	g := singleflight.New(singleflight.Options[string, int]{Recover: true})

	var config any = "8080"
	r := <-g.DoChan("port", func() (int, error) {
		return config.(int), nil // panics: config is a string
	})

	if p, ok := errors.AsType[*singleflight.PanicError](r.Err); ok {
		fmt.Println("recovered:", p.Value) // p.Stack tells where
	}

	// Output:
	// recovered: interface conversion: interface {} is string, not int
}

// Two callers share a slice, and one of them changes it. With Clone each has
// its own copy.
func ExampleOptions_clone() {
	g := singleflight.New(singleflight.Options[string, []string]{Clone: slices.Clone[[]string]})

	names := make(chan []string)
	list := func() ([]string, error) { return <-names, nil }

	first := g.DoChan("users", list)
	second := g.DoChan("users", list) // joins
	names <- []string{"Ada", "Grace"}

	a, b := (<-first).Val, (<-second).Val
	a[0] = "changed"
	fmt.Println(a)
	fmt.Println(b)

	// Output:
	// [changed Grace]
	// [Ada Grace]
}

// A write makes a flight that is in the air out of date. Forget after the
// write makes the next call read anew.
func ExampleGroup_Forget() {
	var g singleflight.Group[string, int64]
	var stock atomic.Int64
	stock.Store(5)

	hasRead, proceed := make(chan bool), make(chan bool)
	early := g.DoChan("stock", func() (int64, error) {
		n := stock.Load()
		hasRead <- true
		<-proceed
		return n, nil
	})
	<-hasRead

	stock.Store(4)    // first the write,
	g.Forget("stock") // then Forget

	n, _, _ := g.Do("stock", func() (int64, error) { return stock.Load(), nil })
	fmt.Println("after the write:", n)

	proceed <- true
	fmt.Println("before the write:", (<-early).Val)

	// Output:
	// after the write: 4
	// before the write: 5
}

// A service that stops waits for the flights that go on without callers before
// it closes what they use.
func ExampleGroup_Wait() {
	var g singleflight.Group[string, int]

	started, rows := make(chan bool), make(chan int)
	ctx, hangUp := context.WithCancel(context.Background())
	ch := g.DoChanContext(ctx, "orders", func(context.Context) (int, error) {
		started <- true
		n := <-rows
		fmt.Println("counted", n)
		return n, nil
	})
	<-started
	hangUp()
	fmt.Println("caller:", (<-ch).Err)

	go func() { rows <- 42 }()
	if err := g.Wait(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println("closing the database")

	// Output:
	// caller: context canceled
	// counted 42
	// closing the database
}

// A store keeps prices in a cache in front of their source. However its calls
// meet, no old price stays in the cache.
type store struct {
	source, cache sync.Map // from product to price
	loads         singleflight.Group[string, int]
	hasRead       func() // for the example
}

// price returns the price from the cache, or from the source.
func (s *store) price(ctx context.Context, product string) (int, error) {
	if price, ok := s.cache.Load(product); ok {
		return price.(int), nil
	}
	price, err, _ := s.loads.DoContext(ctx, product, func(ctx context.Context) (int, error) {
		price, ok := s.source.Load(product)
		if !ok {
			return 0, fmt.Errorf("no price of %s", product)
		}
		s.hasRead()

		s.cache.Store(product, price) // first set,
		if singleflight.Forgotten(ctx) {
			s.cache.Delete(product) // then delete again if forgotten, before the function returns
		}
		return price.(int), nil
	})
	return price, err
}

// setPrice changes a price.
func (s *store) setPrice(product string, price int) {
	s.source.Store(product, price) // first write,
	s.loads.Forget(product)        // then Forget,
	s.cache.Delete(product)        // then delete
}

// A price changes when a flight has read the old one and not yet put it into the
// cache. The flight notices, and takes it out again.
func ExampleForgotten() {
	s := &store{hasRead: func() {}}
	s.source.Store("tea", 3)
	s.hasRead = func() {
		s.hasRead = func() {}
		s.setPrice("tea", 4) // as another goroutine would
	}

	ctx := context.Background()
	fmt.Println(s.price(ctx, "tea")) // read before the change
	_, ok := s.cache.Load("tea")
	fmt.Println("in the cache:", ok)
	fmt.Println(s.price(ctx, "tea"))
	fmt.Println(s.cache.Load("tea"))

	// Output:
	// 3 <nil>
	// in the cache: false
	// 4 <nil>
	// 4 true
}

// Work without a value: a key's index is rebuilt once, however many ask for it
// at the same time.
func ExampleGroup_withoutValue() {
	var rebuilds singleflight.Group[string, struct{}]

	rebuild := func(ctx context.Context, index string) error {
		_, err, _ := rebuilds.DoContext(ctx, index, func(context.Context) (struct{}, error) {
			fmt.Println("rebuilding", index)
			return struct{}{}, nil
		})
		return err
	}

	fmt.Println(rebuild(context.Background(), "users"))

	// Output:
	// rebuilding users
	// <nil>
}

// A group in a struct, by value, with options.
func ExampleGroup_field() {
	type service struct {
		users singleflight.Group[int, string]
	}
	s := service{users: singleflight.Group[int, string]{
		Options: singleflight.Options[int, string]{FlightTimeout: 10 * time.Second},
	}}

	name, err, _ := s.users.DoContext(context.Background(), 7, func(ctx context.Context) (string, error) {
		_, ok := ctx.Deadline()
		return fmt.Sprint("Ada, deadline: ", ok), nil
	})
	fmt.Println(name, err)

	// Output:
	// Ada, deadline: true <nil>
}

// DoResult tells a caller whether its function ran, for a metric for example. A
// variable that the function sets wouldn't: after the caller has left, the
// function still writes to it.
func ExampleGroup_DoResult() {
	var g singleflight.Group[string, int]
	ctx := context.Background()

	started, rows := make(chan bool), make(chan int)
	count := func(context.Context) (int, error) {
		started <- true
		return <-rows, nil
	}
	first := make(chan singleflight.Result[int])
	go func() { first <- g.DoResult(ctx, "orders", count) }()
	<-started
	second := g.DoChanContext(ctx, "orders", count) // joins

	rows <- 42
	for _, r := range []singleflight.Result[int]{<-first, <-second} {
		fmt.Println(r.Val, "led:", r.Leader)
	}

	// Output:
	// 42 led: true
	// 42 led: false
}

// A function hangs. After a while its key is no longer held by it: the next call
// runs beside it.
func ExampleOptions_forgetAfter() {
	const patience = time.Millisecond // minutes, in a service
	g := singleflight.New(singleflight.Options[string, int]{ForgetAfter: patience})

	started, hangs := make(chan bool), make(chan int)
	g.DoChan("orders", func() (int, error) {
		started <- true
		return <-hangs, nil
	})
	<-started
	time.Sleep(2 * patience)
	n, err, _ := g.Do("orders", func() (int, error) { return 42, nil })
	fmt.Println(n, err)

	// Output:
	// 42 <nil>
}

// A function that reports why it was stopped.
func ExampleErrFlightTimeout() {
	g := singleflight.New(singleflight.Options[string, int]{FlightTimeout: time.Millisecond})

	_, err, _ := g.DoContext(context.Background(), "orders", func(ctx context.Context) (int, error) {
		<-ctx.Done()
		return 0, context.Cause(ctx)
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, singleflight.ErrFlightTimeout), errors.Is(err, context.DeadlineExceeded))

	// Output:
	// singleflight: flight timeout
	// true true
}
