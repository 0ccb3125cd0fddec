//go:build !linux

package load

import "time"

// sleepFine is up to a millisecond late.
func sleepFine(d time.Duration) { time.Sleep(d) }
