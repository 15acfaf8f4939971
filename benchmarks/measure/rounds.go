package measure

import "time"

// perRound repeats round until the given time has passed, at least once, and
// returns the mean of the times that round returned, in nanoseconds. Unlike
// package testing it counts in its budget what a round spends on preparing, so
// that rounds with long preparations end.
func perRound(length time.Duration, round func() time.Duration) float64 {
	var total time.Duration
	rounds := 0
	for started := time.Now(); rounds == 0 || time.Since(started) < length; rounds++ {
		total += round()
	}
	return float64(total.Nanoseconds()) / float64(rounds)
}
