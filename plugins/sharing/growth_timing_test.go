//go:build !wasip1

package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// What is compared: ours with many records, theirs with few.
const (
	many = 1_000_000
	few  = 1_000
)

// BenchmarkTrailGrowth compares what a page costs on a ticket with a million
// points and on one with a thousand.
func BenchmarkTrailGrowth(b *testing.B) {
	host := bed.New(b, badgerstore.Process)
	// A ticket that began four hours ago and has been sharing since.
	const step = 14
	host.SetClock(-step * many * time.Millisecond)
	large, largeCode := shareOn(host)
	small, smallCode := shareOn(host)
	from := time.Now().UnixMilli() - step*many
	host.SetClock(0)
	var body []byte
	for i := range int64(many / few) {
		body = rows(body, from+i*few*step, few, step)
		host.Do("POST", "/v2/tickets/"+large+"/append_location", body, nil)
	}
	body = rows(body, from+(many-few)*step, few, step)
	host.Do("POST", "/v2/tickets/"+small+"/append_location", body, nil)

	pages := func(code string) map[string]string {
		path := "/v2/invites/" + code + "?no_count=true"
		next, err := strconv.ParseInt(string(do(host, "GET", path+"&next=0&limit=0", nil).Next), 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		// Both have the same last batch to read.
		return map[string]string{
			"page/full_trail": path + "&next=0&full_trail=true",
			"page/last_batch": path + "&next=" + strconv.FormatInt(next-1, 10),
			"page/nothing":    path + "&next=" + strconv.FormatInt(next, 10),
		}
	}
	compare(b, "1k points", host, host, pages(largeCode), pages(smallCode))
}

// compare measures the same pages of two hosts, or of one.
func compare(b *testing.B, peer string, large, small *bed.Bed, ours, theirs map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		a, z := do(large, "GET", ours[name], nil), do(small, "GET", theirs[name], nil)
		if len(a.Location) != len(z.Location) || len(a.Items) != len(z.Items) || len(a.Properties) != len(z.Properties) {
			b.Fatalf("%s: the pages are not comparable: %d and %d points, %d and %d items, %d and %d properties", name,
				len(a.Location), len(z.Location), len(a.Items), len(z.Items), len(a.Properties), len(z.Properties))
		}
		b.Run(name, func(b *testing.B) {
			bench.Compare(b, name, peer, "µs", large.Getter(ours[name]), small.Getter(theirs[name]))
		})
	}
}

// BenchmarkTicketGrowth compares the lists of an account with a million tickets,
// a million invites and a million changes of them, and of one with a thousand:
// each in a store of its own.
func BenchmarkTicketGrowth(b *testing.B) {
	large, small := bed.New(b, badgerstore.Process), bed.New(b, badgerstore.Process)
	ours, theirs := fillTickets(large, many), fillTickets(small, few)
	large.Settle()
	compare(b, "1k records", large, small, ours, theirs)
}

// fillTickets gives the account so many tickets that have ended, with an invite
// each, and so many changes of its invites; and a ticket that is active, with a
// hundred invites and a hundred properties. It returns the lists to read.
func fillTickets(host *bed.Bed, n int) map[string]string {
	const listed, changed = 100, 10
	active, firstCode := shareOn(host)
	codes := []string{firstCode}
	for len(codes) < listed {
		codes = append(codes, inviteOn(host, active))
	}
	now := time.Now().UnixMilli()
	var body []byte
	for i := range listed {
		body = fmt.Appendf(body, `,{"t":%d,"n":"property %d","v":%d}`, now, i, i)
	}
	body[0] = '['
	host.Do("POST", "/v2/tickets/"+active+"/append_data", append(body, ']'), nil)

	account, known := host.Account, codeOf(firstCode)
	var invite []byte
	var w abi.Writer
	host.Fill("sharing", n, func(c *edge.Call, i int) error {
		if invite == nil {
			record, _, err := c.Get(codeKey(nil, keyInvite, known))
			if err != nil {
				return err
			}
			invite = bytes.Clone(record)
		}
		t := ended(account, now, i)
		w.Reset(w.Value())
		t.append(&w)
		ttl := t.keepAll(now)
		return errors.Join(
			c.Put(ticketKey(nil, keyTicket, t.id), w.Value(), ttl),
			c.Put(t.listedKey(), nil, ttl),
			c.Put(binary.BigEndian.AppendUint32(ticketKey(nil, keyInvites, t.id), 0), code(i).append(nil), ttl),
			c.Put(codeKey(nil, keyInvite, code(i)), invite, ttl),
			c.PutStamped(accountKey(nil, keyChange, account), nil, known.append([]byte{changeInvite}), ttl),
		)
	})

	poll := "/v2/users/self/invites?since="
	since := do(host, "GET", poll+"0", nil).LastRefresh
	for _, code := range codes[:changed] {
		host.Do("POST", "/v2/invites/"+code+"/update?name=Ada", nil, nil)
	}
	middle := ended(account, now, n/2).listedKey()[len(accountKey(nil, keyListed, account)):]
	tickets := "/v2/users/self/tickets?limit=" + strconv.Itoa(listed)
	return map[string]string{
		"page/tickets":         tickets,
		"page/tickets_middle":  tickets + "&next=" + formatCursor(middle),
		"page/ticket_invites":  "/v2/tickets/" + active + "/invites",
		"page/properties":      "/v2/invites/" + firstCode + "/properties",
		"page/invites":         poll + "0",
		"page/invites_changed": poll + strconv.FormatInt(since, 10),
	}
}

// ended makes a ticket that has ended; the larger i, the earlier.
func ended(account string, now int64, i int) *ticket {
	start := now - hour - int64(i)
	return &ticket{
		id: 1<<62 | uint64(i), owner: account, start: start, end: start + minute, endSet: start,
		until: now + day, retention: day, invites: 1, closed: true, sealed: 1,
	}
}

func codeOf(text string) code {
	c, _ := parseCode(text)
	return c
}
