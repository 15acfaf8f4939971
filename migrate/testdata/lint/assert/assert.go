package assert

import (
	"errors"

	own "github.com/seed-737f55c4/singleflight"
	"golang.org/x/sync/singleflight"
)

type user struct{}

var (
	x singleflight.Group
	o own.Group[string, any]
)

func unchecked(ok bool) (*user, error) {
	v, err, _ := x.Do("", func() (any, error) {
		if !ok {
			return nil, errors.New("no")
		}
		return &user{}, nil
	})
	return v.(*user), err // want `this panics when the function has returned nil and an error: look at the error first \(assert\)`
}

type several struct{ g singleflight.Group }

func (s *several) name(id string) string {
	v, err, _ := s.g.Do(id, func() (any, error) { return "name", nil })
	if err != nil {
		return ""
	}
	return v.(string) // want `the group's functions return several types \(2\), and a call may get the value of another's function`
}

func (s *several) age(id string) int {
	v, err, _ := s.g.Do(id, func() (any, error) { return 1, nil })
	if err != nil {
		return 0
	}
	return v.(int) // want `several types`
}

// Nothing to report.

func checked(ok bool) (*user, error) {
	v, err, _ := o.Do("", func() (any, error) {
		if !ok {
			return nil, errors.New("no")
		}
		return &user{}, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*user), nil
}

func neverNil() (string, error) {
	v, err, _ := o.Do("", func() (any, error) { return "", errors.New("no") })
	return v.(string), err
}

func withOK() (*user, error) {
	v, err, _ := o.Do("", func() (any, error) { return nil, errors.New("no") })
	u, _ := v.(*user)
	return u, err
}

func nilChecked() (*user, error) {
	v, err, _ := o.Do("", func() (any, error) { return nil, errors.New("no") })
	if v == nil {
		return nil, err
	}
	return v.(*user), err
}

type prefixed struct{ g own.Group[string, any] }

func (p *prefixed) name(id string) string {
	v, _, _ := p.g.Do("name/"+id, func() (any, error) { return "name", nil })
	return v.(string)
}

func (p *prefixed) age(id string) int {
	v, _, _ := p.g.Do("age/"+id, func() (any, error) { return 1, nil })
	return v.(int)
}
