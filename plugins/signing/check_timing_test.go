//go:build !wasip1

package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	measure "github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// BenchmarkCheck compares each check of a credential, alone, with the same check
// in plain Go.
func BenchmarkCheck(b *testing.B) {
	folders := []string{"plugins/signing"}
	wasm, native := bed.NewOf(b, badgerstore.Process, folders), bed.NewOf(b, badgerstore.Process, folders, guest.Served())
	for _, c := range []struct {
		name    string
		request func(*bed.Bed) *abi.Request
	}{
		{"check/token", tokenCheck},
		{"check/md5", md5Check},
		{"check/hmac-sha256", hmacCheck},
		{"check/ed25519", ed25519Check},
	} {
		b.Run(c.name, func(b *testing.B) {
			measure.Compare(b, c.name, "plain Go", "µs", wasm.Check(c.request(wasm)), native.Check(c.request(native)))
		})
	}
}

func tokenCheck(host *bed.Bed) *abi.Request {
	return &abi.Request{Time: time.Now().UnixMicro(), Credential: abi.Credential{Kind: tokenProof, Value: host.Token, Family: "/1.0"}}
}

// formFields are the fields of a form that is sent as urlencoded.
func formFields(form string) abi.Value {
	var w abi.Writer
	w.Array()
	for part := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(part, "=")
		w.Text(name)
		w.Text(strings.ReplaceAll(value, "+", " "))
	}
	w.End()
	return w.Value()
}

func md5Check(host *bed.Bed) *abi.Request {
	now := time.Now()
	timestamp := strconv.FormatInt(now.UnixMilli(), 10)
	sum := md5.Sum([]byte(writeHead + host.App + writeBody + timestamp + writeTail + host.Secret))
	hash := hex.EncodeToString(sum[:])
	return &abi.Request{
		Time: now.UnixMicro(), Method: "POST", Path: writePath, Target: writePath, BaseURL: "http://127.0.0.1",
		BodyKind: abi.BodyForm, Body: formFields(writeForm + "&identity=" + host.App + "&timestamp=" + timestamp + "&hash=" + hash),
		Credential: abi.Credential{Kind: signatureProof, Value: hash, Family: "/1.0"},
	}
}

func hmacCheck(host *bed.Bed) *abi.Request {
	return messageCheck(host, schemeHMAC, func(base string) []byte {
		mac := hmac.New(sha256.New, []byte(host.Secret))
		mac.Write([]byte(base))
		return mac.Sum(nil)
	})
}

func ed25519Check(host *bed.Bed) *abi.Request {
	key := ed25519.NewKeyFromSeed([]byte("thirty-two bytes for a test key."))
	public := base64.StdEncoding.EncodeToString(key.Public().(ed25519.PublicKey))
	host.Operate("signing", "PUT", "/apps/"+host.App, "", `{"ed25519_key":"`+public+`"}`)
	return messageCheck(host, schemeEd25519, func(base string) []byte { return ed25519.Sign(key, []byte(base)) })
}

// messageCheck is of a request that is signed as RFC 9421 says.
func messageCheck(host *bed.Bed, alg string, sign func(base string) []byte) *abi.Request {
	const path = "/1.0/signing/whoami"
	now := time.Now()
	input := `("@method" "@authority" "@path");created=` + strconv.FormatInt(now.Unix(), 10) + `;keyid="` + host.App + `";alg="` + alg + `"`
	sum := sign("\"@method\": GET\n\"@authority\": 127.0.0.1\n\"@path\": " + path + "\n\"@signature-params\": " + input)
	var headers abi.Writer
	headers.Array()
	for _, s := range []string{"Host", "127.0.0.1", "User-Agent", "client/1.0", "Accept", "application/json",
		"Signature-Input", "sig=" + input, "Signature", "sig=:" + base64.StdEncoding.EncodeToString(sum) + ":"} {
		headers.Text(s)
	}
	headers.End()
	return &abi.Request{
		Time: now.UnixMicro(), Method: "GET", Path: path, Target: path, BaseURL: "http://127.0.0.1", Headers: abi.Pairs(headers.Value()),
		Credential: abi.Credential{Kind: signatureProof, Value: "sig=" + input, Family: "/1.0"},
	}
}
