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

// newBed starts a host with this plugin.
func newBed(tb testing.TB, durability badgerstore.Durability, compiled ...*guest.Plugin) *bed.Bed {
	tb.Helper()
	return bed.NewOf(tb, durability, []string{"plugins/signing", "plugins/status"}, compiled...)
}

// A sent is an update as a client sends it.
type sent struct {
	id      gid
	kind    string
	created time.Time
}

// sentSource is where all of them come from, and sentPayload what they say, in JSON.
const (
	sentSource  = "phone"
	sentPayload = `{"latitude":37.7723917,"longitude":-122.4190112,"accuracy":12,"charging":false,"activity":"cycling"}`
)

// appendSent writes the body of an upload.
func appendSent(buf []byte, list []sent) []byte {
	buf = append(buf, '[')
	for i := range list {
		if i > 0 {
			buf = append(buf, ',')
		}
		s := &list[i]
		buf = fmt.Appendf(buf, `{"uuid":"%s","source":%q,"type":%q,"created_at":"`, s.id, sentSource, s.kind)
		buf = s.created.UTC().AppendFormat(buf, time.RFC3339Nano)
		buf = append(append(append(buf, `","payload":`...), sentPayload...), '}')
	}
	return append(buf, ']')
}

// shareWith has the account of a token share all of its updates with another one.
func shareWith(b *bed.Bed, token, account string) {
	b.Ask(token, "POST", "/v1/status/permissions", []byte("{"+toOne(account)+"}"))
}

// uploader returns a side that uploads so many updates a request, of an account that
// shares them with one other.
func uploader(b *bed.Bed, batch int) bench.Side {
	kinds := [...]string{"location", "heart rate", "steps", "battery", "network"}
	type client struct {
		list []sent
		body []byte
		next int
	}
	var clients [bed.Clients]client
	for i := range clients {
		clients[i] = client{list: make([]sent, batch), next: i}
	}
	return b.Each("POST", func(i int) (path, token string, body []byte) {
		c := &clients[i]
		for k := range c.list {
			c.list[k] = sent{newUUID(), kinds[c.next%len(kinds)], time.Now()}
			c.next++
		}
		c.body = appendSent(c.body[:0], c.list)
		return "/v1/status", b.Token, c.body
	})
}

// BenchmarkUploadOverHTTP compares uploads from end to end, client included, with the
// plugin in Wasm and the same handlers native: as served by default, where what was
// acknowledged survives the loss of power, and without the waiting for the disk, where
// the processor is all that counts.
func BenchmarkUploadOverHTTP(b *testing.B) {
	for _, c := range []struct {
		name       string
		durability badgerstore.Durability
	}{
		{"", badgerstore.Power},
		{"_process", badgerstore.Process},
	} {
		wasm, native := newBed(b, c.durability), newBed(b, c.durability, guest.Served())
		shareWith(wasm, wasm.Token, "reader")
		shareWith(native, native.Token, "reader")
		for _, batch := range []int{1, 10} {
			b.Run(fmt.Sprint(c.durability, "/", batch), func(b *testing.B) {
				name := fmt.Sprintf("http/status_upload_%d%s", batch, c.name)
				bench.Compare(b, name, "native", "µs", uploader(wasm, batch), uploader(native, batch))
			})
		}
	}
}

// getter returns a side that reads one path with a token.
func getter(b *bed.Bed, token, path string) bench.Side {
	return b.Each("GET", func(int) (string, string, []byte) { return path, token, nil })
}

// updatesOf returns how many updates a page has.
func updatesOf(tb testing.TB, b *bed.Bed, token, path string) int {
	tb.Helper()
	var list []json.RawMessage
	if err := json.Unmarshal(b.Ask(token, "GET", path, nil), &list); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return len(list)
}

// BenchmarkSharedOverHTTP compares pages of fifty updates of one who shares five
// hundred: the first, and the last, behind a cursor.
func BenchmarkSharedOverHTTP(b *testing.B) {
	const updates, kinds = 500, 5
	read := func(b *testing.B, host *bed.Bed) (first, since bench.Side) {
		account, token := host.Join("reader")
		shareWith(host, host.Token, account)
		list, now := make([]sent, updates), time.Now()
		for i := range list {
			list[i] = sent{newUUID(), fmt.Sprint("type ", i%kinds), now}
		}
		host.Ask(host.Token, "POST", "/v1/status", appendSent(nil, list))
		const firstPath = "/v1/status/shared"
		sincePath := firstPath + "?since_uuid=" + list[updates-defaultPerPage-1].id.String()
		for _, path := range []string{firstPath, sincePath} {
			if n := updatesOf(b, host, token, path); n != defaultPerPage {
				b.Fatalf("%s: %d updates, want %d", path, n, defaultPerPage)
			}
		}
		return getter(host, token, firstPath), getter(host, token, sincePath)
	}
	wasmFirst, wasmSince := read(b, newBed(b, badgerstore.Process))
	nativeFirst, nativeSince := read(b, newBed(b, badgerstore.Process, guest.Served()))
	b.Run("first", func(b *testing.B) {
		bench.Compare(b, "http/status_shared", "native", "µs", wasmFirst, nativeFirst)
	})
	b.Run("since", func(b *testing.B) {
		bench.Compare(b, "http/status_since", "native", "µs", wasmSince, nativeSince)
	})
}
