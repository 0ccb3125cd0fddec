package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// documentation is where the calls are described.
const documentation = "/1.0/documentation"

// maxForm bounds the forms without a file, in bytes: all parameters of a call at
// their longest, escaped, and those of a signature.
const maxForm = 128 << 10

// problem is the form of a refusal.
func problem(w *abi.Writer) {
	w.Map()
	w.Key("error")
	w.Map()
	for _, name := range []string{"status", "code", "message", "detail"} {
		w.Key(name)
		w.Text("$" + name)
	}
	w.Key("documentation")
	w.Text(documentation)
	w.EndAll()
}

// A resource is a kind of thing that is listed, shown, created, updated and
// deleted: posts, comments.
type resource struct {
	name string // in URLs

	list, show, create, update, remove guest.Handler

	creates []guest.RouteOption // of create
	writes  []guest.RouteOption // of update and remove
}

// route adds all spellings of the calls. Reading wants a format, and writing takes
// none: for either mistake there is a route that says so.
func (s resource) route(f *guest.Family) {
	all := "/1.0/" + s.name
	one := all + "/:id"
	for _, ext := range formatNames {
		f.GET(all+"."+ext, s.list, guest.ETag)
		f.GET(all+"/index."+ext, s.list, guest.ETag)
		f.GET(one+"/show."+ext, s.show, guest.ETag)
		f.POST(all+"."+ext, refuseFormat, guest.ReadOnly)
	}
	f.GET(one, s.show, guest.ETag) // the format is a part of the id
	for _, pattern := range []string{all, all + "/index", one + "/:call"} {
		f.GET(pattern, refuseName)
	}

	f.POST(all, s.create, s.creates...)
	f.POST(all+"/create", s.create, s.creates...)
	f.PUT(one, s.update, s.writes...)
	f.POST(one+"/update", s.update, s.writes...)
	f.DELETE(one, s.remove, s.writes...)
	f.POST(one+"/delete", s.remove, s.writes...)
	f.POST(one, refuseFormat, guest.ReadOnly)
	f.POST(one+"/:call", refuseFormat, guest.ReadOnly)
}

// errMissing says that there is nothing under a path.
var errMissing = guest.Errorf(404, "not_found", "There is nothing here; "+documentation+" tells what there is.")

// refuseName answers a GET of a path that nothing is found under: of calls without
// a format, or with one that is not known.
func refuseName(w *guest.Response, r *guest.Request) error {
	path := strings.Split(strings.TrimPrefix(r.Path(), "/1.0/"), "/")
	call, _, err := splitFormat(path[len(path)-1])
	name, _, _ := strings.Cut(path[0], ".")
	if name != "posts" && name != "comments" || len(path) > 2 && call != "show" || err == nil {
		return errMissing
	}
	return err
}

// refuseFormat answers a POST of a path that nobody writes to: because of a format
// behind it, or because the call is another one.
func refuseFormat(w *guest.Response, r *guest.Request) error {
	path := r.Path()
	if _, _, err := splitFormat(path[strings.LastIndexByte(path, '/')+1:]); err == nil {
		return errFormatTaken
	}
	return guest.Errorf(404, "not_found",
		"No call is made by POST to %q. What there is: POST …/create, …/ID/update and …/ID/delete; see %s.", path, documentation)
}

// namedNumber returns the number of the post or comment that a call without a
// format is about.
func namedNumber(r *guest.Request) (uint32, error) {
	id := r.Param("id")
	n, ok := number(id)
	if ok {
		return n, nil
	}
	if _, _, err := splitFormat(id); err == nil {
		return 0, errFormatTaken
	}
	return 0, errNotFound
}

// shownNumber returns the number and the format of the post or comment that is to
// be shown: they stand in "10.rss", or in "10" and "show.rss".
func shownNumber(r *guest.Request) (uint32, format, error) {
	id := r.Param("id")
	path := r.Path()
	last := path[strings.LastIndexByte(path, '/')+1:]
	rest, f, err := splitFormat(last)
	if err != nil {
		return 0, 0, err
	}
	if last == id {
		id = rest
	}
	n, ok := number(id)
	if !ok {
		return 0, 0, errNotFound
	}
	return n, f, nil
}

// errNotFound says that there is no post or comment of this number, or that it is
// hidden.
var errNotFound = guest.Errorf(404, "not_found", "There is none with this id: it never was, is deleted, or is hidden.")

var errFormatTaken = guest.Errorf(400, "format_not_taken",
	"A call that writes takes no format: leave out what stands behind the dot. See "+documentation+".")
