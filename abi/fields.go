package abi

import "fmt"

// fields reads the fields of a map and keeps the first thing that was wrong.
type fields struct {
	of    Value
	where string
	err   error
}

// get returns the field under key, or no value if it is absent or null.
func (f *fields) get(key string, want Kind) Value {
	if kind := f.of.Kind(); kind != Map {
		f.wrong("want an object, got %s", kind)
		return nil
	}
	v := f.of.Get(key)
	if v.IsNil() {
		return nil
	}
	if v.Kind() != want {
		f.wrong("%s: want %s, got %s", key, want, v.Kind())
		return nil
	}
	return v
}

func (f *fields) wrong(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf("%s: %s", f.where, fmt.Sprintf(format, args...))
	}
}

func (f *fields) text(key string) string {
	s, _ := f.get(key, String).Text()
	return s
}

func (f *fields) bool(key string) bool {
	b, _ := f.get(key, Bool).Bool()
	return b
}

func (f *fields) int(key string) int {
	v := f.get(key, Int)
	n, ok := v.Int()
	if v.Exists() && (!ok || int64(int(n)) != n) {
		f.wrong("%s: is out of range", key)
	}
	return int(n)
}

func (f *fields) texts(key string) (list []string) {
	for it := f.get(key, Array).Items(); it.Next(); {
		s, ok := it.Value().Text()
		if !ok {
			f.wrong("%s: want strings, got %s", key, it.Value().Kind())
		}
		list = append(list, s)
	}
	return list
}

// validName keeps names short enough to stand before every key of a plugin.
func validName(name string) bool {
	if len(name) == 0 || len(name) > 23 {
		return false
	}
	for i, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return false
		}
	}
	return true
}
