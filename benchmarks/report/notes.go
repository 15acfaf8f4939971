package main

import "github.com/seed-737f55c4/singleflight/benchmarks/measure"

// meanings says what each row of the table of bars means for a service.
var meanings = map[string]string{
	"Do, unshared, one goroutine":                               "A miss of a cache for a key that nobody else asks for. It is what each load pays for being protected, and most loads of most services are of this kind.",
	"Do, distinct keys in parallel":                             "Misses of different keys on both processors. It shows whether requests that have nothing to do with each other wait for one another in the library.",
	"Do, distinct keys in parallel, fn of 0.4 µs":               "The same with a function about as long as a look-up in a local store. With longer functions, such as a query to a database, every library's share vanishes.",
	"Do from two goroutines over the same 1,024 keys":           "As distinct keys, but each processor's calls use what the other's wrote last: popular keys, not asked for at quite the same time. How much of that must travel depends on how far apart the two processors are, which the last column tells.",
	"Do, one hot key in parallel, fn returns at once":           "All requests ask for one key and the answer takes no time: the most that calls can be in each other's way.",
	"Do, 1,000 goroutines share one flight":                     "A popular entry expires, and 1,000 requests wait for one load. Nearly all of the time goes into starting, parking and waking the goroutines, which the bare figure has too.",
	"DoChan, unshared, receive included":                        "A caller that waits for the result beside other events. Each flight has a goroutine of its own.",
	"DoContext, background context, unshared":                   "A load by a job that has no deadline. A context that can't end needs no goroutine beside the caller's.",
	"DoContext, cancellable context, unshared":                  "A load by a request. The function runs on a goroutine of its own, so that the request can leave it; starting and awaiting that is most of the cost.",
	"DoContext, cancellable, 1,000 goroutines share one flight": "A popular entry expires, and 1,000 requests, each with a context of its own, wait for one load.",
	"DoContext, background, unshared":                           "A load by a job, beside a library that runs the function on the caller's goroutine whatever its context.",
	"DoChanContext, cancellable, unshared, receive included":    "A request that waits for the result beside other events, and can leave.",
	"Live heap per DoChan flight, 200,000 in flight":            "What 200,000 loads that are in flight at once hold in memory: the flight, its channel and its place in the table, and what the runtime keeps for its waiting goroutine, which the bare figure has too. Stacks of goroutines are not in it.",
}

// limits says what keeps work from getting cheaper where its bar may be out of
// reach; docs/design.md has the profiles.
var limits = map[string]string{
	"Do, 1,000 goroutines share one flight":                     "Starting, parking and waking the goroutines is nearly all of it, for the peer too.",
	"DoContext, cancellable, 1,000 goroutines share one flight": "As for Do, with a select on the landing and the caller's context.",
	"DoContext, cancellable context, unshared":                  "The function needs a goroutine that can go on without its caller, and the caller a select, so that it notices either end. To these come the function's context, which must be allocated, a hash, four locks, and many small steps.",
	"DoContext, background, unshared":                           "Nearly a third of it is the allocation of the function's context, which can't be spared or used again, since the function may keep it. The peer passes the caller's context on.",
	"DoChanContext, cancellable, unshared, receive included":    "Besides a goroutine and a channel it needs a watch over the caller's context: context.AfterFunc, which needs no goroutine, and taking that back.",
}

// familyNotes says what the curves and grids of each family mean for a service.
var familyNotes = map[string]string{
	measure.NestedFamily:     "Functions that make calls themselves, with the context that they got, so that a cycle can be refused. Layers: each of 40 flights asks for all 40 of the next layer, 20 layers deep, all of them in the air at once; the figure is the processor time of the process for one call, held against the same by DoChan, which keeps no account of who waits for whom. A flight that 10,000 wait for: it joins 200 flights that began before it, each once; held against a flight that 1 waits for. The other two rows are for bystanders: joins of 200 flights from inside one, in a group that has nothing to do with the busy one, held against the same while nothing else runs. The busy group's goroutines need the processors too, which is in the figure.",
	measure.InFlightFamily:   "A backend stalls and loads pile up. Each point starts as many flights by DoChan, with all their functions waiting, then lets them land and receives every result. Most of the time is the goroutines', as the bare line shows: it starts the same goroutines and channels without any library. The slowest calls show whether one request pays for the growth of the table; pauses of the collector and of the scheduler are in them too.",
	measure.CallersFamily:    "A crowd waits for one load. For Do, each point starts as many goroutines, which share one flight, and waits until all have returned; the bare line has the same goroutines wait at a channel that is closed, without any library. For DoChan it makes as many calls from one goroutine. Memory is what is held for each caller while it waits: for Do its stack is in it, but not the descriptor of its goroutine, which the runtime keeps for reuse.",
	measure.DetachingFamily:  "A crowd that waits for one load gives up: all contexts end, one by one in an arbitrary order, while one more caller stays. Each point is the time from the first cancellation until the last caller has returned, or the last channel has its result. The bare lines do the same without a flight: a goroutine that waits in a select, or context.AfterFunc and a channel.",
	measure.GoroutinesFamily: "Requests for different keys on few or many goroutines and processors. A point is the time for one call, all goroutines taken together: it falls as processors share the work, and must not rise as goroutines compete. GOMAXPROCS above the number of processors shows what happens when a thread is descheduled by the system in the middle of a call.",
	measure.KeysFamily:       "Keys as services have them. x/sync takes strings alone; other keys must be formatted for it first, which is not measured here.",
	measure.HooksFamily:      "What a Trace costs, here one whose hooks do nothing: the flight gets an id and a start time, and is made anew each time.",
	measure.LibrariesFamily:  "Every entry point of every library for a flight that nobody joins, each in its cheapest form of the work. A dash stands for an entry point that the library lacks.",
}

// advantages says why a peer may be ahead, by the peer and the work. The work
// is a row's, a curve's title or a grid row's name.
var advantages = map[[2]string]string{
	{"tailscale", measure.DetachTime}:   "Each of its waiting callers has a goroutine, which was started before the measured part, and which the end of the context wakes. Here none waits, and one is started then.",
	{"msync", "DoContext, cancellable"}: "throttle.Set.Call runs the function on the caller's goroutine even if the context can end, and so starts none. Its price: the caller can't leave before the function returns, and if the function gives up because that caller's context ended, another caller runs it again.",
}

// peerAdvantages says why a peer may be ahead where no more is known of the
// work.
var peerAdvantages = map[string]string{
	"x/sync":    "It keeps less for each flight: no contexts, no detaching, no waiting for all flights.",
	"resenje":   "Its callers wait on one channel, which is closed, and it keeps no order between landing and detaching.",
	"tailscale": "It keeps less for each flight, and keeps no order between landing and detaching.",
	"msync":     "Its function always runs on the goroutine of a caller, who can't leave it.",
}

// advantage says why the peer may be ahead at the work.
func advantage(peer, work string) string {
	if why, ok := advantages[[2]string{peer, work}]; ok {
		return why
	}
	return peerAdvantages[peer]
}
