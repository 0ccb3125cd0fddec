// Package programs has small programs that use all of what Go's compiler and
// runtime do to the flow of control. Each computes a number, the same wherever
// it runs.
package programs

// A Program is one of them.
type Program struct {
	Name string
	Run  func() uint64
}

// All are the programs.
var All = []Program{
	{"sieve", sieve},
	{"yields in loops", yields},
	{"select", selects},
	{"panics", panics},
	{"runtime errors", runtimeErrors},
	{"defers", defers},
	{"stack growth", growth},
	{"stack growth in a goroutine", growthElsewhere},
	{"goto", gotos},
	{"labels", labels},
	{"closures", closures},
	{"iterators", iterators},
	{"maps", maps},
	{"garbage", garbage},
	{"interfaces", interfaces},
	{"locks", locks},
	{"cancel", cancel},
	{"text", text},
	{"numbers", numbers},
}

// A sum tells what happened, and in which order.
type sum uint64

func (s *sum) add(n int) { *s = (*s ^ sum(n)) * 0x100000001b3 }

func (s *sum) say(t string) {
	s.add(len(t))
	for i := range len(t) {
		s.add(int(t[i]))
	}
}
