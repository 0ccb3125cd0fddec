// Package book is a plugin whose records have two formats, for tests of migrations. A
// record is a number as text; in the second format "!" stands behind it. Both versions
// can work with both, and write their own.
package book

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/edgeset/edgeset/abi/guest"
)

// Routes of the plugin, by their index.
const (
	Add   = iota // one to a record
	Share        // reads the record of another plugin
)

// Plugin returns the plugin of a schema, 1 or 2.
func Plugin(schema int) *guest.Plugin {
	p := guest.New("ledger", fmt.Sprintf("%d.0.0", schema))
	f := p.Family("/ledger", nil)
	f.POST("/ledger/:name", func(w *guest.Response, r *guest.Request) error {
		return add(r, schema)
	})
	f.GET("/ledger/:name", share)
	if schema == 1 {
		p.Schema(1)
		return p
	}
	p.Schema(2, guest.Reads(1), guest.Keeps(1))
	p.Migrate(migrate)
	return p
}

func add(r *guest.Request, schema int) error {
	key := []byte("record/" + r.Param("name"))
	value, _, err := r.KV().Get(key)
	if err != nil {
		return err
	}
	n, _, err := Read(value)
	if err != nil {
		return err
	}
	return r.KV().Put(key, Record(n+1, schema))
}

// Record is a record in the format of a schema.
func Record(n, schema int) []byte {
	value := strconv.AppendInt(nil, int64(n), 10)
	if schema == 2 {
		value = append(value, '!')
	}
	return value
}

// Read reads a record in either format; none is 0.
func Read(value []byte) (n, schema int, err error) {
	if len(value) == 0 {
		return 0, 1, nil
	}
	text, second := bytes.CutSuffix(value, []byte("!"))
	if n, err = strconv.Atoi(string(text)); err != nil {
		return 0, 0, err
	}
	if second {
		return n, 2, nil
	}
	return n, 1, nil
}

func share(w *guest.Response, r *guest.Request) error {
	name := r.Param("name")
	value, found, err := r.GetShared("other", []byte(name))
	if err != nil {
		return guest.Errorf(403, "denied", "%v", err)
	}
	page, err := r.ScanShared("other", guest.Prefix([]byte(name)))
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	v.Key("found")
	v.Bool(found)
	v.Key("value")
	v.TextBytes(value)
	v.Key("scanned")
	v.Int(int64(len(page.Entries)))
	v.End()
	return nil
}

// migrate brings records into the second format. The setting "fault" has it do what a
// migration must not, from the record on that the setting "at" names.
func migrate(m *guest.Migration) error {
	fault, at := m.Config("fault", ""), "record/"+m.Config("at", "")
	err := m.Each(guest.Prefix([]byte("record/")), func(key, value []byte) error {
		if string(key) >= at {
			if err := fail(m, fault, key); err != nil {
				return err
			}
		}
		n, schema, err := Read(value)
		if err != nil || schema == 2 {
			return err
		}
		return m.KV().Put(key, Record(n, 2))
	})
	switch fault {
	case "stuck":
		m.Next(m.Cursor)
	case "back":
		m.Next([]byte{'z' - byte(len(m.Cursor))})
	case "far":
		m.Next(make([]byte, 2000))
	}
	return err
}

func fail(m *guest.Migration, fault string, key []byte) error {
	switch fault {
	case "trap":
		panic("as asked")
	case "loop":
		for {
		}
	case "error":
		return errors.New("a record that nobody can read")
	case "heavy", "huge":
		// What an entry of an index for each word of the record would take.
		words := 100
		if fault == "huge" {
			words = 5000
		}
		for i := range words {
			// The error is overlooked, as a plugin may.
			_ = m.KV().Put(fmt.Appendf(nil, "word/%d/%s", i, key), nil)
		}
	}
	return nil
}
