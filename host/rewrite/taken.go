package rewrite

import "strings"

// What the global of TakenExport says.
const (
	TakenTime   = 1 // of the wall clock
	TakenRandom = 2 // from the random generators of the runtime
)

// Names of functions of Go's, as its linker writes them: with '_' for most of
// what is not a letter.
const (
	nameTime  = "time.now"
	nameRand  = "runtime.rand"
	nameCheap = "runtime.cheaprand" // and with 64 or n behind it
)

// runtimePrefix is how the names of the runtime's own functions begin.
const runtimePrefix = "runtime."

// randomPrefixes are how the names of those functions begin that draw random
// numbers for the program. The compiler has any function draw one that makes a
// small map, so a call of runtime.rand alone says nothing.
var randomPrefixes = []string{"math_rand.", "math_rand_v2.", "hash_maphash.", "os.", "net.", "runtime.fastrand"}

// takers knows which functions of a Go guest give what differs from one
// instance to the next, and which take it for the program. The runtime draws
// random numbers for maps, and looks at the clock for its collector; neither is
// of concern.
type takers struct {
	names   map[uint32]string
	sources map[uint32]int64 // TakenTime, TakenRandom
}

// takers finds them by their names; without names it returns nil.
func (m *Module) takers() *takers {
	t := &takers{names: make(map[uint32]string), sources: make(map[uint32]int64)}
	var clock, random bool
	for _, n := range m.functionNames() {
		t.names[n.index] = n.name
		switch {
		case n.name == nameTime:
			t.sources[n.index], clock = TakenTime, true
		case n.name == nameRand:
			t.sources[n.index], random = TakenRandom, true
		case strings.HasPrefix(n.name, nameCheap):
			t.sources[n.index] = TakenRandom
		}
	}
	if !clock || !random {
		return nil
	}
	return t
}

// what returns what a call takes for the program, 0 if nothing.
func (t *takers) what(caller, callee uint32) int64 {
	if t == nil {
		return 0
	}
	what := t.sources[callee]
	if what == 0 {
		return 0
	}
	name := t.names[caller]
	if t.names[callee] == nameRand {
		for _, p := range randomPrefixes {
			if strings.HasPrefix(name, p) {
				return what
			}
		}
		return 0
	}
	if strings.HasPrefix(name, runtimePrefix) {
		return 0
	}
	return what
}
