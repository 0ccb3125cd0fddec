package programs

import (
	"errors"
	"runtime"
)

var errDeep = errors.New("deep")

func panics() uint64 {
	var s sum
	for depth := range 40 {
		s.add(recovered(&s, depth, depth%5))
	}
	s.say(nested())
	return uint64(s)
}

func recovered(s *sum, depth, at int) (result int) {
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); ok && errors.Is(err, errDeep) {
				result = -depth
				return
			}
			panic(r)
		}
	}()
	for i := range 3 {
		defer func() { s.add(i + depth) }()
	}
	descend(depth, at)
	return depth
}

//go:noinline
func descend(depth, at int) {
	defer runtime.KeepAlive(depth)
	if depth == at {
		panic(errDeep)
	}
	if depth > 0 {
		descend(depth-1, at)
	}
}

func nested() (told string) {
	defer func() {
		if recover() != nil {
			told += "3"
		}
	}()
	defer func() {
		defer func() { told += "2:" + recover().(string) + " " }()
		told += "1:" + recover().(string) + " "
		panic("second")
	}()
	defer panic("third")
	panic("first")
}

func runtimeErrors() uint64 {
	var s sum
	var none *Program
	var list []int
	var dict map[string]int
	var any any = "text"
	zero := len(list)
	for i, f := range []func(){
		func() { s.add(list[zero]) },
		func() { s.add(len(none.Name)) },
		func() { dict["x"] = 1 },
		func() { s.add(any.(int)) },
		func() { s.add(7 / zero) },
		func() { s.add(len(make([]int, zero-1))) },
		func() { s.add(len("abc"[zero+2 : zero+1])) },
		func() { close((chan int)(nil)) },
	} {
		func() {
			defer func() {
				err := recover().(error)
				s.add(i)
				s.say(err.Error())
			}()
			f()
		}()
	}
	return uint64(s)
}

func defers() uint64 {
	var s sum
	var f func(n int) (result int)
	f = func(n int) (result int) {
		for i := range n % 5 {
			defer func() { result = result*3 + i }()
		}
		if n%2 == 0 {
			defer s.add(n)
		}
		if n == 0 {
			runtime.Gosched()
			return 1
		}
		return f(n-1) + n
	}
	s.add(f(50))
	return uint64(s)
}

// growth has the stack copied, again and again, in the midst of loops.
func growth() uint64 {
	var s sum
	for depth := 1; depth < 200_000; depth *= 5 {
		s.add(grow(depth, [8]int{depth}))
	}
	return uint64(s)
}

//go:noinline
func grow(depth int, a [8]int) int {
	if depth == 0 {
		return a[0]
	}
	total := 0
	for i := range a {
		a[i] += depth
		if i == 3 {
			total += grow(depth-1, [8]int{a[i]})
		}
		total += a[i] & 7
	}
	return total
}

func growthElsewhere() uint64 {
	var s sum
	c := make(chan int)
	for n := range 10 {
		go func() { c <- grow(1000*(n+1), [8]int{n}) }()
		s.add(<-c)
	}
	return uint64(s)
}
