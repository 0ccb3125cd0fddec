package main

import (
	"encoding/binary"
	"sync"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A trail is stored twice. The log holds every upload in commit order: what a
// viewer's cursor moves along. The points by time answer what the last minutes
// looked like, and whether a point is there already. Both hold many points to
// an entry.

// chunkSpan bounds the time between the first and the last point of a chunk, so
// that all points of a time are in chunks that begin at most this long before.
const chunkSpan = 2 * minute

// upload is the room in which a batch of points is worked on. It holds nothing
// of one call that another one would see.
type upload struct {
	pts    []point // as they came
	chosen []point // those that a ticket can take, if not all
	fresh  []point // those that are new to it: of pts, or of chosen
	key    []byte
	packed []byte
	old    []point
	record abi.Writer
	buf    []byte
}

var uploads = sync.Pool{New: func() any { return new(upload) }}

// store adds to a ticket the points that it does not have yet. It leaves the
// points in u.pts as they are, for the next ticket.
func (u *upload) store(kv *guest.KV, t *ticket, now int64) (stored int, err error) {
	u.fresh = u.choose(t)
	if len(u.fresh) == 0 {
		return 0, nil
	}
	// Nearly every batch is newer than all before it, and then there is nothing
	// to look up.
	if t.first != 0 && u.fresh[0].at[colTime] <= t.last {
		if err := u.dropStored(kv, t); err != nil || len(u.fresh) == 0 {
			return 0, err
		}
	}

	keep := t.keep(now)
	u.packed = appendPoints(append(u.packed[:0], logPoints), u.fresh)
	u.key = ticketKey(u.key[:0], keyLog, t.id)
	if err := kv.PutStampedTTL(u.key, nil, u.packed, keep); err != nil {
		return 0, err
	}
	for i := 0; i < len(u.fresh); {
		end, first := i+1, u.fresh[i].at[colTime]
		for end < len(u.fresh) && u.fresh[end].at[colTime]-first <= chunkSpan {
			end++
		}
		// A batch that is one chunk is packed already.
		chunk := u.packed[1:]
		if end-i < len(u.fresh) {
			u.buf = appendPoints(u.buf[:0], u.fresh[i:end])
			chunk = u.buf
		}
		u.key = number(ticketKey(u.key[:0], keyPoints, t.id), uint64(first))
		if err := kv.PutTTL(u.key, chunk, keep); err != nil {
			return 0, err
		}
		i = end
	}

	first, last := u.fresh[0].at[colTime], u.fresh[len(u.fresh)-1].at[colTime]
	if t.first == 0 || first < t.first {
		t.first = first
	}
	t.last = max(t.last, last)
	u.record.Reset(u.buf)
	t.append(&u.record)
	u.buf = u.record.Value()
	u.key = ticketKey(u.key[:0], keyTicket, t.id)
	return len(u.fresh), kv.PutTTL(u.key, u.buf, keep)
}

// choose returns the points that the ticket can take, in the order of their
// times and each time once. Nearly every batch is just that as it came, and then
// nothing is copied.
func (u *upload) choose(t *ticket) []point {
	earliest, last, clean := t.start-maxEarly, int64(-1), t.hiddenFrom == 0
	for i := 0; clean && i < len(u.pts); i++ {
		at := u.pts[i].at[colTime]
		clean = at > last && at >= earliest
		last = at
	}
	if clean {
		return u.pts
	}
	u.chosen = u.chosen[:0]
	for i := range u.pts {
		if at := u.pts[i].at[colTime]; !t.withheld(at) && at >= earliest {
			u.chosen = append(u.chosen, u.pts[i])
		}
	}
	sortPoints(u.chosen)
	return dropRepeated(u.chosen)
}

// dropRepeated leaves the first of each run of points of one time.
func dropRepeated(pts []point) []point {
	n := 0
	for i := range pts {
		if n == 0 || pts[i].at[colTime] != pts[n-1].at[colTime] {
			pts[n] = pts[i]
			n++
		}
	}
	return pts[:n]
}

// dropStored leaves the points that the ticket does not have. It reads the
// stored points around the new ones only.
func (u *upload) dropStored(kv *guest.KV, t *ticket) error {
	// What is dropped here another ticket may take.
	u.chosen = append(u.chosen[:0], u.fresh...)
	u.fresh = u.chosen
	for i := 0; i < len(u.fresh) && u.fresh[i].at[colTime] <= t.last; {
		end := i + 1
		for end < len(u.fresh) && u.fresh[end].at[colTime]-u.fresh[end-1].at[colTime] <= chunkSpan {
			end++
		}
		run := u.fresh[i:end]
		rg := pointsBetween(t.id, run[0].at[colTime], run[len(run)-1].at[colTime])
		err := each(kv, rg, func(e abi.Entry) (err error) {
			if u.old, err = readPoints(u.old[:0], e.Value); err != nil {
				return err
			}
			markStored(run, u.old)
			return nil
		})
		if err != nil {
			return err
		}
		i = end
	}
	n := 0
	for i := range u.fresh {
		if u.fresh[i].has != 0 {
			u.fresh[n] = u.fresh[i]
			n++
		}
	}
	u.fresh = u.fresh[:n]
	return nil
}

// markStored marks the points of a run that are among the stored ones by taking
// their columns away. Both are sorted.
func markStored(run, stored []point) {
	i := 0
	for j := range stored {
		for i < len(run) && run[i].at[colTime] < stored[j].at[colTime] {
			i++
		}
		if i < len(run) && run[i].at[colTime] == stored[j].at[colTime] {
			run[i].has = 0
		}
	}
}

// pointsBetween returns the range of all chunks that can hold a point of these
// times.
func pointsBetween(id uint64, from, to int64) abi.Range {
	return abi.Range{
		Start: number(ticketKey(nil, keyPoints, id), uint64(max(from-chunkSpan, 0))),
		End:   number(ticketKey(nil, keyPoints, id), uint64(to)+1),
	}
}

// Bounds of a page of a trail.
const (
	trailSpan = 10 * minute // of a snapshot, back from the newest point
	pageRows  = 1000        // points after which a page ends

	// Entries hold one point or a thousand: a read begins with few and doubles.
	firstScan = 8
	mostScan  = 128
)

// latest returns the end of the trail: at most trailSpan of it, and at most
// pageRows points. It reads chunks backwards until it has enough.
func latest(kv *guest.KV, t *ticket) ([]point, error) {
	from := t.last - trailSpan
	rg := pointsBetween(t.id, from, t.last)
	rg.Reverse, rg.Limit = true, firstScan
	var chunks []abi.Entry
	pts := make([]point, 0, pageRows)
	var err error
	for sure := 0; ; {
		page, err := kv.Scan(rg)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, page.Entries...)
		if !page.More {
			break
		}
		rg.End = page.Entries[len(page.Entries)-1].Key
		rg.Limit = min(2*rg.Limit, mostScan)
		// Of the times a span after the chunk read last, no point is missing.
		complete := chunkTime(rg.End) + chunkSpan
		for ; sure < len(chunks) && chunkTime(chunks[sure].Key) >= complete; sure++ {
			if pts, err = readPoints(pts, chunks[sure].Value); err != nil {
				return nil, err
			}
		}
		if len(pts) >= pageRows {
			break
		}
	}
	// In their order, chunks are sorted but for late uploads.
	pts = pts[:0]
	for i := len(chunks) - 1; i >= 0; i-- {
		if pts, err = readPoints(pts, chunks[i].Value); err != nil {
			return nil, err
		}
	}
	sortPoints(pts)
	begin := max(len(pts)-pageRows, 0)
	for begin < len(pts) && pts[begin].at[colTime] < from {
		begin++
	}
	return pts[begin:], nil
}

// chunkTime returns the time of the first point of a chunk.
func chunkTime(key []byte) int64 { return int64(binary.BigEndian.Uint64(key[9:])) }

// What an entry of the log is about: its first byte.
const (
	logPoints = 1 // points
	logRows   = 2 // rows of properties
	logShown  = 3 // the trail is visible again: what cursors skipped is to be shown
)

// A logPage is what happened on a ticket behind a cursor.
type logPage struct {
	pts   []point
	rows  []abi.Value
	next  int64 // the largest stamp of the page; the cursor, if it is empty
	more  bool
	shown bool // the trail became visible again
}

// readLog reads the log behind a cursor, until the page is full.
func readLog(kv *guest.KV, id uint64, cursor int64) (logPage, error) {
	prefix := ticketKey(nil, keyLog, id)
	rg := after(prefix, cursor)
	rg.Limit = firstScan
	p := logPage{next: cursor}
	for {
		page, err := kv.Scan(rg)
		if err != nil {
			return p, err
		}
		for i, e := range page.Entries {
			if len(e.Value) == 0 {
				return p, abi.ErrFrame
			}
			switch e.Value[0] {
			case logPoints:
				if p.pts, err = readPoints(p.pts, e.Value[1:]); err != nil {
					return p, err
				}
			case logRows:
				if p.rows, err = readRows(p.rows, e.Value[1:]); err != nil {
					return p, err
				}
			case logShown:
				p.shown = true
			}
			p.next = stampOf(e.Key, len(prefix))
			if len(p.pts)+len(p.rows) >= pageRows {
				p.more = page.More || i < len(page.Entries)-1
				sortPoints(p.pts)
				return p, nil
			}
		}
		if !page.More {
			sortPoints(p.pts)
			return p, nil
		}
		rg.Start = number(append([]byte(nil), prefix...), uint64(p.next)+1)
		rg.Limit = min(2*rg.Limit, mostScan)
	}
}
