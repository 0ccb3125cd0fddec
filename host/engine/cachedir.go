package engine

import (
	"fmt"
	"os"
)

// secureDir makes dir, or checks that nobody else can put code into it: the
// compiled code that stands there is mapped executable without further checks.
func secureDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("engine: compilation cache: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("engine: compilation cache: %w", err)
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("engine: compilation cache %s has mode %#o and is executed: want it writable by its owner only (chmod 0700)", dir, perm)
	}
	return nil
}
