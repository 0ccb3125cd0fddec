//go:build !linux

package engine

import "time"

// processTime is how long the process has computed; 0: that is not known here.
func processTime() time.Duration { return 0 }
