// Package load is the clients of a service: many at once, over real connections, some of them impatient.
package load

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// A Plan says what the clients do. Each sends requests one after another, with a pause before each.
// What the nth request of a client asks for, and how long the pause before it is, depends on the plan alone, so the same
// plan is the same load for every service; a slow one only gets less far in it.
type Plan struct {
	Clients   int           `json:"clients"`
	Duration  time.Duration `json:"duration_ns"` // when no more requests are sent
	Requests  int           `json:"requests"`    // how many each client sends at most; 0: as many as Duration allows
	Impatient float64       `json:"impatient"`   // the share of the clients that are impatient
	Patience  time.Duration `json:"patience_ns"` // when an impatient client hangs up
	Pause     time.Duration `json:"pause_ns"`    // the mean pause; not more than Duration
	Skew      float64       `json:"skew"`        // exponent of the Zipf distribution of the queries; more than 1
	Seed      uint64        `json:"seed"`        // of the random numbers
	Grace     time.Duration `json:"grace_ns"`    // how long after Duration a patient client waits for its last answer
	Queries   []string      `json:"queries"`     // what is asked for, the most frequent first
}

// MostClients is how many clients a plan may have.
const MostClients = 1000

// Check says what is wrong with the numbers of a plan, if something is.
func (p *Plan) Check() error {
	switch {
	case p.Clients < 1 || p.Clients > MostClients:
		return fmt.Errorf("clients: %d is not between 1 and %d", p.Clients, MostClients)
	case p.Duration <= 0:
		return fmt.Errorf("duration: %v is not positive", p.Duration)
	case p.Requests < 0:
		return fmt.Errorf("requests: %d is negative", p.Requests)
	case !(p.Impatient >= 0 && p.Impatient <= 1): // so that it holds for NaN too
		return fmt.Errorf("impatient: %v is not between 0 and 1", p.Impatient)
	case p.Patience <= 0:
		return fmt.Errorf("patience: %v is not positive", p.Patience)
	case p.Pause < 0:
		return fmt.Errorf("pause: %v is negative", p.Pause)
	case p.Pause > p.Duration:
		return fmt.Errorf("pause: %v is more than the duration, %v", p.Pause, p.Duration)
	case math.IsNaN(p.Skew) || math.IsInf(p.Skew, 0):
		return fmt.Errorf("skew: %v is not a finite number", p.Skew)
	case p.Skew <= 1:
		return fmt.Errorf("skew: %v is not more than 1", p.Skew)
	}
	return nil
}

var errNoQueries = errors.New("a load needs something to ask for")

// A client draws what one client does next.
type client struct {
	plan      *Plan
	impatient bool
	random    *rand.Rand
	rank      *rand.Zipf
}

func (p *Plan) client(number int) *client {
	random := rand.New(rand.NewPCG(p.Seed, uint64(number)))
	return &client{
		plan:      p,
		impatient: number < int(math.Round(p.Impatient*float64(p.Clients))),
		random:    random,
		rank:      rand.NewZipf(random, p.Skew, 1, uint64(len(p.Queries)-1)),
	}
}

// next draws a pause, which is cut to the duration of the load, and a query.
func (c *client) next() (pause time.Duration, query string) {
	pause = c.plan.Duration
	// The product may be more than a time.Duration holds.
	if drawn := c.random.ExpFloat64() * float64(c.plan.Pause); drawn < float64(pause) {
		pause = time.Duration(drawn)
	}
	return pause, c.plan.Queries[c.rank.Uint64()]
}
