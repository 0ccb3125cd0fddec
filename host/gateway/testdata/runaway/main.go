// Command runaway is a plugin that does not come to an end.
package main

import (
	"time"
	"unsafe"

	pdk "github.com/extism/go-pdk"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("runaway", "1.0.0")
	p.Need(abi.GrantPasswords)
	r := p.Family("/r", nil)
	r.Code(abi.HostTimeout, "too_slow")
	r.GET("/r/ok", ok)
	r.GET("/r/kept", kept)

	r.GET("/r/sleep", sleep)
	r.GET("/r/short", sleep, guest.Deadline(50*time.Millisecond))
	r.GET("/r/nap/:ms", nap)
	r.POST("/r/write", write)
	r.GET("/r/poll", poll)
	r.GET("/r/fetch", fetch)
	r.GET("/r/hash", hash)
	r.GET("/r/read", read)

	r.GET("/r/loop", loop)
	r.GET("/r/recurse", func(*guest.Response, *guest.Request) error { recurse(1); return nil })
	r.GET("/r/grow", grow)
	guest.Serve(p)
}

func main() {}

func ok(w *guest.Response, _ *guest.Request) error {
	w.Value().Text("ok")
	return nil
}

var key = []byte("key")

func kept(w *guest.Response, r *guest.Request) error {
	_, found, err := r.KV().Get(key)
	w.Value().Bool(found)
	return err
}

func sleep(*guest.Response, *guest.Request) error {
	time.Sleep(time.Hour)
	return nil
}

func nap(w *guest.Response, r *guest.Request) error {
	d, err := time.ParseDuration(r.Param("ms") + "ms")
	time.Sleep(d)
	w.Value().Text("slept")
	return err
}

func write(w *guest.Response, r *guest.Request) error {
	if err := r.KV().Put(key, nil); err != nil {
		return err
	}
	return sleep(w, r)
}

//go:wasmimport wasi_snapshot_preview1 poll_oneoff
func pollOneoff(in, out unsafe.Pointer, n int32, count unsafe.Pointer) int32

// poll waits for an hour, or for input, whichever is first: there is none, and
// it is told so at once.
func poll(w *guest.Response, _ *guest.Request) error {
	type subscription struct{ user, tag, id, timeout, accuracy, flags uint64 } // tag 0 is a clock, 1 a file to read, 0 its id
	in := [2]subscription{{timeout: uint64(time.Hour)}, {tag: 1}}
	var out [2][32]byte
	var n uint32
	errno := pollOneoff(unsafe.Pointer(&in), unsafe.Pointer(&out), 2, unsafe.Pointer(&n))
	w.Value().Int(int64(errno))
	return nil
}

func fetch(w *guest.Response, r *guest.Request) error {
	res := pdk.NewHTTPRequest(pdk.MethodGet, r.Query("url")).Send()
	w.Value().Int(int64(res.Status()))
	return nil
}

// hash makes hashes until it is told that there will be none.
func hash(_ *guest.Response, r *guest.Request) error {
	for {
		if _, err := r.HashPassword("secret"); err != nil {
			return err
		}
	}
}

func read(_ *guest.Response, r *guest.Request) error {
	for {
		if _, _, err := r.KV().Get(key); err != nil {
			return err
		}
	}
}

func loop(*guest.Response, *guest.Request) error {
	for {
	}
}

//go:noinline
func recurse(n int) int { return recurse(n+1) + n }

var kilos [][]byte

func grow(*guest.Response, *guest.Request) error {
	for {
		kilos = append(kilos, make([]byte, 1<<10))
	}
}
