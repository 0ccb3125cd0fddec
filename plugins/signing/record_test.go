package main

import (
	"bytes"
	"reflect"
	"testing"
	"testing/quick"

	"github.com/edgeset/edgeset/abi"
)

// as makes a reader one of any kind of record.
func as[T any](read func([]byte) (T, error)) func([]byte) (any, error) {
	return func(b []byte) (any, error) { return read(b) }
}

// kinds has one record of each kind, and its reader.
func kinds(text string, b []byte, n, m int64) map[string]struct {
	want   any
	record []byte
	read   func([]byte) (any, error)
} {
	a := app{
		name: text, secret: text + "s", created: n, revoked: m, approved: m, owner: text + "o",
		oldSecret: text + "p", secretUntil: n, key: b, oldKey: b, keyUntil: m,
		schemes: []string{schemeMD5, text}, families: []string{text}, origins: []string{text, "o"}, rate: n, maxRate: m,
		fixed: []string{text},
	}
	u := account{text, text + "n", b, "app", n, m, text + "i", text + "k", "e"}
	k := token{text, "account", "app", n, n%2 == 0}
	d := device{b, text, "app", n, m}
	f := failures{n, m, n}
	return map[string]struct {
		want   any
		record []byte
		read   func([]byte) (any, error)
	}{
		"app":      {a, a.record(), as(readApp)},
		"account":  {u, u.record(), as(readAccount)},
		"token":    {k, k.record(), as(readToken)},
		"device":   {d, d.record(), as(readDevice)},
		"failures": {f, f.record(), as(readFailures)},
	}
}

func TestRecordsReadAsTheyWereWritten(t *testing.T) {
	check := func(text string, b []byte, n, m int64) bool {
		b = append([]byte{}, b...)
		for kind, c := range kinds(text, b, n, m) {
			got, err := c.read(c.record)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: got %+v, %v, want %+v", kind, got, err, c.want)
				return false
			}
			// With two more fields, as a newer version might write them.
			newer := append([]byte(nil), c.record...)
			if newer[0] == 0xdc { // more than 15 fields: their number has two bytes of its own
				newer[2] += 2
			} else {
				newer[0] += 2
			}
			newer = append(newer, 0xc0, 0x91, 0x01)
			if got, err = c.read(newer); err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("newer %s: got %+v, %v, want %+v", kind, got, err, c.want)
				return false
			}
			for i := range c.record {
				if _, err := c.read(c.record[:i]); err == nil {
					t.Errorf("%s cut to %d of %d bytes is read", kind, i, len(c.record))
					return false
				}
			}
		}
		return true
	}
	if err := quick.Check(check, nil); err != nil {
		t.Fatal(err)
	}
}

// What is read without an error is written back as a record that reads the same.
func FuzzRecords(f *testing.F) {
	for _, c := range kinds("text", []byte{1, 2}, 1767225600000000, -1) {
		f.Add(c.record)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := bytes.Clone(b)
		if a, err := readApp(b); err == nil {
			same(t, a, a.record(), as(readApp))
		}
		if a, err := readAccount(b); err == nil {
			a.hash = append([]byte{}, a.hash...)
			same(t, a, a.record(), as(readAccount))
		}
		if k, err := readToken(b); err == nil {
			same(t, k, k.record(), as(readToken))
		}
		if d, err := readDevice(b); err == nil {
			d.hash = append([]byte{}, d.hash...)
			same(t, d, d.record(), as(readDevice))
		}
		if f, err := readFailures(b); err == nil {
			same(t, f, f.record(), as(readFailures))
		}
		if !bytes.Equal(in, b) {
			t.Fatal("reading changed the record")
		}
	})
}

func same(t *testing.T, want any, record []byte, read func([]byte) (any, error)) {
	t.Helper()
	if got, err := read(record); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestDamagedRecordIsNotRead(t *testing.T) {
	var w abi.Writer
	w.FixedArray(1)
	w.Text("short")
	for _, b := range [][]byte{nil, {0xc0}, {0xdd, 0xff, 0xff, 0xff, 0xff}, w.Value()} {
		if _, err := readToken(b); err == nil {
			t.Errorf("% x is read as a token", b)
		}
	}
}

func TestRandomIsLongAndOfItsAlphabet(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		s := random(passwordSize)
		if !isRandom(s, passwordSize) || seen[s] {
			t.Fatalf("%q", s)
		}
		seen[s] = true
	}
}
