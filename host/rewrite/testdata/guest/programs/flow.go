package programs

// gotos has loops with two ways in, which have no structured form.
func gotos() uint64 {
	var s sum
	for start := range 20 {
		n := start
		if start%2 == 0 {
			goto even
		}
	odd:
		s.add(n)
		n += 3
		if n > 60 {
			continue
		}
	even:
		s.add(n * 2)
		n++
		if n%5 == 0 {
			goto even
		}
		if n < 70 {
			goto odd
		}
	}
	return uint64(s)
}

func labels() uint64 {
	var s sum
outer:
	for i := range 50 {
	middle:
		for k := range 50 {
			switch {
			case k > i:
				continue outer
			case (i*k)%13 == 7:
				break middle
			case i+k == 77:
				break outer
			}
			for m := k; ; m += i + 1 {
				if m > 40 {
					continue middle
				}
				if m%9 == 8 {
					break
				}
				s.add(m)
			}
			s.add(i ^ k)
		}
		s.add(-i)
	}
	return uint64(s)
}

func closures() uint64 {
	var s sum
	var all []func(int) int
	for i := range 30 {
		count := 0
		all = append(all, func(n int) int {
			count += n
			if count%3 == 0 && i > 0 {
				return all[i-1](count)
			}
			return count * i
		})
	}
	for round := range 10 {
		for _, f := range all {
			s.add(f(round))
		}
	}
	return uint64(s)
}

func pairs(limit int) func(func(int, int) bool) {
	return func(yield func(int, int) bool) {
		defer func() { limit++ }()
		for i := range limit {
			for k := range i {
				if !yield(i, k) {
					return
				}
			}
		}
	}
}

func iterators() uint64 {
	var s sum
	find := func(want int) int {
		for a, b := range pairs(30) {
			for c, d := range pairs(a) {
				if a*b+c*d == want {
					return a + b + c + d
				}
				if c > b {
					break
				}
			}
			defer s.add(a)
		}
		return -1
	}
	for n := range 60 {
		s.add(find(n))
	}
	return uint64(s)
}
