package guest

import (
	"bytes"

	"github.com/edgeset/edgeset/abi"
)

// A SchemaOption says more of a schema than its version.
type SchemaOption func(*abi.Schema)

// Schema gives the format of the plugin's data a version, from 1 on. It rises when a
// record or a key gets another form. A new version is deployed only if it can read
// what is there.
func (p *Plugin) Schema(version int, opts ...SchemaOption) {
	s := abi.Schema{Version: version, Reads: version, Keeps: version, Migrates: p.desc.Schema.Migrates}
	for _, opt := range opts {
		opt(&s)
	}
	p.desc.Schema = s
}

// Reads says which is the oldest version of the data that the plugin can work with; 0
// is that of a plugin which gave it none. Default: its own alone.
func Reads(version int) SchemaOption { return func(s *abi.Schema) { s.Reads = version } }

// Keeps says which is the oldest version of the plugin that can work with what this
// one writes and migrates. With one that serves now, it can be deployed beside it, as
// a canary, and taken back. Default: its own alone.
func Keeps(version int) SchemaOption { return func(s *abi.Schema) { s.Keeps = version } }

// A Migrator makes a batch of a migration: it brings some entries into the format of
// the plugin's own Schema. It is called until it leaves nothing, while the plugin
// serves, and perhaps while the version before it serves and writes. So it may meet
// an entry that it has migrated already, and leaves that as it is.
//
// A batch is one transaction, and runs again if it meets another one: nothing is kept
// if an error is returned, which ends the migration.
type Migrator func(m *Migration) error

// Migrate lets the plugin migrate data that it Reads.
func (p *Plugin) Migrate(fn Migrator) { p.migrate, p.desc.Schema.Migrates = fn, true }

// A Migration is one batch of a migration: what is to be done, and what was. Of the
// Request there are the key space, blobs, settings, the time and the log.
type Migration struct {
	*Request
	From   int    // the oldest version of which data may be there
	To     int    // the plugin's own
	Cursor []byte // what the batch before gave to Next; none in the first
	Limit  int    // about how many entries to look at

	next []byte
	done int
}

// Next says where the next batch begins. The cursor is what the plugin makes of it, of
// at most abi.MaxCursor bytes, and has to rise from batch to batch, in byte order.
// Without it the migration ends.
func (m *Migration) Next(cursor []byte) { m.next = append([]byte{}, cursor...) }

// Done counts entries that the batch has looked at, for who watches.
func (m *Migration) Done(n int) { m.done += n }

// Each calls fn with the entries of a range, in the order of their keys, from where
// the batch before has ended, and ends the batch when it has had its share. With more
// than one range, call it for each of them, in the order of their keys:
//
//	p.Migrate(func(m *guest.Migration) error {
//		return m.Each(guest.Prefix([]byte("user/")), func(key, value []byte) error {
//			...
//			return m.KV().Put(key, changed)
//		})
//	})
//
// An entry that expires has to be given its time again, which the value has to say.
func (m *Migration) Each(r abi.Range, fn func(key, value []byte) error) error {
	if m.next != nil || len(r.End) > 0 && bytes.Compare(m.Cursor, r.End) >= 0 {
		return nil
	}
	if bytes.Compare(m.Cursor, r.Start) > 0 {
		r.Start = m.Cursor
	}
	if r.Limit = m.Limit - m.done; r.Limit <= 0 {
		m.Next(r.Start)
		return nil
	}
	r.Reverse = false
	page, err := m.KV().Scan(r)
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		if err := fn(e.Key, e.Value); err != nil {
			return err
		}
	}
	m.Done(len(page.Entries))
	if page.More {
		m.Next(append(bytes.Clone(page.Entries[len(page.Entries)-1].Key), 0))
	}
	return nil
}

// migrate makes a batch.
func (c *Call) migrate() error {
	if c.plugin.migrate == nil {
		return abi.ErrFrame
	}
	q, err := abi.ReadMigration(c.req.Body())
	if err != nil {
		return err
	}
	m := Migration{Request: &c.req, From: q.From, To: q.To, Cursor: q.Cursor, Limit: q.Limit}
	if err := c.plugin.migrate(&m); err != nil {
		// Who reads it is the operator that deploys the plugin.
		return &Error{Status: 500, Code: "migration", Message: err.Error()}
	}
	batch := abi.Batch{Cursor: m.next, Done: m.done}
	batch.Append(&c.body)
	c.resp.kind = abi.BodyValue
	return nil
}
