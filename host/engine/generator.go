package engine

import (
	"crypto/rand"
	"encoding/binary"
	chacha "math/rand/v2"
)

// Go's runtime draws 32 random bytes when it starts, and from these the state of
// a generator that everything else draws from: math/rand, hash/maphash, the
// order of a range over a map. Instances that start from one image would all
// draw the same, so each gets states of its own in their place.
//
// The states are looked for in the image and not taken on trust: what is found
// has to be what the runtime makes of the 32 bytes. The layout is that of
// internal/chacha8rand.State, which math/rand/v2.ChaCha8 generates the same
// numbers with:
//
//	buf  [32]uint64 // at 0: the numbers that come next
//	seed [4]uint64  // at 256
//	i, n, c uint32  // at 288: numbers used, numbers there are, blocks of four made
const (
	stateBuf   = 32
	stateSeed  = stateBuf * 8
	stateIndex = stateSeed + 32
	stateSize  = stateIndex + 16 // as an array would have it
)

// generators says where in a guest's memory the states are: the one that serves,
// the one that seeds it, and that of a third, simple generator, which serves the
// scheduler.
type generators struct {
	serving, seeding, cheap int
}

// findGenerators looks for the states in a memory, given what the guest has
// drawn. It fails if it does not find every one.
func findGenerators(mem []byte, drawn [32]byte) (g generators, ok bool) {
	var states []int
	for at := 0; at+stateSize+8 <= len(mem); at += 8 {
		if s := mem[at : at+stateSize]; plausible(s) && genuine(s) {
			states = append(states, at)
		}
	}
	// The first numbers go to the runtime, for its hashes and the like; then come
	// the seed of the generator that serves, and, right behind it, a new one of
	// that which seeds, and has nothing more to do.
	var first [64]uint64
	for c, i := chacha.NewChaCha8(drawn), 0; i < len(first); i++ {
		first[i] = c.Uint64()
	}
	for i := range len(first) - 7 {
		serving, seeding := seedOf(first[i:]), seedOf(first[i+4:])
		var found bool
		for _, at := range states {
			if seedAt(mem, at) == seeding {
				g.seeding, found = at, true
			}
		}
		if !found {
			continue
		}
		known := newSeeds(serving)
		for _, at := range states {
			if known.has(seedAt(mem, at)) {
				// The third stands behind it, and began with its first number.
				g.serving, g.cheap = at, at+stateSize
				return g, cheapDescends(mem[g.cheap:], chacha.NewChaCha8(serving).Uint64())
			}
		}
	}
	return g, false
}

func seedAt(mem []byte, at int) [32]byte { return [32]byte(mem[at+stateSeed:]) }

func seedOf(numbers []uint64) (seed [32]byte) {
	for i, n := range numbers[:4] {
		binary.LittleEndian.PutUint64(seed[8*i:], n)
	}
	return seed
}

// plausible tells whether the counters of a state could be such.
func plausible(s []byte) bool {
	i, n, c := counters(s)
	return i <= n && c%4 == 0 && (c < 12 && n == 32 || c == 12 && n == 28)
}

func counters(s []byte) (i, n, c uint32) {
	s = s[stateIndex:]
	return binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[4:]), binary.LittleEndian.Uint32(s[8:])
}

// A seeds knows the seeds that a generator has, one after the other.
type seeds struct {
	c    *chacha.ChaCha8
	seen map[[32]byte]bool
}

func newSeeds(first [32]byte) *seeds {
	return &seeds{chacha.NewChaCha8(first), make(map[[32]byte]bool)}
}

// seedsTried is how many seeds a generator may have had since it began: a new
// one comes after 124 numbers. Programs that draw more while they start up are
// not expected.
const seedsTried = 1 << 12

func (s *seeds) has(seed [32]byte) bool {
	for !s.seen[seed] {
		// The encoding is "chacha8:", the place, and the seed.
		text, err := s.c.MarshalBinary()
		if err != nil || len(s.seen) == seedsTried {
			return false
		}
		s.seen[[32]byte(text[16:])] = true
		// The seed changes with the first number behind those that it gave.
		for used := binary.BigEndian.Uint64(text[8:]); used <= 124; used++ {
			s.c.Uint64()
		}
	}
	return true
}

// genuine tells whether the numbers of a state are what its seed gives.
func genuine(s []byte) bool {
	_, n, c := counters(s)
	text := binary.BigEndian.AppendUint64([]byte("chacha8:"), uint64(c)*stateBuf/4)
	var g chacha.ChaCha8
	if g.UnmarshalBinary(append(text, s[stateSeed:stateIndex]...)) != nil {
		return false
	}
	for i := range int(n) {
		if binary.LittleEndian.Uint64(s[8*i:]) != g.Uint64() {
			return false
		}
	}
	return true
}

// cheapDescends tells whether what stands in memory is a state of the runtime's
// xorshift generator that began with another.
func cheapDescends(mem []byte, began uint64) bool {
	have := binary.LittleEndian.Uint64(mem)
	a, b := uint32(began), uint32(began>>32)
	for range seedsTried * 16 {
		if uint64(a)|uint64(b)<<32 == have {
			return true
		}
		a ^= a << 17
		a, b = b, a^b^a>>7^b>>16
	}
	return false
}

// renew gives a guest states of its own.
func (g generators) renew(mem []byte) {
	var fresh [2*32 + 8]byte
	rand.Read(fresh[:])
	fill(mem[g.serving:], [32]byte(fresh[:]))
	fill(mem[g.seeding:], [32]byte(fresh[32:]))
	fresh[64] |= 1 // it must not be all zeros
	copy(mem[g.cheap:], fresh[64:])
}

// fill writes the state that begins with a seed.
func fill(s []byte, seed [32]byte) {
	c := chacha.NewChaCha8(seed)
	for i := range stateBuf {
		binary.LittleEndian.PutUint64(s[8*i:], c.Uint64())
	}
	copy(s[stateSeed:], seed[:])
	binary.LittleEndian.PutUint32(s[stateIndex:], 0)
	binary.LittleEndian.PutUint32(s[stateIndex+4:], stateBuf)
	binary.LittleEndian.PutUint32(s[stateIndex+8:], 0)
}
