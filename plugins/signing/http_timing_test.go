//go:build !wasip1

package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
	measure "github.com/edgeset/edgeset/host/bench" // bench is a type of the tests
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// BenchmarkTokenOverHTTP compares a small request with an access token, from end
// to end, with the plugin in Wasm and the same handlers native: one whose token
// the host remembers, and one whose token the plugin has to check first.
func BenchmarkTokenOverHTTP(b *testing.B) {
	const path = "/v2/users/self"
	wasm, native := bed.New(b, badgerstore.Process), bed.New(b, badgerstore.Process, guest.Served())
	b.Run("remembered", func(b *testing.B) {
		measure.Compare(b, "http/token_remembered", "native", "µs", wasm.Getter(path), native.Getter(path))
	})
	// In turn, more tokens than the host remembers.
	const tokens = 70_000
	checked := func(host *bed.Bed) measure.Side {
		list := fillTokens(host, tokens)
		var at [bed.Clients]int
		return host.Each("GET", func(client int) (string, string, []byte) {
			n := (client + at[client]*bed.Clients) % tokens
			at[client]++
			return path, list[n], nil
		})
	}
	b.Run("checked", func(b *testing.B) {
		measure.Compare(b, "http/token", "native", "µs", checked(wasm), checked(native))
	})
}

// fillTokens makes so many tokens of the account that is logged in. Its list of
// devices is as long as it may be then, and the others are in those of accounts
// that have one each.
func fillTokens(host *bed.Bed, n int) []string {
	now := time.Now()
	list := make([]string, n)
	host.Fill("signing", n, func(c *edge.Call, i int) error {
		list[i] = random(tokenSize)
		hash := sha256.Sum256([]byte(list[i]))
		t := token{id: tokenID(now), account: host.Account, app: host.App, expires: now.Add(time.Hour).UnixMicro()}
		owner := host.Account
		if i >= maxTokens-1 { // one is from logging in
			owner = random(accountIDSize)
		}
		d := device{hash: hash[:], app: host.App, created: now.UnixMicro(), expires: t.expires}
		return errors.Join(
			c.Put(tokenKey(hash[:]), t.record(), time.Hour),
			c.Put(deviceKey(owner, t.id), d.record(), time.Hour),
		)
	})
	return list
}

// BenchmarkGrowth compares the lists of an account and of the operator in a store
// with a million tokens and as many applications, and in one with a thousand.
func BenchmarkGrowth(b *testing.B) {
	fill := func(n int) *bed.Bed {
		host := bed.New(b, badgerstore.Process)
		fillTokens(host, n)
		a := app{name: "bench", secret: random(secretSize), created: time.Now().UnixMicro()}
		host.Fill("signing", n, func(c *edge.Call, _ int) error { return c.Put(appKey(random(appIDSize)), a.record(), 0) })
		return host
	}
	large, small := fill(1_000_000), fill(1_000)
	large.Settle()
	b.Run("devices", func(b *testing.B) {
		measure.Compare(b, "page/devices", "1k tokens", "µs", devicesPage(b, large), devicesPage(b, small))
	})
	for name, query := range map[string]string{
		"page/apps":        "",
		"page/apps_middle": "after=" + strings.Repeat("j", appIDSize),
	} {
		b.Run(name, func(b *testing.B) {
			measure.Compare(b, name, "1k apps", "µs", appsPage(b, large, query), appsPage(b, small, query))
		})
	}
}

// devicesPage returns a side that lists the devices of the account.
func devicesPage(b *testing.B, host *bed.Bed) measure.Side {
	var list struct{ Items []json.RawMessage }
	if host.Do("GET", "/v2/account/devices", nil, &list); len(list.Items) != maxTokens {
		b.Fatalf("%d devices, want %d", len(list.Items), maxTokens)
	}
	return host.Getter("/v2/account/devices")
}

// appsPage returns a side that lists a hundred applications, as the operator's API
// would have it done.
func appsPage(b *testing.B, host *bed.Bed, query string) measure.Side {
	page := func() []byte { return host.Operate("signing", "GET", "/apps", query, "") }
	var list struct{ Items []json.RawMessage }
	if err := json.Unmarshal(page(), &list); err != nil || len(list.Items) != 100 {
		b.Fatalf("%d applications, want 100: %v", len(list.Items), err)
	}
	return func(n int) {
		for range n {
			page()
		}
	}
}
