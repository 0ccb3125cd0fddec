package main

import (
	"math"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A feed is what of somebody's updates on one topic is to be read, in the order of
// their upload.
type feed struct {
	owner gid
	head  *head
	topic *topic
	// Between which times those that allow takes were created, both inclusive.
	from, to instant
	// allow, unless it is nil, tells of an update whether it is among them. It finds
	// owner, kind, source, created and stamp in it, and nothing else.
	allow func(u *update) bool
}

// A selection is which updates of some feeds are wanted.
type selection struct {
	kind, source string  // "": any
	from, to     instant // both inclusive; math.MinInt64, math.MaxInt64: no bound
	after        uint64  // stamps above it
	skip, limit  int
}

const (
	// maxPassed bounds how many updates a request passes over.
	maxPassed = 1_000_000
	// maxPage bounds what is read for a page, in bytes: an instance's memory has to
	// take it several times.
	maxPage = 8 << 20
	// valuesAtOnce is how many of them are read at once.
	valuesAtOnce = 100
	// fewFeeds is up to how many feeds are read as a whole right away: a few rows too
	// many cost less than a second look for each.
	fewFeeds = 16
)

// collect returns a page of what is in the feeds, merged by stamp.
//
// The keys of rows tell all that the choice depends on. So the feeds are merged by
// their keys, page by page of each as far as it is needed, and only the updates that
// are chosen are read.
func collect(kv *guest.KV, feeds []feed, s selection) ([]*update, error) {
	if len(feeds) == 0 || s.limit <= 0 {
		return nil, nil
	}
	m := merge{kv: kv, selection: &s, left: s.skip + s.limit, cursors: make([]*cursor, 0, len(feeds))}
	anytime, anywhat := s.from == math.MinInt64 && s.to == math.MaxInt64, s.kind == "" && s.source == ""
	// Its share of what is wanted, and some more, as not all feeds have the same.
	limit := min(m.left, 1000)
	if len(feeds) > 1 {
		share := min(m.left/len(feeds), 1000)
		limit = min(share+share/8+2, 1000)
	}
	cursors := make([]cursor, len(feeds))
	for i := range feeds {
		c := &cursors[i]
		c.open(&feeds[i], &s)
		c.limit = limit
		c.whole = anytime && (anywhat || !c.feed.topic.mixed()) && c.feed.allow == nil && len(c.erasures) == 0
		c.rg.KeysOnly = !c.whole || s.skip > 0 || len(feeds) > fewFeeds
		more, err := m.next(c)
		if err != nil {
			return nil, err
		}
		if more {
			m.cursors = append(m.cursors, c)
		}
	}
	for i := len(m.cursors)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	rows := make([]row, 0, min(s.limit, 64))
	for len(m.cursors) > 0 {
		c := m.cursors[0]
		if m.left--; m.left < s.limit {
			rows = append(rows, row{c.feed, c.entry, c.at.stamp, c.at.created})
			if m.left == 0 {
				break
			}
		}
		more, err := m.next(c)
		if err != nil {
			return nil, err
		}
		if !more {
			last := len(m.cursors) - 1
			m.cursors[0] = m.cursors[last]
			m.cursors = m.cursors[:last]
		}
		m.sink(0)
	}
	return read(kv, rows)
}

// A row is an update that was chosen.
type row struct {
	feed    *feed
	entry   *abi.Entry
	stamp   uint64
	created instant
}

// read returns the updates of rows, some of which may have been read already.
func read(kv *guest.KV, rows []row) ([]*update, error) {
	updates, list, size := make([]update, len(rows)), make([]*update, len(rows)), 0
	var keys, values [][]byte
	for i := range rows {
		if len(values) == 0 && len(rows[i].entry.Value) == 0 {
			keys = keys[:0]
			for j := i; j < len(rows) && len(keys) < valuesAtOnce; j++ {
				if len(rows[j].entry.Value) == 0 {
					keys = append(keys, rows[j].entry.Key)
				}
			}
			var err error
			if values, err = kv.GetMany(keys); err != nil {
				return nil, err
			}
		}
		r, u := &rows[i], &updates[i]
		record := r.entry.Value
		if len(record) == 0 {
			record, values = values[0], values[1:]
		}
		if size += len(record); size > maxPage {
			return nil, fail(413, "too_large", "per_page", "per_page: the updates of this page take more than %d bytes; ask for fewer at once", maxPage)
		}
		if err := u.read(r.feed.owner, position{stamp: r.stamp, created: r.created}, record); err != nil {
			return nil, err
		}
		list[i] = u
	}
	return list, nil
}

// A merge is a heap of the feeds that have more, by the stamps of their next rows.
type merge struct {
	*selection
	kv      *guest.KV
	cursors []*cursor
	left    int // rows that are still wanted, those that are skipped among them
	passed  int
	shell   update // what allow is asked about
}

// sink puts the cursor at i in its place among those below it.
func (m *merge) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.cursors); child++ {
			if m.cursors[child].at.stamp < m.cursors[least].at.stamp {
				least = child
			}
		}
		if least == i {
			return
		}
		m.cursors[i], m.cursors[least] = m.cursors[least], m.cursors[i]
		i = least
	}
}

// A cursor stands on a row of a feed.
type cursor struct {
	feed     *feed
	erasures []*erasure // of updates on the topic
	rg       abi.Range  // what was not scanned yet; nothing if its limit is 0
	limit    int        // of the next scan
	whole    bool       // all of its rows are wanted
	rows     []abi.Entry
	entry    *abi.Entry
	at       position
}

// open has the cursor stand before the first row that may be wanted.
func (c *cursor) open(f *feed, s *selection) {
	t := f.topic
	c.feed = f
	above, below := t.bounds(max(s.from, f.from), min(s.to, f.to))
	above = max(above, s.after)
	for _, e := range f.head.erasures {
		if !t.about(e.kind, e.source) {
			continue
		}
		if e.all() && (!t.mixed() || e.kind == "" && e.source == "") {
			above = max(above, e.stamp)
		} else {
			c.erasures = append(c.erasures, e)
		}
	}
	if above+1 < below {
		c.rg = stampsOf(f.owner, t.number, above, below)
		c.rg.Limit = 1
	}
}

// margin is how much smaller a stamp may be than the time of the upload: the clock can
// be set back a little while a request runs.
const margin = minute

// bounds returns between which two stamps the updates are that were created in some
// time. Stamps may run a day ahead of the clock, as they go on rising when it is set
// back.
func (t *topic) bounds(from, to instant) (above, below uint64) {
	if from > to {
		return 0, 0
	}
	below = latest
	if from > firstInstant {
		above = uint64(max(from-t.ahead-margin-1, 0))
	}
	if to < lastInstant {
		below = uint64(max(to+t.late+day+1, 0))
	}
	return above, below
}

// next has the cursor go on to the next row that is wanted, and tells whether there is
// one.
func (m *merge) next(c *cursor) (bool, error) {
	for {
		for len(c.rows) > 0 {
			c.entry, c.rows = &c.rows[0], c.rows[1:]
			var ok bool
			if c.at, ok = positionOf(c.entry.Key); !ok {
				return false, abi.ErrFrame
			}
			if c.whole || m.wants(c) {
				return true, nil
			}
		}
		if c.rg.Limit == 0 {
			return false, nil
		}
		c.rg.Limit, c.limit = c.limit, min(4*c.limit, 1000)
		if c.whole {
			c.rg.Limit = min(c.rg.Limit, m.left)
		}
		page, err := m.kv.Scan(c.rg)
		if err != nil {
			return false, err
		}
		if m.passed += len(page.Entries); m.passed > maxPassed {
			return false, fail(422, "too_many", "start", "more than %d updates would have to be passed over; narrow the list with start and end", maxPassed)
		}
		if c.rows = page.Entries; !page.More {
			c.rg.Limit = 0
		} else {
			c.rg.Start = append(slices.Clip(page.Entries[len(page.Entries)-1].Key), 0)
		}
	}
}

// wants tells whether the row that the cursor stands on is one of those selected.
func (m *merge) wants(c *cursor) bool {
	at, t := &c.at, c.feed.topic
	if at.created < m.from || at.created > m.to {
		return false
	}
	if t.mixed() && (m.kind != "" && m.kind != string(at.kind) || m.source != "" && m.source != string(at.source)) {
		return false
	}
	for _, e := range c.erasures {
		if e.hits(at, t) {
			return false
		}
	}
	if c.feed.allow == nil {
		return true
	}
	u := &m.shell
	u.owner, u.created, u.stamp, u.kind, u.source = c.feed.owner, at.created, at.stamp, t.kind, t.source
	if t.mixed() {
		u.kind, u.source = string(at.kind), string(at.source)
	}
	return c.feed.allow(u)
}
