package done

func (s *store) noImport(id string) {
	c := newContext()
	s.users.Do(id, func() (*user, error) { return s.find(c, id) }) // want `Do becomes DoContext`
}
