package abi_test

import (
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestMigrationsComeThrough(t *testing.T) {
	sent := abi.Migration{From: 1, To: 3, Cursor: []byte("k\x00"), Limit: 100}
	v := value(sent.Append)
	for name, v := range map[string]abi.Value{"as sent": v, "from a newer host": longer(t, v)} {
		if got, err := abi.ReadMigration(v); err != nil || !reflect.DeepEqual(got, sent) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for name, v := range map[string]abi.Value{"nothing": nil, "too few": shorter(v, 3), "no record": abi.Value("\x01"), "text for a number": abi.Value("\x94\xa1a\x01\xc4\x00\x01")} {
		if got, err := abi.ReadMigration(v); err == nil {
			t.Errorf("%s: read as %+v", name, got)
		}
	}
}

func TestBatchesComeThrough(t *testing.T) {
	for name, sent := range map[string]abi.Batch{
		"the last":          {Done: 3},
		"one with a cursor": {Cursor: []byte("k"), Done: 0},
		"an empty cursor":   {Cursor: []byte{}},
		"a long cursor":     {Cursor: make([]byte, abi.MaxCursor)},
	} {
		if got, err := abi.ReadBatch(value(sent.Append)); err != nil || !reflect.DeepEqual(got, sent) {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, sent)
		}
	}
	entry := func(key string, write func(w *abi.Writer)) abi.Value {
		return value(func(w *abi.Writer) { w.Map(); w.Key(key); write(w); w.End() })
	}
	for _, c := range []struct {
		name string
		v    abi.Value
		want string
	}{
		{"no map", abi.Value("\x01"), "batch: want an object, got an integer"},
		{"text for a cursor", entry("cursor", func(w *abi.Writer) { w.Text("k") }), "batch: cursor: want bytes, got a string"},
		{"a cursor beyond 1 KiB", entry("cursor", func(w *abi.Writer) { w.Bytes(make([]byte, abi.MaxCursor+1)) }), "batch: cursor of 1025 bytes: want at most 1024"},
		{"fewer than none", entry("done", func(w *abi.Writer) { w.Int(-1) }), "batch: done -1: want how many"},
		{"too many to be true", entry("done", func(w *abi.Writer) { w.Int(math.MaxInt32 + 1) }), "batch: done 2147483648: want how many"},
	} {
		if got, err := abi.ReadBatch(c.v); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %s", c.name, got, err, c.want)
		}
	}
}

func TestASchemaThatSaysLittleIsStrict(t *testing.T) {
	described := func(schema func(w *abi.Writer)) abi.Value {
		return value(func(w *abi.Writer) {
			w.Map()
			w.Key("abi")
			w.Int(abi.Version)
			w.Key("name")
			w.Text("x")
			w.Key("schema")
			schema(w)
			w.End()
		})
	}
	for name, c := range map[string]struct {
		write func(w *abi.Writer)
		want  abi.Schema
	}{
		"null":            {func(w *abi.Writer) { w.Nil() }, abi.Schema{}},
		"a version alone": {func(w *abi.Writer) { w.Map(); w.Key("version"); w.Int(4); w.End() }, abi.Schema{Version: 4, Reads: 4, Keeps: 4}},
		"that it reads all": {func(w *abi.Writer) {
			w.Map()
			w.Key("version")
			w.Int(4)
			w.Key("reads")
			w.Int(0)
			w.End()
		}, abi.Schema{Version: 4, Reads: 0, Keeps: 4}},
	} {
		d, err := abi.ReadDescription(described(c.write))
		if err != nil || d.Schema != c.want {
			t.Errorf("%s: %+v, %v, want %+v", name, d, err, c.want)
		}
	}
	if _, err := abi.ReadDescription(described(func(w *abi.Writer) { w.Int(2) })); err == nil || !strings.Contains(err.Error(), "schema: want an object, got an integer") {
		t.Errorf("a number for a schema: %v", err)
	}
}
