// Command bully is a plugin that takes all it can get.
package main

import "github.com/edgeset/edgeset/abi/guest"

func init() {
	p := guest.New("bully", "1.0.0")
	b := p.Family("/b", nil)
	b.GET("/b/ok", func(w *guest.Response, _ *guest.Request) error {
		w.Value().Text("ok")
		return nil
	})
	b.GET("/b/loop", loop)
	b.GET("/b/work", work)
	b.GET("/b/eat", eat)
	b.GET("/b/trap", func(*guest.Response, *guest.Request) error { panic("as asked") })
	guest.Serve(p)
}

func main() {}

func loop(*guest.Response, *guest.Request) error {
	for {
	}
}

// work computes for some tens of milliseconds, and comes to its end.
func work(w *guest.Response, _ *guest.Request) error {
	n := uint32(2166136261)
	for i := range uint32(20_000_000) {
		n = (n ^ i) * 16777619
	}
	w.Value().Int(int64(n))
	return nil
}

// eat takes memory, and writes to all of it, until there is no more and it dies.
func eat(*guest.Response, *guest.Request) error {
	var eaten [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		eaten = append(eaten, b)
	}
}
