package programs

import (
	"runtime"
	"slices"
	"sort"
	"strconv"
	"strings"
)

func maps() uint64 {
	var s sum
	m := make(map[string]map[int]bool)
	for i := range 3000 {
		key := strconv.Itoa(i * i % 97)
		if m[key] == nil {
			m[key] = make(map[int]bool)
		}
		m[key][i] = i%2 == 0
		if i%7 == 0 {
			delete(m, strconv.Itoa(i%97))
		}
	}
	total := 0
	for key, set := range m {
		for n, even := range set {
			if even {
				total += n * len(key)
			}
		}
	}
	s.add(total)
	s.add(len(m))
	return uint64(s)
}

type node struct {
	left, right *node
	value       int
}

func (n *node) insert(v int) *node {
	switch {
	case n == nil:
		return &node{value: v}
	case v < n.value:
		n.left = n.left.insert(v)
	default:
		n.right = n.right.insert(v)
	}
	return n
}

func (n *node) walk(s *sum) {
	if n != nil {
		n.left.walk(s)
		s.add(n.value)
		n.right.walk(s)
	}
}

func garbage() uint64 {
	var s sum
	for round := range 5 {
		var root *node
		v := round
		for range 2000 {
			v = (v*1103515245 + 12345) & 0xffff
			root = root.insert(v)
			_ = make([]byte, v%512)
		}
		runtime.GC()
		root.walk(&s)
	}
	return uint64(s)
}

type shape interface{ area() int }
type square int
type rect struct{ w, h int }

func (q square) area() int { return int(q * q) }
func (r *rect) area() int  { return r.w * r.h }

func interfaces() uint64 {
	var s sum
	for i := range 200 {
		var v any
		switch i % 5 {
		case 0:
			v = square(i)
		case 1:
			v = &rect{i, 2}
		case 2:
			v = strconv.Itoa(i)
		case 3:
			v = float64(i) / 3
		case 4:
			v = func(n int) int { return n + i }
		}
		switch x := v.(type) {
		case shape:
			s.add(x.area())
		case string:
			s.say(x)
		case float64:
			s.add(int(x * 1000))
		case func(int) int:
			s.add(x(i))
		}
	}
	return uint64(s)
}

func text() uint64 {
	var s sum
	var b strings.Builder
	for i := range 300 {
		b.WriteString(strconv.Quote(strings.Repeat(string(rune('a'+i%26)), i%9)))
		b.WriteByte(" ,;"[i%3])
	}
	words := strings.FieldsFunc(b.String(), func(r rune) bool { return r == ' ' || r == ',' || r == ';' })
	sort.Slice(words, func(i, k int) bool {
		return len(words[i]) < len(words[k]) || len(words[i]) == len(words[k]) && words[i] < words[k]
	})
	for _, w := range slices.Compact(words) {
		s.say(strings.ToUpper(w))
	}
	return uint64(s)
}

func numbers() uint64 {
	var s sum
	x := 0.5
	a := [4][4]int{{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}, {13, 14, 15, 16}}
	for round := range 100 {
		var c [4][4]int
		for i := range a {
			for k := range a {
				for m := range a {
					c[i][k] += a[i][m] * a[m][k] % 1009
				}
			}
		}
		a = c
		x = 3.7 * x * (1 - x)
		s.add(int(x*1e9) + a[round%4][round/4%4])
	}
	return uint64(s)
}
