package main_test

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// A viewer follows an invite by its code, as the viewing client of the guide
// does: it asks for what is new since the next of its last reply. It keeps
// everything that it saw, and fails when it sees a point twice or changed.
type viewer struct {
	client       *client
	code         string
	name         string // tells viewers behind one address apart
	uncompressed bool

	next       int64
	seen       map[int64]bool
	properties map[string]json.RawMessage
	snapshots  int
}

func newViewer(c *client, code, name string) *viewer {
	return &viewer{client: c, code: code, name: name, seen: map[int64]bool{}, properties: map[string]json.RawMessage{}}
}

// A view is a reply to a viewer.
type view struct {
	Type         string
	ID           string
	Next         int64
	More         bool
	Uncompressed bool
	Location     [][]*int64
	Properties   []property // of a snapshot
	Data         []property // what is new
}

type property struct {
	T     int64           `json:"t"`
	PID   int64           `json:"pid"`
	Name  string          `json:"n"`
	Value json.RawMessage `json:"v"`
}

// poll asks until there is no more.
func (v *viewer) poll() error {
	for {
		more, err := v.page()
		if err != nil {
			return fmt.Errorf("viewer %s: %w", v.name, err)
		}
		if !more {
			return nil
		}
	}
}

// page asks once, and takes in what came. The cursor moves on only if it did.
func (v *viewer) page() (more bool, err error) {
	params := []string{"next", strconv.FormatInt(v.next, 10), "full_trail", "true", "viewer", v.name}
	if v.uncompressed {
		params = append(params, "uncompressed", "true")
	}
	r, err := v.client.call("GET", "/v2/invites/"+v.code, nil, params...)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errOffline, err)
	}
	if err := r.failure(); err != nil {
		return false, err
	}
	var got struct{ Response view }
	if err := json.Unmarshal(r.raw, &got); err != nil {
		return false, fmt.Errorf("%v: %w", r, err)
	}
	w := &got.Response
	if w.Type != "ticket_invite" || w.ID != v.code || w.Next == 0 || w.Uncompressed != v.uncompressed {
		return false, fmt.Errorf("%v\nis not a view of this invite as asked for", r)
	}
	if err := v.takePoints(w.Location); err != nil {
		return false, fmt.Errorf("%v\n%w", r, err)
	}
	if w.Properties != nil {
		v.snapshots++
	}
	for _, p := range append(w.Properties, w.Data...) {
		if p.PID == 0 {
			v.properties[p.Name] = p.Value
		}
	}
	v.next = w.Next
	return w.More, nil
}

// takePoints decodes the rows as clients in the field do: compressed, a number
// is the difference from the decoded number above it, and of null nothing is
// added.
func (v *viewer) takePoints(rows [][]*int64) error {
	var sum [columns]int64
	for _, row := range rows {
		if len(row) != columns || row[0] == nil {
			return fmt.Errorf("row %v: want %d columns and a time", row, columns)
		}
		var got [columns]*int64
		for i, n := range row {
			if n == nil {
				continue
			}
			if v.uncompressed {
				sum[i] = *n
			} else {
				sum[i] += *n
			}
			value := sum[i]
			got[i] = &value
		}
		t := sum[0]
		for i, want := range pointAt(t) {
			if (want == nil) != (got[i] == nil) || want != nil && *want != *got[i] {
				return fmt.Errorf("point %d: column %d is not what was sent", t, i)
			}
		}
		if v.seen[t] {
			return fmt.Errorf("point %d came twice", t)
		}
		v.seen[t] = true
	}
	return nil
}

// property returns the latest value of a property as JSON.
func (v *viewer) property(name string) string { return string(v.properties[name]) }
