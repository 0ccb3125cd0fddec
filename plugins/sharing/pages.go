package main

import (
	"embed"
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// The pages for people: what opens behind an invite's link, and one to share from.
// They are built from pages/ into files whose names change with what is in them, and
// use the same API as any other client: a page tells nothing of a ticket by itself.
//
//go:embed all:pages/dist
var built embed.FS

const pageDir = "pages/dist/"

// A site serves the pages out of what was built.
type site struct{ files fs.FS }

// servePages declares the routes of the pages. They stand beside each other, so that
// what they refer to is relative, and right wherever the plugin is mounted.
func servePages(p *guest.Plugin, files fs.FS) {
	s := site{files}
	f := p.Family("/pages", nil).Docs("/share")
	f.GET("/:code", s.view, guest.ETag)
	f.GET("/share", s.share, guest.ETag)
	f.GET("/pages/:name", s.file)
}

// view: GET /:code
//
// Who has mistyped a code, or comes too late, gets the same page, which says so.
func (s site) view(w *guest.Response, r *guest.Request) error {
	typed := r.Param("code")
	if !codeLike(typed) {
		return noPage(w, "There is nothing here.")
	}
	set := pageSettingsOf(r)
	set.code = strings.ToUpper(typed)
	if c, ok := parseCode(typed); ok {
		set.code = c.String()
	}
	open, err := opens(r)
	if err != nil {
		return err
	}
	if !open {
		w.Status(404)
	}
	return s.page(w, "view.html", set, "geolocation=()")
}

// share: GET /share
func (s site) share(w *guest.Response, r *guest.Request) error {
	set := pageSettingsOf(r)
	set.apiKey = clipBytes(r.Config("api_key", ""), maxAPIKey)
	return s.page(w, "share.html", set, "geolocation=(self)")
}

// codeLike tells whether somebody may have meant a code: by a path that is none,
// because a character is wrong, missing or too many, but not by /favicon.ico.
func codeLike(s string) bool {
	n := 0
	for _, c := range []byte(s) {
		switch {
		case '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z':
			n++
		case c != '-':
			return false
		}
	}
	return 6 <= n && n <= 10
}

// opens tells whether the code in the path opens a ticket.
func opens(r *guest.Request) (bool, error) {
	inv, err := loadInvite(r)
	var refusal *guest.Error
	switch {
	case errors.As(err, &refusal):
		return false, nil
	case err != nil:
		return false, err
	}
	_, found, err := r.KV().Get(ticketKey(nil, keyTicket, inv.ticket))
	return found, err
}

// page answers with a page that has its settings written into it.
func (s site) page(w *guest.Response, name string, set pageSettings, permissions string) error {
	text, err := fs.ReadFile(s.files, pageDir+name)
	if errors.Is(err, fs.ErrNotExist) {
		return noPage(w, "This server was built without its pages: its operator has to build the plugin with them.")
	}
	if err != nil {
		return err
	}
	images := "'self' data: https:"
	if set.tiles != nil {
		images += " " + set.tiles.origin
	}
	w.Header("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src "+images+
		"; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header("Permissions-Policy", permissions)
	// The address of a page is the key to somebody's location.
	w.Header("Referrer-Policy", "no-referrer")
	w.Header("X-Robots-Tag", "noindex")
	w.Header("X-Content-Type-Options", "nosniff")
	w.Header("Cache-Control", "no-cache")
	config := escapeHTML(string(set.appendJSON(nil)))
	w.Bytes("text/html; charset=utf-8", []byte(strings.Replace(string(text), "{{config}}", config, 1)))
	return nil
}

// noPage answers people, and browsers that look for icons, in plain words.
func noPage(w *guest.Response, why string) error {
	w.Status(404)
	w.Header("X-Content-Type-Options", "nosniff")
	w.Bytes("text/plain; charset=utf-8", []byte(why+"\n"))
	return nil
}

// file: GET /pages/:name
func (s site) file(w *guest.Response, r *guest.Request) error {
	name := r.Param("name")
	kind := contentType(name)
	if kind == "" {
		return noPage(w, "There is no such file.")
	}
	keep := "public, max-age=31536000, immutable"
	if _, err := fs.Stat(s.files, pageDir+name); err != nil {
		name, keep = s.successor(name), "no-store"
	}
	file := pageDir + name
	_, err := fs.Stat(s.files, file+".gz")
	packed := err == nil
	if packed {
		w.Header("Vary", "Accept-Encoding")
		if packed = acceptsGzip(r.Header("Accept-Encoding")); packed {
			file += ".gz"
		}
	}
	b, err := fs.ReadFile(s.files, file)
	if err != nil {
		return noPage(w, "There is no such file.")
	}
	if packed {
		w.Header("Content-Encoding", "gzip")
	}
	w.Header("Cache-Control", keep)
	w.Header("X-Content-Type-Options", "nosniff")
	w.Bytes(kind, b)
	return nil
}

// successor returns what a file of another build is called in this one, or "". A page
// that was loaded just before an update has parts that it asks for just after it, or much
// later, and those of today serve it better than none.
func (s site) successor(name string) string {
	stem, ok := stemOf(name)
	if !ok {
		return ""
	}
	list, err := fs.ReadDir(s.files, path.Clean(pageDir))
	if err != nil {
		return ""
	}
	for _, file := range list {
		today := file.Name()
		if other, ok := stemOf(today); ok && other == stem && path.Ext(today) == path.Ext(name) {
			return today
		}
	}
	return ""
}

// stemOf returns the name of a file without what changes with each build.
func stemOf(name string) (stem string, ok bool) {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return "", false
	}
	return name[:i], true
}

// contentType returns the type of a file of the pages, "" if it is none: pages
// themselves have settings to be written into them.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".webmanifest":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return ""
}

// acceptsGzip reads an Accept-Encoding.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		coding, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
			continue
		}
		q := strings.ReplaceAll(strings.ToLower(weight), " ", "")
		return q != "q=0" && strings.Trim(q, "0") != "q=0."
	}
	return false
}
