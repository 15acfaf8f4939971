package measure

import "fmt"

// keyCount is how many values the keys of a bar take.
const keyCount = 1024

// stringKeys returns n keys of 16 bytes.
func stringKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%011d", i)
	}
	return keys
}

// intKeys returns n keys.
func intKeys(n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = i
	}
	return keys
}

// oneKey is the key of a flight that many share.
const oneKey = "user:00000000001"
