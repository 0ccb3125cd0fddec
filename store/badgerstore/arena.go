package badgerstore

// An arena holds the bytes of one transaction: what was read, what is to be
// written, and the keys of both. They all die with the transaction, so they
// need no allocation each, and the memory serves the next transaction.
type arena struct {
	chunk []byte // len is what is in use
}

const (
	minChunk = 4 << 10
	maxChunk = 256 << 10
)

// fits makes room for n bytes in the chunk. It returns false if they are so
// many that they are better allocated by themselves.
func (a *arena) fits(n int) bool {
	if n <= cap(a.chunk)-len(a.chunk) {
		return true
	}
	size := min(max(2*cap(a.chunk), minChunk), maxChunk)
	if n > size/4 {
		return false
	}
	// The old chunk lives on in the slices that were cut from it.
	a.chunk = make([]byte, 0, size)
	return true
}

// alloc returns n bytes of any content.
func (a *arena) alloc(n int) []byte {
	if !a.fits(n) {
		return make([]byte, n)
	}
	at := len(a.chunk)
	a.chunk = a.chunk[:at+n]
	return a.chunk[at : at+n : at+n]
}

func (a *arena) copy(b []byte) []byte {
	c := a.alloc(len(b))
	copy(c, b)
	return c
}

func (a *arena) concat(b, c []byte) []byte {
	d := a.alloc(len(b) + len(c))
	copy(d[copy(d, b):], c)
	return d
}

// tail returns the free part of the chunk, with a length of 0, to append to. If
// what was appended is to stay, keep has to be told.
func (a *arena) tail(n int) []byte {
	if !a.fits(n) {
		return nil
	}
	return a.chunk[len(a.chunk):]
}

// keep takes b, which was appended to tail, out of the free part. If the append
// had to move, b lies elsewhere and nothing is to be done.
func (a *arena) keep(b []byte) []byte {
	free := a.chunk[len(a.chunk):cap(a.chunk)]
	if len(b) > 0 && len(b) <= len(free) && &b[0] == &free[0] {
		a.chunk = a.chunk[:len(a.chunk)+len(b)]
	}
	return b[:len(b):len(b)]
}

func (a *arena) reset() { a.chunk = a.chunk[:0] }
