//go:build !unix

package measure

import "time"

var began = time.Now()

// processorTime returns the time that has passed, since this system has no
// common way to ask for the processor's.
func processorTime() time.Duration { return time.Since(began) }
