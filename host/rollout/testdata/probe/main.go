// Command probe is a plugin that tells which version of a deployment answers: by the
// setting "mark", and by what it was built of. Other settings have it go wrong.
package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const build = "one"

func init() {
	p := guest.New("probe", build)
	p.Authenticate(func(_ *guest.Request, c abi.Credential) (abi.Caller, error) {
		return abi.Caller{Account: c.Value, Proof: "token"}, nil
	}, abi.CredentialSource{Kind: "token", Header: "Authorization", Scheme: "Bearer"})
	f := p.Family("/p", nil)
	f.GET("/p/mark", mark, guest.Auth("token"), guest.Optional)
	f.POST("/p/count", count)
	f.GET("/p/setting/:name", func(w *guest.Response, r *guest.Request) error {
		w.Value().Text(r.Config(r.Param("name"), "none"))
		return nil
	})
	f.GET("/p/says/:name", func(w *guest.Response, r *guest.Request) error {
		r.Logf(abi.LogError, "the setting is %s.", r.Config(r.Param("name"), ""))
		println("it is", r.Config(r.Param("name"), ""))
		return nil
	})
	f.GET("/p/panics/:name", func(w *guest.Response, r *guest.Request) error {
		panic("it is " + r.Config(r.Param("name"), ""))
	})
	guest.Serve(p)
}

func main() {}

// mark answers with the mark in a header, and first and last in the body.
func mark(w *guest.Response, r *guest.Request) error {
	m := r.Config("mark", "none")
	switch how := r.Config("fault", ""); how {
	case "":
	case "error":
		return guest.Errorf(503, "broken", "This version is broken.")
	case "trap":
		panic("as the manifest asks")
	case "slow":
		time.Sleep(80 * time.Millisecond)
	}
	w.Header("X-Mark", m)
	v := w.Value()
	v.Map()
	for _, f := range [][2]string{{"first", m}, {"build", build}, {"account", r.Caller().Account}, {"filler", strings.Repeat("x", 2000)}, {"last", r.Config("mark", "none")}} {
		v.Key(f[0])
		v.Text(f[1])
	}
	v.End()
	return nil
}

func count(w *guest.Response, r *guest.Request) error {
	value, _, err := r.KV().Get([]byte("count"))
	if err != nil {
		return err
	}
	n, _ := strconv.Atoi(string(value))
	w.Value().Int(int64(n + 1))
	return r.KV().Put([]byte("count"), []byte(strconv.Itoa(n+1)))
}
