package exported

import "testing"

func Test(t *testing.T) {
	var x tested
	x.tests.Do("", func() (any, error) { return "", nil })
}
