// Command notes is a plugin of the family /1.0 that lets in whoever proves
// themselves in any way: the least that posts are.
package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("notes", "1.0.0")
	f := p.Family("/1.0", nil)
	signed := guest.Auth("token", "signature", "session")
	for _, pattern := range []string{"/1.0/notes", "/1.0/notes/create"} {
		f.POST(pattern, create, signed, guest.Form)
	}
	f.GET("/1.0/notes/:id", show)
	for _, pattern := range []string{"/1.0/notes/:id", "/1.0/notes/:id/update"} {
		method := map[bool]string{true: "PUT", false: "POST"}[pattern == "/1.0/notes/:id"]
		f.Handle(method, pattern, update, signed, guest.Form)
	}
	f.DELETE("/1.0/notes/:id", remove, signed)
	f.POST("/1.0/notes/:id/delete", remove, signed, guest.Form)
	guest.Serve(p)
}

func main() {}

func key(id string) []byte { return []byte("n/" + id) }

// owner is whose a note is: an account's, or an application's that signs.
func owner(c *abi.Caller) string {
	if c.Account != "" {
		return "account " + c.Account
	}
	return "application " + c.App
}

func create(w *guest.Response, r *guest.Request) error {
	text, _ := r.Value("description")
	if text == "" {
		return guest.Errorf(400, "missing_parameter", "description is missing.")
	}
	w.Status(201)
	w.Header("Location", "/1.0/notes/"+r.ID())
	return put(w, r, r.ID(), text)
}

func put(w *guest.Response, r *guest.Request, id, text string) error {
	var record abi.Writer
	record.FixedArray(2)
	record.Text(owner(r.Caller()))
	record.Text(text)
	show := w.Value()
	show.Map()
	for _, field := range [][2]string{{"id", id}, {"description", text}, {"owner", owner(r.Caller())}, {"proof", r.Caller().Proof}, {"scheme", r.Caller().Scheme}} {
		show.Key(field[0])
		show.Text(field[1])
	}
	show.End()
	return r.KV().Put(key(id), record.Value())
}

func find(r *guest.Request) (by, text string, err error) {
	record, found, err := r.KV().Get(key(r.Param("id")))
	if err == nil && !found {
		err = guest.Errorf(404, "not_found", "There is no note with this id.")
	}
	if err != nil {
		return "", "", err
	}
	fields := abi.Value(record).Read()
	fields.Array()
	return fields.Text(), fields.Text(), nil
}

func show(w *guest.Response, r *guest.Request) error {
	_, text, err := find(r)
	if err == nil {
		w.Value().Text(text)
	}
	return err
}

// own fails for a note that is not the caller's.
func own(r *guest.Request) error {
	by, _, err := find(r)
	if err == nil && by != owner(r.Caller()) {
		err = guest.Errorf(403, "not_yours", "The note is somebody else's.")
	}
	return err
}

func update(w *guest.Response, r *guest.Request) error {
	if err := own(r); err != nil {
		return err
	}
	text, _ := r.Value("description")
	return put(w, r, r.Param("id"), text)
}

func remove(w *guest.Response, r *guest.Request) error {
	if err := own(r); err != nil {
		return err
	}
	w.Status(204)
	return r.KV().Delete(key(r.Param("id")))
}
