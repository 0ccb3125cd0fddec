package engine

import "slices"

// KeptPrograms is how many programs are kept that no version uses.
const KeptPrograms = keptPrograms

// Programs returns how many programs an engine has, and how many of them no version
// uses.
func (e *Engine) Programs() (known, idle int) {
	e.programs.mu.Lock()
	defer e.programs.mu.Unlock()
	return len(e.programs.known), len(e.programs.idle)
}

// EndKeeping has the time end for which programs are kept.
func (e *Engine) EndKeeping() {
	e.programs.mu.Lock()
	known := e.programs.known
	all := make([]*program, 0, len(known))
	for _, p := range known {
		all = append(all, p)
	}
	e.programs.mu.Unlock()
	for _, p := range all {
		e.programs.expire(p)
	}
}

// Pretend has a program count as one with that much machine code.
func (v *Version) Pretend(size int64) { v.program.size = size }

// KeptSize is how much machine code is kept that no version uses.
const KeptSize = keptSize

// SharesCode and SharesImage tell what two versions have in common.
func (v *Version) SharesCode(w *Version) bool  { return v.program == w.program }
func (v *Version) SharesImage(w *Version) bool { return v.starter.image == w.starter.image }

// Image returns what the memory of an instance begins with.
func (v *Version) Image() []byte { return slices.Clone(v.starter.image.content.bytes()) }
