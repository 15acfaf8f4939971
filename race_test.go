//go:build race

package singleflight_test

// raceEnabled tells that the race detector slows the tests down.
const raceEnabled = true
