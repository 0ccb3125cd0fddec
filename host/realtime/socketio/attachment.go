package socketio

import (
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/abi"
)

// maxSent is how many byte strings an event or an acknowledgement has at most:
// clients refuse more.
const maxSent = 10

// Byte strings leave a payload for binary messages behind it, and an object
// {"_placeholder":true,"num":n} stays where the n-th of them belongs.
const (
	placeholderKey = "_placeholder"
	numberKey      = "num"
)

var errPlaceholder = errors.New(`value has an entry "_placeholder": true that stands for no attachment: want {"_placeholder":true,"num":n}, once for each n`)

// hasBytes tells whether there are byte strings in the next value of r.
func hasBytes(r *abi.Reader) bool {
	switch r.Kind() {
	case abi.Bytes:
		return true
	case abi.Array:
		for n := r.Array(); n > 0; n-- {
			if hasBytes(r) {
				return true
			}
		}
	case abi.Map:
		for n := r.Map(); n > 0; n-- {
			r.TextBytes()
			if hasBytes(r) {
				return true
			}
		}
	default:
		r.Value()
	}
	return false
}

// detach returns v with placeholders in the place of its byte strings, and copies
// of those. v is Valid.
func detach(v abi.Value) (abi.Value, [][]byte, error) {
	var d detacher
	r := v.Read()
	if err := d.value(&r); err != nil {
		return nil, nil, err
	}
	return d.w.Value(), d.parts, nil
}

type detacher struct {
	w     abi.Writer
	parts [][]byte
	depth int // arrays and maps that are open
}

func (d *detacher) value(r *abi.Reader) error {
	switch r.Kind() {
	case abi.Bytes:
		if len(d.parts) == maxSent {
			return fmt.Errorf("value has more than %d byte strings: clients take no more", maxSent)
		}
		if d.depth == abi.MaxDepth {
			return fmt.Errorf("byte string stands %d deep: want less, as an object takes its place", d.depth)
		}
		d.w.Map()
		d.w.Key(placeholderKey)
		d.w.Bool(true)
		d.w.Key(numberKey)
		d.w.Int(int64(len(d.parts)))
		d.w.End()
		d.parts = append(d.parts, append([]byte{}, r.Bytes()...))
	case abi.Array:
		d.w.Array()
		d.depth++
		for n := r.Array(); n > 0; n-- {
			if err := d.value(r); err != nil {
				return err
			}
		}
		d.depth--
		d.w.End()
	case abi.Map:
		d.w.Map()
		d.depth++
		for n := r.Map(); n > 0; n-- {
			key := r.TextBytes()
			if stray(key, r) {
				return errPlaceholder // clients would take it for one of ours
			}
			d.w.KeyBytes(key)
			if err := d.value(r); err != nil {
				return err
			}
		}
		d.depth--
		d.w.End()
	default:
		d.w.Raw(r.Value())
	}
	return nil
}

// stray tells whether the entry whose value is the next one of r makes an object a
// placeholder.
func stray(key []byte, r *abi.Reader) bool {
	if string(key) != placeholderKey {
		return false
	}
	at := *r
	return at.Kind() == abi.Bool && at.Bool()
}

// attach returns v with parts in the place of its placeholders. v comes from
// text.ParseJSON, which bounds its depth.
func attach(v abi.Value, parts [][]byte) (abi.Value, error) {
	a := attacher{parts: parts, used: make([]bool, len(parts))}
	size := len(v)
	for _, part := range parts {
		size += len(part)
	}
	a.w.Reset(make([]byte, 0, size+size/4))
	r := v.Read()
	if err := a.value(&r); err != nil {
		return nil, err
	}
	for i, used := range a.used {
		if !used {
			return nil, fmt.Errorf("attachment %d of %d has no placeholder: want one", i, len(parts))
		}
	}
	return a.w.Value(), nil
}

type attacher struct {
	w     abi.Writer
	parts [][]byte
	used  []bool
}

func (a *attacher) value(r *abi.Reader) error {
	switch r.Kind() {
	case abi.Array:
		a.w.Array()
		for n := r.Array(); n > 0; n-- {
			if err := a.value(r); err != nil {
				return err
			}
		}
		a.w.End()
	case abi.Map:
		if n, ok := placeholder(r); ok {
			if n < 0 || n >= int64(len(a.parts)) || a.used[n] {
				return fmt.Errorf("placeholder of attachment %d, of %d: want each once", n, len(a.parts))
			}
			a.used[n] = true
			a.w.Bytes(a.parts[n])
			return nil
		}
		a.w.Map()
		for n := r.Map(); n > 0; n-- {
			key := r.TextBytes()
			if stray(key, r) {
				return errPlaceholder
			}
			a.w.KeyBytes(key)
			if err := a.value(r); err != nil {
				return err
			}
		}
		a.w.End()
	default:
		a.w.Raw(r.Value())
	}
	return nil
}

// placeholder reads a placeholder, if the next value of r is one.
func placeholder(r *abi.Reader) (n int64, ok bool) {
	at := *r
	if at.Map() != 2 {
		return 0, false
	}
	var marked, numbered bool
	for range 2 {
		switch string(at.TextBytes()) {
		case placeholderKey:
			marked = at.Bool()
		case numberKey:
			n = at.Int()
			numbered = true
		}
	}
	if at.Failed() || !marked || !numbered {
		return 0, false
	}
	*r = at
	return n, true
}
