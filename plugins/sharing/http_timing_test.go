//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// fields are what the benchmarks read of replies.
type fields struct {
	ID          string
	Next        json.RawMessage // a number of an invite's trail, a text of tickets
	LastRefresh int64           `json:"last_refresh"`
	Location    []json.RawMessage
	Items       []json.RawMessage
	Properties  []json.RawMessage
}

func do(b *bed.Bed, method, path string, body []byte) (f fields) {
	b.Do(method, path, body, &f)
	return f
}

// shareOn makes a ticket and an invite to it.
func shareOn(b *bed.Bed) (ticket, code string) {
	ticket = do(b, "POST", "/v2/users/self/create_ticket?duration=14400000", nil).ID
	return ticket, inviteOn(b, ticket)
}

func inviteOn(b *bed.Bed, ticket string) (code string) {
	return do(b, "POST", "/v2/tickets/"+ticket+"/create_invite?type=link&send=client", nil).ID
}

// rows writes a batch of points, step ms apart.
func rows(buf []byte, from int64, n int, step int64) []byte {
	buf = append(buf[:0], '[')
	for i := range int64(n) {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = fmt.Appendf(buf, "[%d,%d,%d,350,90,12,5,8]", from+i*step, 37772000+i*7, -122419000-i*9)
	}
	return append(buf, ']')
}

// appender returns a side that appends batches of 10 points, each client to a
// ticket of its own.
func appender(b *bed.Bed) bench.Side {
	type sharer struct {
		path string
		next int64
		body []byte
	}
	list := make([]sharer, bed.Clients)
	for i := range list {
		ticket, _ := shareOn(b)
		list[i] = sharer{path: "/v2/tickets/" + ticket + "/append_location", next: time.Now().UnixMilli() - 9*60_000}
	}
	return b.Each("POST", func(client int) (path, token string, body []byte) {
		s := &list[client]
		s.body = rows(s.body, s.next, 10, 1)
		s.next += 10
		return s.path, b.Token, s.body
	})
}

// BenchmarkAppendOverHTTP compares append_location of 10 points from end to
// end, client included, with the plugin in Wasm and the same handlers native: as
// served by default, where an acknowledged point survives the loss of power, and
// without the waiting for the disk, where the processor is all that counts.
func BenchmarkAppendOverHTTP(b *testing.B) {
	for _, c := range []struct {
		name       string
		durability badgerstore.Durability
	}{
		{"http/append_location", badgerstore.Power},
		{"http/append_location_process", badgerstore.Process},
	} {
		b.Run(c.durability.String(), func(b *testing.B) {
			wasm, native := bed.New(b, c.durability), bed.New(b, c.durability, guest.Served())
			bench.Compare(b, c.name, "native", "µs", appender(wasm), appender(native))
		})
	}
}

// BenchmarkViewOverHTTP compares the poll of a viewer who has seen all but the
// last batch.
func BenchmarkViewOverHTTP(b *testing.B) {
	viewer := func(bed *bed.Bed) bench.Side {
		ticket, code := shareOn(bed)
		from := time.Now().UnixMilli() - 60_000
		do(bed, "POST", "/v2/tickets/"+ticket+"/append_location", rows(nil, from, 10, 100))
		next := do(bed, "GET", "/v2/invites/"+code+"?next=0", nil).Next
		do(bed, "POST", "/v2/tickets/"+ticket+"/append_location", rows(nil, from+2000, 10, 100))
		return bed.Getter("/v2/invites/" + code + "?next=" + string(next))
	}
	wasm, native := bed.New(b, badgerstore.Process), bed.New(b, badgerstore.Process, guest.Served())
	bench.Compare(b, "http/view", "native", "µs", viewer(wasm), viewer(native))
}
