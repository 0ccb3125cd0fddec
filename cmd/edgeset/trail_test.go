package main_test

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// columns of a point: time, latitude, longitude, speed, heading, altitude,
// horizontal and vertical accuracy.
const columns = 8

// pointAt is the point of a time. All of it follows from the time, so that a
// viewer can tell whether what it got is what was sent. Some points lack
// columns, as they do in the field.
func pointAt(t int64) (row [columns]*int64) {
	for i, v := range [columns]int64{
		t, 47_600_000 + t*31%100_000, -122_300_000 - t*17%100_000, t % 4000, t * 7 % 361, t%9000 - 400, t % 60, t % 30,
	} {
		row[i] = &v
	}
	switch t % 5 {
	case 1:
		row[3], row[4] = nil, nil
	case 2:
		row[5], row[6], row[7] = nil, nil, nil
	}
	return row
}

// A trail is what was uploaded to one ticket, by whichever device: what each of
// its viewers has to see.
type trail struct {
	mu      sync.Mutex
	last    int64 // time given out last
	batches []*batch
	of      map[int64]*batch
}

// A batch is one upload.
type batch struct {
	times        []int64
	acknowledged bool
}

func newTrail() *trail { return &trail{of: map[int64]*batch{}} }

// draw makes a batch of n points of times that nobody else has. From here on a
// viewer may see them.
func (tr *trail) draw(n int) *batch {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	b := new(batch)
	for range n {
		tr.last = max(tr.last+1, time.Now().UnixMilli())
		b.times = append(b.times, tr.last)
		tr.of[tr.last] = b
	}
	tr.batches = append(tr.batches, b)
	return b
}

// rows is the body of a batch. Columns at the end that are not there are left
// out.
func (b *batch) rows() [][]*int64 {
	rows := make([][]*int64, len(b.times))
	for i, t := range b.times {
		p := pointAt(t)
		end := columns
		for p[end-1] == nil {
			end--
		}
		rows[i] = p[:end]
	}
	return rows
}

// acknowledge notes that the server has said that it stored the batch.
func (tr *trail) acknowledge(b *batch) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	b.acknowledged = true
}

// points counts those that were acknowledged.
func (tr *trail) points() (n int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, b := range tr.batches {
		if b.acknowledged {
			n += len(b.times)
		}
	}
	return n
}

// check compares with what a viewer saw when it had come to the end: every
// acknowledged point, of every other upload all points or none, and no point
// that nobody sent. That none came twice the viewer has seen to.
func (tr *trail) check(seen map[int64]bool) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	lost, first, torn := 0, int64(0), 0
	for _, b := range tr.batches {
		missing := 0
		for _, t := range b.times {
			if !seen[t] {
				missing++
			}
		}
		switch {
		case b.acknowledged && missing > 0:
			if lost == 0 {
				first = b.times[0]
			}
			lost += missing
		case missing > 0 && missing < len(b.times):
			torn++
		}
	}
	var strange []int64
	for t := range seen {
		if tr.of[t] == nil {
			strange = append(strange, t)
		}
	}
	if lost+torn+len(strange) == 0 {
		return nil
	}
	slices.Sort(strange)
	return fmt.Errorf("%d acknowledged points are missing (the first batch of them begins at %d), %d uploads are there in part, %d points were never sent %v",
		lost, first, torn, len(strange), strange[:min(3, len(strange))])
}
