package abi_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/tinylib/msgp/msgp"
)

// number is the text of a Number in a model.
type number string

// random returns a model of a value: nil, bool, int64, uint64, float64, number,
// string, []byte, []any or map[string]any.
func random(r *rand.Rand, depth int) any {
	kinds := 10
	if depth == 0 {
		kinds = 8
	}
	size := []int{0, 1, 3, 15, 16, 31, 32, 255, 256}[r.IntN(9)]
	if r.IntN(100) == 0 {
		size = 70000
	}
	switch r.IntN(kinds) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2, 3:
		return int64(r.Uint64()) >> r.IntN(64)
	case 4:
		return r.Uint64() | 1<<63
	case 5:
		return math.Float64frombits(r.Uint64()&^(1<<62)) + 0.5
	case 6:
		return number("0." + strings.Repeat("7", 1+min(size, 900)))
	case 7:
		if r.IntN(2) == 0 {
			return bytes.Repeat([]byte{0xff}, size)
		}
		return strings.Repeat("x", size)
	case 8:
		list := []any{}
		if depth > 1 {
			size = min(size, 8)
		}
		for range min(size, 300) {
			list = append(list, random(r, depth-1-r.IntN(depth)))
		}
		return list
	}
	m := map[string]any{}
	if depth > 1 {
		size = min(size, 8)
	}
	for i := range min(size, 40) {
		m[strings.Repeat("k", i)] = random(r, depth-1-r.IntN(depth))
	}
	return m
}

// write writes a model.
func write(w *abi.Writer, r *rand.Rand, model any) {
	switch m := model.(type) {
	case nil:
		w.Nil()
	case bool:
		w.Bool(m)
	case int64:
		w.Int(m)
	case uint64:
		w.Uint(m)
	case float64:
		w.Float(m)
	case number:
		w.Number([]byte(m))
	case string:
		if r.IntN(2) == 0 {
			w.Text(m)
		} else {
			w.TextBytes([]byte(m))
		}
	case []byte:
		w.Bytes(m)
	case []any:
		switch r.IntN(3) {
		case 0:
			w.Array()
			for _, e := range m {
				write(w, r, e)
			}
			w.End()
		case 1:
			w.FixedArray(len(m))
			for _, e := range m {
				write(w, r, e)
			}
		default: // as one piece
			var inner abi.Writer
			inner.Array()
			for _, e := range m {
				write(&inner, r, e)
			}
			inner.EndAll()
			w.Raw(inner.Value())
		}
	case map[string]any:
		w.Map()
		for k, e := range m {
			if r.IntN(2) == 0 {
				w.Key(k)
			} else {
				w.KeyBytes([]byte(k))
			}
			write(w, r, e)
		}
		w.End()
	}
}

// walk reads a value back with the methods of Value.
func walk(t *testing.T, v abi.Value) any {
	switch v.Kind() {
	case abi.Nil:
		return nil
	case abi.Bool:
		b, _ := v.Bool()
		return b
	case abi.Int:
		if n, ok := v.Int(); ok {
			return n
		}
		n, _, err := msgp.ReadUint64Bytes(v)
		if err != nil {
			t.Fatal(err)
		}
		return n
	case abi.Float:
		f, _ := v.Float()
		return f
	case abi.Number:
		s, _ := v.NumberText()
		return number(s)
	case abi.String:
		s, _ := v.Text()
		return s
	case abi.Bytes:
		b, _ := v.Bytes()
		return b
	case abi.Array:
		list := []any{}
		for it := v.Items(); it.Next(); {
			list = append(list, walk(t, it.Value()))
		}
		if len(list) != v.Len() {
			t.Fatalf("%d of %d elements", len(list), v.Len())
		}
		return list
	case abi.Map:
		m, n := map[string]any{}, 0
		for it := v.Entries(); it.Next(); n++ {
			m[string(it.Key())] = walk(t, it.Value())
		}
		if n != v.Len() {
			t.Fatalf("%d of %d entries", n, v.Len())
		}
		return m
	}
	t.Fatalf("% x is %s", []byte(v), v.Kind())
	return nil
}

// read reads a value back with a Reader.
func read(t *testing.T, r *abi.Reader) any {
	switch r.Kind() {
	case abi.Nil:
		r.Nil()
		return nil
	case abi.Bool:
		return r.Bool()
	case abi.Int:
		before := *r
		if n := r.Int(); !r.Failed() {
			return n
		}
		*r = before
		n, _, _ := msgp.ReadUint64Bytes(r.Value())
		return n
	case abi.Float:
		return r.Float()
	case abi.String:
		return r.Text()
	case abi.Bytes:
		return r.Bytes()
	case abi.Array:
		list := []any{}
		for n := r.Array(); n > 0 && !r.Failed(); n-- {
			list = append(list, read(t, r))
		}
		return list
	case abi.Map:
		m := map[string]any{}
		for n := r.Map(); n > 0 && !r.Failed(); n-- {
			k := r.Text()
			m[k] = read(t, r)
		}
		return m
	}
	s, ok := r.Value().NumberText()
	if !ok && !r.Failed() {
		t.Fatal("an unknown kind")
	}
	return number(s)
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	var w abi.Writer
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 0))
		model := random(r, 3)
		w.Reset(w.Value())
		write(&w, r, model)
		v := w.Value()
		if !v.Valid() {
			t.Fatalf("seed %d: not valid", seed)
		}
		if rest, err := msgp.Skip(v); err != nil || len(rest) > 0 {
			t.Fatalf("seed %d: msgp sees %d bytes behind it, %v", seed, len(rest), err)
		}
		if got := walk(t, v); !reflect.DeepEqual(got, model) {
			t.Fatalf("seed %d: walked as another value", seed)
		}
		rd := v.Read()
		if got := read(t, &rd); !rd.Done() || !reflect.DeepEqual(got, model) {
			t.Fatalf("seed %d: read as another value", seed)
		}
		for _, n := range []int{0, len(v) / 2, len(v) - 1} {
			if v[:n].Valid() {
				t.Fatalf("seed %d: valid although cut short", seed)
			}
		}
		if append(v[:len(v):len(v)], 0xc0).Valid() {
			t.Fatalf("seed %d: valid although something follows", seed)
		}
	}
}

func TestNumbersAreConverted(t *testing.T) {
	for _, c := range []struct {
		name  string
		v     abi.Value
		int   int64
		isInt bool
		float float64
		isNum bool
	}{
		{"an integer", value(func(w *abi.Writer) { w.Int(-7) }), -7, true, -7, true},
		{"the largest", value(func(w *abi.Writer) { w.Uint(math.MaxUint64) }), 0, false, math.MaxUint64, true},
		{"a whole float", value(func(w *abi.Writer) { w.Float(1e15) }), 1e15, true, 1e15, true},
		{"the least whole float", value(func(w *abi.Writer) { w.Float(-1 << 63) }), math.MinInt64, true, -1 << 63, true},
		{"the first beyond", value(func(w *abi.Writer) { w.Float(1 << 63) }), 0, false, 1 << 63, true},
		{"a fraction", value(func(w *abi.Writer) { w.Float(0.5) }), 0, false, 0.5, true},
		{"a short float", abi.Value("\xca\x3f\x00\x00\x00"), 0, false, 0.5, true},
		{"a number", value(func(w *abi.Writer) { w.Number([]byte("0.1000000000000000000001")) }), 0, false, 0.1, true},
		{"a number beyond every float", value(func(w *abi.Writer) { w.Number([]byte("1e999")) }), 0, false, 0, false},
		{"text", value(func(w *abi.Writer) { w.Text("1") }), 0, false, 0, false},
		{"nothing", abi.Value(""), 0, false, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if n, ok := c.v.Int(); n != c.int || ok != c.isInt {
				t.Errorf("Int: %d, %t", n, ok)
			}
			if f, ok := c.v.Float(); f != c.float || ok != c.isNum {
				t.Errorf("Float: %v, %t", f, ok)
			}
			r := c.v.Read()
			if n := r.Int(); n != c.int || r.Done() != c.isInt {
				t.Errorf("Reader.Int: %d, %t", n, r.Done())
			}
		})
	}
}

func TestWhatIsNotThereIsHarmless(t *testing.T) {
	for _, v := range []abi.Value{nil, value(func(w *abi.Writer) { w.Map(); w.Key("a"); w.Nil(); w.EndAll() })} {
		missing := v.Get("x").Get("y")
		if missing.Exists() || !missing.IsNil() || missing.Kind() != abi.Invalid || missing.Len() != 0 || missing.Valid() {
			t.Errorf("% x: something is there", []byte(v))
		}
		if _, ok := missing.Text(); ok {
			t.Error("it has a text")
		}
		for it := missing.Items(); it.Next(); {
			t.Error("it has an element")
		}
	}
	if a := value(func(w *abi.Writer) { w.Map(); w.Key("a"); w.Nil(); w.EndAll() }).Get("a"); !a.Exists() || !a.IsNil() {
		t.Error("null is not there")
	}
}

func TestNumbersAreInTheSyntaxOfJSON(t *testing.T) {
	ext := func(s string) abi.Value {
		return append(abi.Value{0xc8, byte(len(s) >> 8), byte(len(s)), abi.ExtNumber}, s...)
	}
	for _, s := range []string{"0", "-0", "10", "1.5", "0.05", "1e5", "-1.5E+10", "1e-0999", strings.Repeat("1", abi.MaxNumber)} {
		if v := ext(s); v.Kind() != abi.Number || !v.Valid() {
			t.Errorf("%s is no number", s)
		}
	}
	for _, s := range []string{"", "-", "01", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_0", "NaN", "Inf", " 1", "1 ", `1,"x":2`, strings.Repeat("1", abi.MaxNumber+1)} {
		if v := ext(s); v.Kind() != abi.Invalid || v.Valid() {
			t.Errorf("%s is a number", s)
		}
	}
}

func TestDepthIsCounted(t *testing.T) {
	nested := func(n int, innermost string) abi.Value {
		return abi.Value(strings.Repeat("\x91", n-1) + innermost)
	}
	for _, c := range []struct {
		name string
		v    abi.Value
		want bool
	}{
		{"64 arrays around nothing", nested(64, "\x90"), true},
		{"64 arrays around a number", nested(64, "\x91\x01"), true},
		{"65 arrays around nothing", nested(65, "\x90"), false},
		{"65th a map", nested(65, "\x80"), false},
		{"65th with a long head", nested(65, "\xdf\x00\x00\x00\x00"), false},
		{"a million", nested(1<<20, "\x90"), false},
	} {
		if got := c.v.Valid(); got != c.want {
			t.Errorf("%s: Valid says %t", c.name, got)
		}
	}
	deep := nested(8<<20, "\x90")
	r := deep.Read()
	if v := r.Value(); len(v) != len(deep) || !r.Done() {
		t.Error("a frame of nothing but nesting is not passed over")
	}
	t.Run("by the Writer as by Valid", func(t *testing.T) {
		var w abi.Writer
		for range abi.MaxDepth {
			w.Array()
		}
		w.EndAll()
		if !w.Value().Valid() {
			t.Error("what the Writer allows is not valid")
		}
	})
}

func TestLyingCountsReserveNothing(t *testing.T) {
	for name, b := range map[string]string{
		"array":  "\xdd\xff\xff\xff\xff\x01",
		"map":    "\xdf\xff\xff\xff\xff\xa1a\x01",
		"nested": strings.Repeat("\xdd\xff\xff\xff\xff", 100),
		"bytes":  "\xc6\xff\xff\xff\xff",
		"text":   "\xdb\xff\xff\xff\xff",
		"ext":    "\xc9\xff\xff\xff\xff\x01",
	} {
		v := abi.Value(b)
		if v.Valid() || v.Len() != 0 {
			t.Errorf("%s: valid, or %d long", name, v.Len())
		}
		r := v.Read()
		if r.Array() != 0 || !r.Failed() || r.Value() != nil || r.Int() != 0 || r.Text() != "" || r.Bytes() != nil || r.Nil() {
			t.Errorf("%s: something was read", name)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		v.Valid()
		v.Get("a")
		for it := v.Items(); it.Next(); {
		}
		abi.ReadPage(v)
		abi.ReadDescription(v)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%s: %d bytes were allocated", name, n)
		}
	}
}

func FuzzValue(f *testing.F) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 1))
		var w abi.Writer
		write(&w, r, random(r, 2))
		if len(w.Value()) < 4<<10 {
			f.Add([]byte(w.Value()))
		}
	}
	f.Add([]byte("\xc1"))
	f.Add([]byte("\xd4\x01\x31"))
	f.Add([]byte("\xd6\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := abi.Value(b)
		if !v.Valid() {
			// Every question has a harmless answer all the same.
			v.Kind()
			v.Len()
			v.Int()
			v.Float()
			v.Text()
			v.Bytes()
			v.Get("a")
			for it := v.Items(); it.Next(); {
				it.Value().Kind()
			}
			for it := v.Entries(); it.Next(); {
				it.Value().Float()
			}
			r := v.Read()
			for len(r.Value()) > 0 {
			}
			return
		}
		if rest, err := msgp.Skip(v); err != nil || len(rest) != 0 {
			t.Fatalf("% x: valid, and msgp says %v", b, err)
		}
		model := walk(t, v)
		r := v.Read()
		if got := read(t, &r); !r.Done() || !same(got, model) {
			t.Fatalf("% x: walked as %v, read as %v", b, model, got)
		}
		var w abi.Writer
		write(&w, rand.New(rand.NewPCG(0, 0)), model)
		if !w.Value().Valid() || !same(walk(t, w.Value()), model) {
			t.Fatalf("% x: does not come through a Writer", b)
		}
	})
}

// same is reflect.DeepEqual, but for NaN, which equals itself.
func same(a, b any) bool {
	switch x := a.(type) {
	case float64:
		y, ok := b.(float64)
		return ok && (x == y || x != x && y != y)
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for i := range x {
			if !same(x[i], y[i]) {
				return false
			}
		}
		return true
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k := range x {
			if !same(x[k], y[k]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}
