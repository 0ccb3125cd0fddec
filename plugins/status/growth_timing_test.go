//go:build !wasip1

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// A filler writes updates into the store as uploads of the past would have. Owners
// have their topics from a real upload, in the order of its updates.
type filler struct {
	payload abi.Value
	record  abi.Writer
	key     []byte
}

// uploadDelay is how long after they were created updates were uploaded.
const uploadDelay = 2 * time.Second

func newFiller() *filler {
	var w abi.Writer
	w.Map()
	w.Key("heart_rate")
	w.Int(72)
	w.Key("charging")
	w.Bool(false)
	w.Key("activity")
	w.Text("cycling")
	w.End()
	return &filler{payload: w.Value()}
}

// put writes an update that was uploaded at some time on the topic of a number.
func (f *filler) put(c *edge.Call, owner, id gid, topicNumber uint16, kind string, at instant) error {
	created := at - uploadDelay.Microseconds()
	u := update{
		id: id, owner: owner, kind: kind, source: sentSource, created: created, createdText: exactDate(created),
		uploaded: at, payload: f.payload,
	}
	f.record.Reset(f.record.Value())
	u.appendRecord(&f.record)
	f.key = binary.BigEndian.AppendUint64(append(f.key[:0], feedKey(owner, topicNumber)...), uint64(at))
	f.key = rowSuffix(f.key, &topic{number: topicNumber}, &u)
	if err := c.Put(f.key, f.record.Value(), 0); err != nil {
		return err
	}
	f.key = binary.BigEndian.AppendUint64(append(f.key[:0], uploadKey(id, owner)...), uint64(at)+1)
	return c.Put(f.key, binary.BigEndian.AppendUint16(nil, topicNumber), 0)
}

// numbered makes the id of the update of a number in a group of them.
func numbered(group byte, n int) gid {
	id := gid{0: group}
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id.marked(4)
}

// A page is a path, and the token with which it is read.
type page struct{ token, path string }

const (
	kinds     = 10 // types, in turn
	rareKind  = "rare"
	rareCount = 20 // updates of one more type
	// stepOfHistory lies between two updates.
	stepOfHistory = 5 * time.Second
)

// fillHistory has somebody upload n updates and share them with one other, and returns
// pages of them. group tells the histories of one store apart.
func fillHistory(host *bed.Bed, group byte, n int) map[string]page {
	sharer, sharerToken := host.Join(fmt.Sprint("sharer", group))
	reader, readerToken := host.Join(fmt.Sprint("reader", group))
	shareWith(host, sharerToken, reader)
	now := time.Now()
	newest := make([]sent, kinds+1)
	for i := range newest {
		newest[i] = sent{numbered(group, n-len(newest)+i), fmt.Sprint("type ", i), now.Add(-uploadDelay)}
	}
	newest[kinds].kind = rareKind
	host.Ask(sharerToken, "POST", "/v1/status", appendSent(nil, newest))

	older := n - len(newest)
	first := now.Add(-time.Duration(older) * stepOfHistory)
	uploaded := func(i int) instant { return first.Add(time.Duration(i) * stepOfHistory).UnixMicro() }
	owner, f := identityOf(sharer), newFiller()
	host.Fill("status", older, func(c *edge.Call, i int) error {
		if i%(n/rareCount) == n/rareCount-len(newest)-1 {
			return f.put(c, owner, numbered(group, i), kinds+1, rareKind, uploaded(i))
		}
		return f.put(c, owner, numbered(group, i), uint16(i%kinds+1), newest[i%kinds].kind, uploaded(i))
	})

	created := func(i int) string { return formatDate(uploaded(i) - uploadDelay.Microseconds()) }
	window := url.Values{"start": {created(older - 2*defaultPerPage)}, "end": {created(older - defaultPerPage + 1)}}
	last := fmt.Sprintf("?page=%d", n/defaultPerPage)
	const own, shared = "/v1/status", "/v1/status/shared"
	return map[string]page{
		"page/status":             {sharerToken, own},
		"page/status_rare_type":   {sharerToken, own + "?type=" + rareKind},
		"page/status_window":      {sharerToken, own + "?" + window.Encode()},
		"page/status_shared":      {readerToken, shared},
		"page/status_since":       {readerToken, shared + "?since_uuid=" + numbered(group, n-defaultPerPage-1).String()},
		"page/status_last":        {sharerToken, own + last},
		"page/status_shared_last": {readerToken, shared + last},
	}
}

// BenchmarkHistoryGrowth compares pages of the updates of one who has uploaded a
// million with those of one who has ten thousand, in a store of its own, which has them
// all in memory, and in the same store.
func BenchmarkHistoryGrowth(b *testing.B) {
	many, few := 1_000_000, 10_000
	if testing.Short() {
		many = 100_000
	}
	large, small := newBed(b, badgerstore.Process), newBed(b, badgerstore.Process)
	beside := fillHistory(large, 1, few)
	ours, theirs := fillHistory(large, 2, many), fillHistory(small, 1, few)
	large.Settle()
	const peer = "10k updates"
	for _, name := range []string{
		"page/status", "page/status_rare_type", "page/status_window", "page/status_shared", "page/status_since",
	} {
		b.Run(name, func(b *testing.B) { compare(b, name, peer, large, small, ours[name], theirs[name]) })
		b.Run(name+"/same_store", func(b *testing.B) {
			compare(b, name, peer+", same store", large, large, ours[name], beside[name])
		})
	}
	// What is skipped is passed over one by one, so these do grow: and take too long
	// to be read again and again.
	for _, name := range []string{"page/status_last", "page/status_shared_last"} {
		b.Run(name, func(b *testing.B) {
			comparable(b, name, large, small, ours[name], theirs[name])
			bench.Report(b, name, peer, "ms", timed(large, ours[name]), timed(small, theirs[name]), bench.Smaller)
		})
	}
}

// compare measures a page of each of two hosts, or two of one.
func compare(b *testing.B, name, peer string, large, small *bed.Bed, ours, theirs page) {
	comparable(b, name, large, small, ours, theirs)
	bench.Compare(b, name, peer, "µs", getter(large, ours.token, ours.path), getter(small, theirs.token, theirs.path))
}

// comparable makes sure that two pages have as many updates.
func comparable(b *testing.B, name string, large, small *bed.Bed, ours, theirs page) {
	a, z := updatesOf(b, large, ours.token, ours.path), updatesOf(b, small, theirs.token, theirs.path)
	if a != z || a == 0 {
		b.Fatalf("%s: the pages are not comparable: %d and %d updates", name, a, z)
	}
}

// timed returns how many ms a page takes.
func timed(host *bed.Bed, p page) float64 {
	var times []float64
	for range 3 {
		start := time.Now()
		host.Ask(p.token, "GET", p.path, nil)
		times = append(times, time.Since(start).Seconds()*1000)
	}
	return bench.Median(times)
}

// BenchmarkSharerGrowth compares what a page costs a reader with whom many share, as
// with an individual or as with a contact, and one with whom a single one does.
func BenchmarkSharerGrowth(b *testing.B) {
	host := newBed(b, badgerstore.Process)
	group := byte(0)
	for _, c := range []struct {
		name string
		to   audience
	}{
		{"individual", toIndividual},
		{"contacts", toContacts},
	} {
		first, since := map[int]page{}, map[int]page{}
		for _, n := range []int{1, 100, 1000} {
			group++
			first[n], since[n] = fillSharers(host, group, n, c.to)
		}
		for _, n := range []int{100, 1000} {
			for what, pages := range map[string]map[int]page{"shared": first, "since": since} {
				name := fmt.Sprintf("page/status_%s_%s_%d", what, c.name, n)
				b.Run(name, func(b *testing.B) { compare(b, name, "1 sharer", host, host, pages[n], pages[1]) })
			}
		}
	}
}

const (
	topicsOfSharer  = 2
	updatesOfSharer = 60 // more than a page has
)

// fillSharers has so many share updates with a reader of their own, one after the
// other. It returns the reader's first page, and the one behind the newest updates but
// fifty.
func fillSharers(host *bed.Bed, group byte, n int, to audience) (first, since page) {
	account, token := host.Join(fmt.Sprint("reader", group))
	reader, pattern := identityOf(account), identityOf(host.Account)
	now, list := time.Now(), make([]sent, topicsOfSharer)
	for i := range list {
		list[i] = sent{newUUID(), fmt.Sprint("type ", i), now.Add(-uploadDelay)}
	}
	host.Ask(host.Token, "POST", "/v1/status", appendSent(nil, list))

	p := permission{
		id: newUUID(), source: anything, kind: anything, audience: to, from: always, until: never,
		created: now.UnixMicro(), updated: now.UnixMicro(),
	}
	if to.named() {
		p.recipient = reader
	}
	var permissions abi.Writer
	permissions.FixedArray(1)
	p.append(&permissions)

	f, total := newFiller(), n*updatesOfSharer
	sharer := func(i int) gid { return numbered(group, i) }
	var topics []byte
	host.Fill("status", n, func(c *edge.Call, i int) error {
		if topics == nil {
			record, _, err := c.Get(headKey(pattern))
			if err != nil {
				return err
			}
			topics = bytes.Clone(record)
		}
		index := contactOfKey(reader, sharer(i))
		if to.named() {
			index = p.indexKey(sharer(i))
		}
		return errors.Join(
			c.Put(headKey(sharer(i)), topics, 0),
			c.Put(permissionsKey(sharer(i)), permissions.Value(), 0),
			c.Put(index, nil, 0),
		)
	})
	begin := now.Add(-time.Hour).UnixMicro()
	host.Fill("status", total, func(c *edge.Call, i int) error {
		k := i / n % topicsOfSharer
		return f.put(c, sharer(i%n), numbered(group, i), uint16(k+1), list[k].kind, begin+int64(10*i))
	})
	const path = "/v1/status/shared"
	return page{token, path}, page{token, path + "?since_uuid=" + numbered(group, total-defaultPerPage-1).String()}
}
