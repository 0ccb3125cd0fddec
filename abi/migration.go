package abi

import (
	"fmt"
	"math"
)

// A Schema tells of the format of a plugin's data. Formats have numbers, which rise;
// 0 is that of a plugin which does not say.
type Schema struct {
	Version int // that the plugin writes
	Reads   int // the oldest that it can work with; at most Version
	// Keeps is the oldest version whose plugins can work with what this one writes,
	// and with what it migrates; at most Version.
	Keeps    int
	Migrates bool // it answers CallMigrate
}

// MaxSchema is the largest version of a schema.
const MaxSchema = math.MaxInt32

// Append writes the schema as a map.
func (s *Schema) Append(w *Writer) {
	w.Map()
	w.Key("version")
	w.Int(int64(s.Version))
	w.Key("reads")
	w.Int(int64(s.Reads))
	w.Key("keeps")
	w.Int(int64(s.Keeps))
	w.Key("migrates")
	w.Bool(s.Migrates)
	w.End()
}

// readSchema reads a schema from a description. What it does not say of Reads and
// Keeps is Version; no schema is the zero Schema.
func readSchema(v Value) (s Schema, err error) {
	if !v.Exists() {
		return s, nil
	}
	f := fields{of: v, where: "description: schema"}
	s.Version, s.Migrates = f.int("version"), f.bool("migrates")
	s.Reads, s.Keeps = s.Version, s.Version
	if !v.Get("reads").IsNil() {
		s.Reads = f.int("reads")
	}
	if !v.Get("keeps").IsNil() {
		s.Keeps = f.int("keeps")
	}
	switch {
	case f.err != nil:
		return s, f.err
	case s.Version < 0 || s.Version > MaxSchema:
		return s, fmt.Errorf("%s: version %d: want 1 to %d, or no schema", f.where, s.Version, MaxSchema)
	case s.Reads < 0 || s.Reads > s.Version:
		return s, fmt.Errorf("%s: reads %d: want 0 to its version, %d", f.where, s.Reads, s.Version)
	case s.Keeps < 0 || s.Keeps > s.Version:
		return s, fmt.Errorf("%s: keeps %d: want 0 to its version, %d", f.where, s.Keeps, s.Version)
	case s.Migrates && s.Reads == s.Version:
		return s, fmt.Errorf("%s: migrates, and reads %d alone: want it to read what it migrates", f.where, s.Reads)
	}
	return s, nil
}

// MaxCursor is the most bytes that the cursor of a migration has.
const MaxCursor = 1 << 10

// A Migration is what CallMigrate asks for, as the body of its request: to bring some
// entries from older formats into the plugin's own. One batch is one call.
type Migration struct {
	From   int    // the oldest format that may be there
	To     int    // the plugin's own
	Cursor []byte // where the batch before has ended; none in the first
	Limit  int    // about how many entries the batch is to look at
}

const migrationFields = 4

// Append writes the record.
func (m *Migration) Append(w *Writer) {
	w.FixedArray(migrationFields)
	w.Int(int64(m.From))
	w.Int(int64(m.To))
	w.Bytes(m.Cursor)
	w.Int(int64(m.Limit))
}

// ReadMigration reads the record. The cursor points into v.
func ReadMigration(v Value) (m Migration, err error) {
	r := v.Read()
	n := r.Array()
	m = Migration{From: int(r.Int()), To: int(r.Int()), Cursor: r.Bytes(), Limit: int(r.Int())}
	r.Skip(n - migrationFields)
	if n < migrationFields || !r.Done() {
		return Migration{}, ErrFrame
	}
	return m, nil
}

// A Batch is what came of one call of a migration: the value of its reply.
type Batch struct {
	Cursor []byte // where the next one begins; nil: nothing is left
	Done   int    // entries that this one has looked at
}

// Append writes the batch as a map.
func (b *Batch) Append(w *Writer) {
	w.Map()
	w.Key("cursor")
	if b.Cursor == nil {
		w.Nil()
	} else {
		w.Bytes(b.Cursor)
	}
	w.Key("done")
	w.Int(int64(b.Done))
	w.End()
}

// ReadBatch reads a batch and checks it: it comes from an untrusted guest. The cursor
// points into v.
func ReadBatch(v Value) (b Batch, err error) {
	f := fields{of: v, where: "batch"}
	cursor := f.get("cursor", Bytes)
	b.Done = f.int("done")
	switch {
	case f.err != nil:
		return Batch{}, f.err
	case b.Done < 0 || b.Done > math.MaxInt32:
		return Batch{}, fmt.Errorf("batch: done %d: want how many entries were looked at", b.Done)
	}
	if cursor.Exists() {
		if b.Cursor, _ = cursor.Bytes(); len(b.Cursor) > MaxCursor {
			return Batch{}, fmt.Errorf("batch: cursor of %d bytes: want at most %d", len(b.Cursor), MaxCursor)
		}
	}
	return b, nil
}
