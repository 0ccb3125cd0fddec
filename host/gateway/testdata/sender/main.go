// Command sender is a plugin that dispatches what it is told to, and notes what became
// of it.
package main

import (
	"errors"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("sender", "1.0.0")
	p.Want(abi.GrantMail)
	p.Outcomes(note)
	f := p.Family("/s", nil)
	f.POST("/s/send/:key", send)
	f.POST("/s/refuse/:key", refuse)
	f.GET("/s/send/:key", send)
	f.GET("/s/note/:key", show)
	f.GET("/s/packed", packed)
	guest.Serve(p)
}

func main() {}

func mail(r *guest.Request) *abi.Dispatch {
	return &abi.Dispatch{Key: r.Param("key"), Via: abi.GrantMail, To: "ann@example.com", Text: "Hello"}
}

func send(w *guest.Response, r *guest.Request) error {
	err := r.Dispatch(mail(r))
	for _, known := range []error{abi.ErrDenied, abi.ErrLimited, abi.ErrReadOnly} {
		if errors.Is(err, known) {
			return guest.Errorf(409, "undelivered", "%v", known)
		}
	}
	return err
}

// refuse dispatches, and then thinks better of it.
func refuse(w *guest.Response, r *guest.Request) error {
	if err := r.Dispatch(mail(r)); err != nil {
		return err
	}
	return guest.Errorf(409, "refused", "no")
}

func show(w *guest.Response, r *guest.Request) error {
	value, found, err := r.KV().Get([]byte("note/" + r.Param("key")))
	if err != nil {
		return err
	}
	if !found {
		return guest.Errorf(404, "unknown", "nothing was told")
	}
	w.Bytes("text/plain", value)
	return nil
}

// packed answers with bytes, or with a value, that it says to have compressed.
func packed(w *guest.Response, r *guest.Request) error {
	w.Header("Content-Encoding", "gzip")
	if r.Query("value") != "" {
		w.Value().Text("plain")
		return nil
	}
	w.Bytes("text/plain", []byte("as if compressed"))
	return nil
}

// note notes an outcome. The key says what else happens.
func note(r *guest.Request, o *abi.Outcome) error {
	said := "sent"
	if !o.Sent {
		said = o.Reason
	}
	if err := r.KV().Put([]byte("note/"+o.Key), []byte(said)); err != nil {
		return err
	}
	switch {
	case strings.HasPrefix(o.Key, "wrong"):
		return errors.New("it is wrong")
	case strings.HasPrefix(o.Key, "trap"):
		panic("it traps")
	case strings.HasPrefix(o.Key, "more"):
		return r.Dispatch(&abi.Dispatch{Key: "another", Via: abi.GrantMail, To: o.To, Text: "Again"})
	}
	return nil
}
