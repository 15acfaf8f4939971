package key

import (
	"fmt"

	"golang.org/x/sync/singleflight"
)

type store struct {
	g     singleflight.Group
	other singleflight.Group
}

func (s *store) collide(tenant, user string, v any, p *int, n, m int) {
	s.g.Do(fmt.Sprint(tenant, user), nil)          // want `fmt.Sprint puts nothing between strings, so different values have one key: "a", "bc" and "ab", "c" \(key\)`
	s.g.Do(fmt.Sprint(v), nil)                     // want `values of different types have one key`
	s.g.Do(fmt.Sprintf("%p", p), nil)              // want `%p of what is gone`
	s.g.Do(fmt.Sprintf("%s%s", tenant, user), nil) // want `nothing is between two values in the key`
	key := fmt.Sprintf("x:%d%d", n, m)             // want `nothing is between`
	s.g.Do(key, nil)
}

func generic[K comparable](g *singleflight.Group, key K) {
	g.Do(fmt.Sprint(key), nil) // want `values of different types have one key`
}

func (s *store) Get(id string) { s.g.Do(id, func() (any, error) { return 1, nil }) }

func (s *store) Save(id string) {
	s.g.Do(id, func() (any, error) { return nil, nil }) // want `Save has the key that Get reads with: a write that joins a read is never done`
}

// Nothing to report.

func (s *store) Delete(id string) { s.other.Do(id, func() (any, error) { return nil, nil }) }

func (s *store) Update(id string) { s.g.Do("update/"+id, func() (any, error) { return nil, nil }) }

func (s *store) fine(prefix, tenant, user string, n int) {
	s.g.Do(fmt.Sprint(n), nil)
	s.g.Do(fmt.Sprint(tenant, "/", user), nil)
	s.g.Do(fmt.Sprintf("%s/%s", tenant, user), nil)
	s.g.Do(fmt.Sprintf("%s%s", prefix, user), nil)
	s.g.Do(fmt.Sprintf("%q%q", tenant, user), nil)
	s.g.Do(fmt.Sprintf("%04d%04d", n, n), nil)
	s.g.Do(fmt.Sprintf("user%d", n), nil)
	s.g.Do(tenant+user, nil)
}
