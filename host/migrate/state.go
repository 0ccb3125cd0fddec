package migrate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// The passes of a migration.
const (
	Before = "before" // while the version before serves
	After  = "after"  // when nobody writes an older format any more
)

// A state is what is known of the data of a plugin.
type state struct {
	Low  int `json:"low"`  // the oldest format that may be there
	High int `json:"high"` // the newest
	// Readable is the oldest schema whose plugins can work with what is there.
	Readable int `json:"readable"`

	// The pass that is under way, or due.
	Phase  string `json:"phase,omitempty"`
	Target int    `json:"target,omitempty"`
	Build  string `json:"build,omitempty"` // of the plugin whose cursor it is
	Cursor []byte `json:"cursor,omitempty"`
	Done   uint64 `json:"done,omitempty"`
}

// first is the state of data that a plugin alone has written.
func first(s abi.Schema) state { return state{Low: s.Version, High: s.Version, Readable: s.Keeps} }

// writes notes that a plugin is about to write its format.
func (s *state) writes(schema abi.Schema) {
	s.High, s.Readable = max(s.High, schema.Version), max(s.Readable, schema.Keeps)
}

// due tells whether a plugin has something to migrate. One that was insisted on
// migrates nothing of which it cannot read a part.
func (s *state) due(schema abi.Schema) bool {
	return schema.Migrates && schema.Version > s.Low && schema.Version >= s.Readable
}

// begin begins a pass.
func (s *state) begin(phase string, target int) {
	s.Phase, s.Target, s.Build, s.Cursor, s.Done = phase, target, "", nil, 0
}

// end ends the pass, or gives it up.
func (s *state) end() { s.begin("", 0) }

// prefix is that of the keys of states. No key of a plugin begins like that, nor
// anything else that a plugin reaches: those begin with the plugin's name.
const prefix = "\x00schema\x00"

func key(plugin string) []byte { return append([]byte(prefix), plugin...) }

// read returns the state of a plugin's data, and whether there is one.
func read(txn store.Txn, plugin string) (s state, found bool, err error) {
	value, found, err := txn.Get(key(plugin))
	if err != nil || !found {
		return s, false, err
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return s, false, fmt.Errorf("the record of its schema: %w", err)
	}
	return s, true, nil
}

func (s *state) write(txn store.Txn, plugin string) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return txn.Put(key(plugin), value, 0)
}

// Serve notes that a plugin serves from now on, alone or, as a canary, beside another
// version, and tells whether a pass After is due: Run it as soon as nothing else of the
// plugin can write any more. Serve is called before the plugin gets its first request:
// of a swap, of a canary, and of each start of the host, then for the current version
// before the canary. When a canary has ended it is called for the one that is left.
func Serve(ctx context.Context, st store.Store, space, plugin string, schema abi.Schema, alone bool) (due bool, err error) {
	for {
		err = st.Update(ctx, space, func(txn store.Txn) error {
			s, found, err := read(txn, plugin)
			if err != nil {
				return err
			}
			if !found {
				s = first(schema)
			}
			before, _ := json.Marshal(s) // a state has nothing that could fail
			due = s.serve(schema, alone)
			if after, _ := json.Marshal(s); found && bytes.Equal(before, after) {
				return nil
			}
			return s.write(txn, plugin)
		})
		// To note it twice is to note it once.
		if !errors.Is(err, store.ErrConflict) && !errors.Is(err, store.ErrCommitUnknown) {
			break
		}
	}
	if err != nil {
		return false, failure(space, plugin, err)
	}
	return due, nil
}

func (s *state) serve(schema abi.Schema, alone bool) (due bool) {
	s.writes(schema)
	s.Low = min(s.Low, schema.Version)
	switch {
	case !alone:
		if s.Phase == After && schema.Version < s.Target {
			s.end() // it would miss what is written behind its cursor
		}
		return false
	case s.due(schema):
		if s.Phase != After || s.Target != schema.Version {
			s.begin(After, schema.Version)
		}
		return true
	case s.Phase == After, s.Target <= schema.Version:
		s.end()
	}
	return false
}

// A Status tells of a pass that is under way, or due.
type Status struct {
	Plugin string `json:"plugin"`
	From   int    `json:"from"` // schema
	To     int    `json:"to"`
	Done   uint64 `json:"done"`  // entries
	Phase  string `json:"phase"` // Before or After
}

// Pending returns what has yet to be finished in a space. After a restart, and Serve,
// those in the phase After are to be run again. One in the phase Before belongs to a
// change that did not come about; it goes on if that is asked for once more.
func Pending(ctx context.Context, st store.Store, space string) (list []Status, err error) {
	err = st.View(ctx, space, func(txn store.Txn) error {
		r := store.Range{Start: []byte(prefix), End: []byte(prefix + "\xff")}
		for {
			page, err := txn.Scan(r)
			if err != nil {
				return err
			}
			for _, e := range page.Entries {
				var s state
				name := string(e.Key[len(prefix):])
				if err := json.Unmarshal(e.Value, &s); err != nil {
					return fmt.Errorf("plugin %q: the record of its schema: %w", name, err)
				}
				if s.Phase != "" {
					list = append(list, Status{Plugin: name, From: s.Low, To: s.Target, Done: s.Done, Phase: s.Phase})
				}
			}
			if !page.More {
				return nil
			}
			r.Start = append(bytes.Clone(page.Entries[len(page.Entries)-1].Key), 0)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("migrate: deployment %q: %w", space, err)
	}
	return list, nil
}
