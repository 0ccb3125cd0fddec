package abi_test

import (
	"reflect"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestFetchesComeThrough(t *testing.T) {
	sent := &abi.Fetch{Method: "POST", URL: "https://op.example/", Headers: pairs("Accept", "text/html"),
		Body: []byte("a=b"), Follow: true, MaxReply: 1 << 20}
	record := value(sent.Append)
	for _, v := range []abi.Value{record, longer(t, record)} {
		if got, err := abi.ReadFetch(v); err != nil || !reflect.DeepEqual(got, sent) {
			t.Errorf("got %+v, %v, want %+v", got, err, sent)
		}
	}
	reply := &abi.FetchReply{Error: "no such host", Denied: true, Status: 200, URL: "https://op.example/x",
		Headers: pairs("Content-Type", "text/html"), Body: []byte("<html>")}
	record = value(reply.Append)
	for _, v := range []abi.Value{record, longer(t, record)} {
		if got, err := abi.ReadFetchReply(v); err != nil || !reflect.DeepEqual(got, reply) {
			t.Errorf("got %+v, %v, want %+v", got, err, reply)
		}
	}
}

// The record of a request comes from an untrusted guest.
func FuzzFetch(f *testing.F) {
	f.Add([]byte(value((&abi.Fetch{URL: "https://op.example/", Headers: pairs("a", "b")}).Append)))
	f.Add([]byte{0x96, 0xa0, 0xa0, 0xc0, 0xc0, 0xc2, 0xff})
	f.Fuzz(func(t *testing.T, record []byte) {
		q, err := abi.ReadFetch(record)
		if err != nil {
			return
		}
		q.Headers.Each(func(_, _ []byte) bool { return true })
		if q.MaxReply < 0 {
			t.Errorf("%+v", q)
		}
	})
}
