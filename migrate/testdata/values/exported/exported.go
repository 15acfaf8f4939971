package exported

import "github.com/seed-737f55c4/singleflight"

var Group singleflight.Group[string, any] // want `left: values of Group stay any: Group is exported`

func use() { Group.Do("", func() (any, error) { return 1, nil }) }

func New(g *singleflight.Group[string, any]) { // want `left: values of g stay any: New is exported`
	g.Do("", func() (any, error) { return 1, nil })
}

// The tests of the package use this.
type tested struct {
	tests singleflight.Group[string, any] // want `left: values of tests stay any`
}

func (t *tested) use() { t.tests.Do("", func() (any, error) { return 1, nil }) }
