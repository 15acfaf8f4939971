package difftest

import (
	"runtime/debug"
	"testing"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // a script leaves nothing behind that is worth a cycle
	m.Run()
}

// scaled returns a number of scripts: fewer under -short and under the race
// detector, which makes each take several times as long.
func scaled(count int) int {
	if reduced() {
		return count / 8
	}
	return count
}

func reduced() bool { return testing.Short() || raceEnabled }
