package peer

import "context"

// Function is one deduplicated function in the forms that the libraries take it
// in. Each form does the same work, so that no library pays for a conversion.
type Function struct {
	Plain   func() (int, error)
	Boxed   func() (any, error)
	Context func(context.Context) (int, error)
}

// Of returns body in each form. The conversions cost every form one more call,
// and the value is boxed without an allocation only if it is below 256.
func Of(body func() int) Function {
	return Function{
		Plain:   func() (int, error) { return body(), nil },
		Boxed:   func() (any, error) { return body(), nil },
		Context: func(context.Context) (int, error) { return body(), nil },
	}
}

// Immediate returns at once.
var Immediate = Function{
	Plain:   func() (int, error) { return 1, nil },
	Boxed:   func() (any, error) { return 1, nil },
	Context: func(context.Context) (int, error) { return 1, nil },
}
