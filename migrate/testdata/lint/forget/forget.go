package forget

import (
	"database/sql"

	"golang.org/x/sync/singleflight"
)

type store struct {
	g     singleflight.Group
	db    *sql.DB
	cache interface{ Set(string, string) }
}

func (s *store) before(id string) {
	s.g.Forget(id) // want `the key is forgotten before the write in line 17: a call in between reads the old value, and others get it after the write \(forget\)`
	s.db.Exec("update", id)
}

// Nothing to report.

func (s *store) after(id string) {
	s.db.Exec("update", id)
	s.g.Forget(id)
}

func (s *store) both(id string) {
	s.g.Forget(id)
	s.db.Exec("update", id)
	s.g.Forget(id)
}

func (s *store) filled(id string) {
	s.db.Exec("update", id)
	s.g.Forget(id)
	s.cache.Set(id, "")
}

func (s *store) onlyCache(id string) {
	s.g.Forget(id)
	s.cache.Set(id, "")
}

func (s *store) anotherKey(id, other string) {
	s.g.Forget(id)
	s.db.Exec("update", other)
}

func (s *store) deferred(id string) {
	defer s.g.Forget(id)
	s.db.Exec("update", id)
}
