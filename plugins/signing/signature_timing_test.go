//go:build !wasip1

package main

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	measure "github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// BenchmarkSignedOverHTTP compares a request that writes and is signed with the
// same request with an access token that the host remembers, from end to end.
// What it takes to sign is in it, since the client is in this process.
func BenchmarkSignedOverHTTP(b *testing.B) {
	for _, c := range []struct {
		name       string
		durability badgerstore.Durability
		clients    int
	}{
		{"http/signed_alone", badgerstore.Power, 1},
		{"http/signed", badgerstore.Power, bed.Clients},
		{"http/signed_process", badgerstore.Process, bed.Clients},
	} {
		b.Run(c.name, func(b *testing.B) {
			host := bed.NewOf(b, c.durability, []string{"plugins/signing", "host/gateway/testdata/notes"})
			measure.Compare(b, c.name, "cached token", "µs", signedWriter(host, c.clients), tokenWriter(host, c.clients))
		})
	}
}

const (
	writePath = "/1.0/notes/create"
	writeForm = "city=oklahoma+city&description=An+accident+on+the+road&latitude=35.4823&longitude=-97.5350&udid=1234"
	// What is signed of the form besides identity and timestamp, which stand
	// between description and latitude, and between longitude and udid.
	writeHead = "oklahoma cityAn accident on the road"
	writeBody = "35.4823-97.5350"
	writeTail = "1234"
)

func tokenWriter(host *bed.Bed, clients int) measure.Side {
	return host.EachOf(clients, "POST", func(int) (string, string, []byte) {
		return writePath, host.Token, []byte(writeForm + "&identity=" + host.App + "&timestamp=1767225600000")
	})
}

// signedWriter signs each request as the document of the API has it. No two have
// the same time: they would have the same signature.
func signedWriter(host *bed.Bed, clients int) measure.Side {
	var last atomic.Int64
	last.Store(time.Now().Add(-5 * time.Minute).UnixMilli())
	return host.EachOf(clients, "POST", func(int) (string, string, []byte) {
		timestamp := strconv.FormatInt(last.Add(1), 10)
		sum := md5.Sum([]byte(writeHead + host.App + writeBody + timestamp + writeTail + host.Secret))
		return writePath, "", []byte(writeForm + "&identity=" + host.App + "&timestamp=" + timestamp + "&hash=" + hex.EncodeToString(sum[:]))
	})
}
