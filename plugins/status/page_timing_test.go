//go:build !wasip1

package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/text"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// What is compared: pages of long histories, and the same ones of short histories.
const (
	long  = 100_000
	short = 1_000
)

// A sharing is an account that shares all of its updates, and what it has uploaded.
type sharing struct {
	token, gid, last string
	until            time.Time
}

// shareHistory has an account share n updates, one a second until now, with everybody.
// It writes them as the plugin does, with the stamps that they would have.
func shareHistory(b *testing.B, host *bed.Bed, name string, n int) (s sharing) {
	account, token := host.Join(name)
	owner := identityOf(account)
	s = sharing{token: token, gid: owner.String(), until: time.Now()}
	host.Ask(token, "POST", "/v1/status/permissions", []byte(`{"source":"*","type":"*","recipient_type":"all"}`))
	h := &head{owner: owner, next: 1}
	payload, err := text.ParseJSON(nil, []byte(`{"available":true,"pulse":70}`), 1)
	if err != nil {
		b.Fatal(err)
	}
	var record abi.Writer
	host.Fill("status", n, func(c *edge.Call, i int) error {
		at := s.until.Add(time.Duration(i+1-n) * time.Second).UnixMicro()
		u := &update{id: newUUID(), owner: owner, kind: "work", source: "web", created: at, createdText: formatDate(at), uploaded: at, payload: payload}
		s.last = u.id.String()
		t := h.topicOf(u)
		record.Reset(record.Value())
		u.appendRecord(&record)
		row := binary.BigEndian.AppendUint64(feedKey(owner, t.number), uint64(at))
		mark := binary.BigEndian.AppendUint64(uploadKey(u.id, owner), uint64(at)+1)
		return errors.Join(
			c.Put(rowSuffix(row, t, u), record.Value(), 0),
			c.Put(mark, binary.BigEndian.AppendUint16(nil, t.number), 0),
			c.Put(headKey(owner), h.record(), 0),
		)
	})
	return s
}

// pages are what is asked of a history, by name.
func (s sharing) pages() map[string]string {
	ago := func(d time.Duration) string { return s.until.Add(-d).UTC().Format("2006-01-02T15:04:05Z") }
	shared := "/v1/status/shared?shared_by=" + s.gid
	return map[string]string{
		"page/own":          "/v1/status",
		"page/own_third":    "/v1/status?page=3",
		"page/own_window":   "/v1/status?start=" + ago(10*time.Minute) + "&end=" + ago(time.Minute),
		"page/shared":       shared,
		"page/shared_start": shared + "&start=" + ago(10*time.Minute),
		"page/since":        shared + "&since_uuid=" + s.last,
	}
}

// BenchmarkPages compares what pages cost of a history of a hundred thousand updates,
// and of one of a thousand.
func BenchmarkPages(b *testing.B) {
	host := bed.NewOf(b, badgerstore.Process, []string{"plugins/signing", "plugins/status"})
	ours, theirs := shareHistory(b, host, "long", long), shareHistory(b, host, "short", short)
	host.Settle()
	_, reader := host.Join("reader")
	large, small := ours.pages(), theirs.pages()
	for _, name := range slices.Sorted(maps.Keys(large)) {
		side := func(token, path string) bench.Side {
			if strings.Contains(path, "shared") {
				token = reader
			}
			var list []json.RawMessage
			if err := json.Unmarshal(host.Ask(token, "GET", path, nil), &list); err != nil || (len(list) == 0) != (name == "page/since") {
				b.Fatalf("%s: %d updates, %v", path, len(list), err)
			}
			return host.EachOf(1, "GET", func(int) (string, string, []byte) { return path, token, nil })
		}
		b.Run(name, func(b *testing.B) {
			bench.Compare(b, name, "1k updates", "µs", side(ours.token, large[name]), side(theirs.token, small[name]))
		})
	}
}

// BenchmarkUpload compares a request that uploads a hundred updates with a hundred
// requests that upload one.
func BenchmarkUpload(b *testing.B) {
	host := bed.NewOf(b, badgerstore.Process, []string{"plugins/signing", "plugins/status"})
	s := shareHistory(b, host, "long", 10*short)
	uploads := func(n int) func() []byte {
		return func() []byte {
			list := make([]string, n)
			for i := range list {
				list[i] = fmt.Sprintf(`{"uuid":%q,"source":"web","type":"work","created_at":%q,"payload":{"available":true}}`,
					newUUID(), time.Now().UTC().Format(time.RFC3339Nano))
			}
			return []byte("[" + strings.Join(list, ",") + "]")
		}
	}
	side := func(requests, updates int) bench.Side {
		body := uploads(updates)
		return func(n int) {
			for range n * requests {
				host.Ask(s.token, "POST", "/v1/status", body())
			}
		}
	}
	bench.Compare(b, "upload/hundred", "one by one", "ms", side(1, 100), side(100, 1))
}
