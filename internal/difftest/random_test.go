package difftest

import (
	"flag"
	"math/rand/v2"
	"testing"
)

var (
	seed    = flag.Uint64("difftest.seed", 1, "seed of the random scripts; 0 chooses one")
	scripts = flag.Int("difftest.scripts", 0, "number of random scripts of each test; 0: as many as fit in a test run")
)

// randomScripts returns a generator of long random scripts of random scopes.
func randomScripts(t *testing.T, count int, scopes func(*rand.Rand) Scope) func(yield func(Script) bool) {
	used := *seed
	if used == 0 {
		used = rand.Uint64()
	}
	if *scripts > 0 {
		count = *scripts
	}
	t.Logf("%d scripts of seed %d (-difftest.seed, -difftest.scripts)", count, used)
	return func(yield func(Script) bool) {
		random := rand.New(rand.NewPCG(used, 0))
		for range count {
			if !yield(scopes(random).Random(random, 10+random.IntN(50))) {
				return
			}
		}
	}
}

// TestRandom runs long random scripts against x/sync, the package and the model,
// with every ending that x/sync knows and with nil functions.
func TestRandom(t *testing.T) {
	scope := basicScope
	scope.Callers = 8
	scope.NilFuncs = true
	scope.Endings = nil
	for ending := range endingCount {
		if ending.inBoth() {
			scope.Endings = append(scope.Endings, ending)
		}
	}
	compareAll(t, randomScripts(t, scaled(2000), func(*rand.Rand) Scope { return scope }), theModel, thePackage, theXSync)
}

// TestRandomModel runs long random scripts of the whole API, over one or two
// groups of random options, against the package and the model.
func TestRandomModel(t *testing.T) {
	compareAll(t, randomScripts(t, scaled(3000), randomScope), theModel, thePackage)
}

// randomScope returns a scope of everything, over one or two groups of random options.
func randomScope(random *rand.Rand) Scope {
	scope := Scope{Keys: []string{"a", "b"}, Callers: 3 + random.IntN(6)}
	for range 1 + random.IntN(2) {
		scope.Groups = append(scope.Groups, optionsOf(random.IntN(16)))
	}
	for op := range opCount {
		scope.Ops = append(scope.Ops, op)
	}
	for kind := range kindCount {
		scope.Contexts = append(scope.Contexts, kind)
	}
	for ending := range endingCount {
		scope.Endings = append(scope.Endings, ending)
	}
	scope.NilFuncs = random.IntN(4) == 0
	return scope
}

// optionsOf returns one of 16 combinations of options.
func optionsOf(bits int) Options {
	o := Options{CancelAbandoned: bits&1 != 0, Recover: bits&2 != 0, Clone: bits&4 != 0}
	if bits&8 != 0 {
		o.FlightTimeout = FlightTimeout
	}
	return o
}
