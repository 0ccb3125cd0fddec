package realtime

// A fifo is a queue that uses its memory again.
type fifo[T any] struct {
	list []T
	next int // index of the first
}

// maxKept bounds the room that an empty fifo keeps.
const maxKept = 1024

func (f *fifo[T]) len() int { return len(f.list) - f.next }

func (f *fifo[T]) push(v T) {
	if len(f.list) == cap(f.list) && f.next > len(f.list)/2 {
		n := copy(f.list, f.list[f.next:])
		clear(f.list[n:])
		f.list, f.next = f.list[:n], 0
	}
	f.list = append(f.list, v)
}

// first returns what pop would.
func (f *fifo[T]) first() (v T, ok bool) {
	if f.len() == 0 {
		return v, false
	}
	return f.list[f.next], true
}

func (f *fifo[T]) pop() (v T, ok bool) {
	if f.len() == 0 {
		return v, false
	}
	v, f.list[f.next] = f.list[f.next], v
	f.next++
	if f.next == len(f.list) {
		f.list, f.next = f.list[:0], 0
		if cap(f.list) > maxKept {
			f.list = nil
		}
	}
	return v, true
}
