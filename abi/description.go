package abi

import (
	"fmt"
	"strings"
	"time"
)

// A Description is what a plugin says of itself when it is loaded. The host
// builds its route table from it, and refuses a plugin that asks for what the
// operator did not grant.
type Description struct {
	ABI         int    // Version
	Name        string // of the plugin: a-z, 0-9, '-'
	Version     string // of the plugin, for people
	Families    []Family
	Routes      []Route
	Sockets     []Socket
	Credentials []CredentialSource // not empty: the plugin answers CallAuthenticate
	Grants      []string           // what it needs: the Grant… constants
	Wants       []string           // what it makes use of where it is granted, and can do without
	Schema      Schema             // the format of its data
	Outcomes    bool               // it answers CallOutcome
}

// A Family is a part of the URL space with one form of errors. The host answers
// in it for paths under the prefix that no route matches, for requests that
// never reach the plugin, and for errors that the plugin returns.
type Family struct {
	Prefix string // "/v2"
	// Errors is the form: a value in which the strings "$status", "$code",
	// "$message", "$detail", "$time" (milliseconds) and "$request" (the
	// request's id) are replaced. A map entry whose value is "$detail" is left
	// out if there is none.
	Errors Value
	// Codes are the family's own words for errors that the host finds: pairs
	// of one of the Host… codes and the code to send instead.
	Codes [][2]string
	// Docs is where the family is documented, a path or a URL. Where it is set,
	// a browser that is refused is shown a page that says why and leads there.
	Docs string
}

// DefaultErrors is the form of errors of who says nothing else:
// {"error": {"code", "message", "detail"}}.
func DefaultErrors() Value {
	var w Writer
	w.Map()
	w.Key("error")
	w.Map()
	for _, field := range []string{"code", "message", "detail"} {
		w.Key(field)
		w.Text("$" + field)
	}
	w.EndAll()
	return w.Value()
}

// Codes of the errors that the host itself answers with.
const (
	HostNotFound        = "not_found"          // 404: no route has this path
	HostMethod          = "method_not_allowed" // 405
	HostUnauthenticated = "unauthenticated"    // 401: the route wants a credential and there is none
	HostCrossOrigin     = "cross_origin"       // 403: a page of another origin has a browser write with its cookie
	HostLimited         = "rate_limited"       // 429: the application has made all the requests it may for now
	HostBadRequest      = "bad_request"        // 400: query, form or JSON cannot be read
	HostTooLarge        = "too_large"          // 413: the body
	HostBusy            = "busy"               // 503: all instances busy, conflict after conflict, or the deployment's fuel used up
	HostTimeout         = "timeout"            // 504: the request's deadline has passed
	HostInternal        = "internal"           // 500: the plugin trapped, or the host failed
)

// Code returns the family's word for a code of the host.
func (f *Family) Code(code string) string {
	for _, c := range f.Codes {
		if c[0] == code {
			return c[1]
		}
	}
	return code
}

// A Route is a method and a pattern that the plugin serves.
type Route struct {
	Method string
	// Pattern is a path whose segments are literal or ":name", which matches
	// one segment, or, at the end, "*name", which matches all that is left, of
	// at least one byte. A literal wins over a name, and that over a rest.
	Pattern string
	Family  int      // index
	Write   bool     // the call may write; a route that only reads never conflicts
	Auth    []string // kinds of credentials that are taken; empty: anybody may call
	// Optional: a request without any credential is let in as nobody. A
	// credential that is there and wrong is refused all the same.
	Optional bool
	Body     BodyMode
	MaxBody  int // bytes; 0: the host's limit
	// Deadline bounds the whole of a request, as the client sees it, in whole
	// milliseconds, rounded up; 0: the host's limit, which holds if it is
	// smaller, too.
	Deadline time.Duration
	// ETag: the host makes an entity tag of what a GET answers, so that who has it
	// already need not be sent it again.
	ETag bool
	// Stream: the connection stays open behind the answer, which is BodyEvents,
	// and gets more events, if the call has subscribed it. A stream writes.
	Stream bool
}

// A Socket is an endpoint for clients of socket.io.
type Socket struct {
	Path   string        // "/chat/"
	Family int           // index: in whose form a client is told what is wrong with an event
	Events []SocketEvent // that clients may send
}

// A SocketEvent is an event that the plugin takes from clients: by CallEvent, whose
// route is the event's number, counted through all sockets. The call may write.
type SocketEvent struct {
	Name string
	Auth []string // kinds of credentials that are taken; empty: anybody may send it
	// Field of the first argument, an object, in which the credential stands.
	Field string
}

// A BodyMode says what a route takes as body.
type BodyMode string

const (
	NoBody   BodyMode = ""     // ignored
	JSONBody BodyMode = "json" // parsed whatever the Content-Type says; empty is no value
	FormBody BodyMode = "form" // urlencoded or multipart fields
	RawBody  BodyMode = "raw"  // bytes as they are
	AnyBody  BodyMode = "any"  // what the Content-Type says: fields (without files), JSON, or else bytes
	// UploadBody is FormBody with files, which the host keeps aside. The body is read
	// as it comes, and may be as large as the host takes uploads.
	UploadBody BodyMode = "upload"
)

// A CredentialSource tells the host where a kind of credential stands in a
// request. The first source that yields one is used.
type CredentialSource struct {
	Kind   string // "token", "session": what routes name in Auth
	Header string // this header …
	Scheme string // … whose value begins with this word, in any case
	Query  string // or this query parameter
	Cookie string // or this cookie
	Param  string // or this parameter, of the query or of a form body

	// Request: what stands there marks a request that is its own credential,
	// such as one that is signed. The plugin is shown all of it, within the
	// request's own transaction, where it may write; what it writes is kept
	// also if the request is then refused. Its answer holds for this request
	// and is not kept.
	Request bool
}

// Append writes the description as a map, so that fields can be added.
func (d *Description) Append(w *Writer) {
	w.Map()
	w.Key("abi")
	w.Int(int64(d.ABI))
	w.Key("name")
	w.Text(d.Name)
	w.Key("version")
	w.Text(d.Version)
	w.Key("families")
	w.Array()
	for _, f := range d.Families {
		w.Map()
		w.Key("prefix")
		w.Text(f.Prefix)
		w.Key("errors")
		w.Raw(f.Errors)
		w.Key("codes")
		w.Map()
		for _, c := range f.Codes {
			w.Key(c[0])
			w.Text(c[1])
		}
		w.End()
		w.Key("docs")
		w.Text(f.Docs)
		w.End()
	}
	w.End()
	w.Key("routes")
	w.Array()
	for _, r := range d.Routes {
		w.Map()
		w.Key("method")
		w.Text(r.Method)
		w.Key("pattern")
		w.Text(r.Pattern)
		w.Key("family")
		w.Int(int64(r.Family))
		w.Key("write")
		w.Bool(r.Write)
		w.Key("auth")
		appendTexts(w, r.Auth)
		w.Key("optional")
		w.Bool(r.Optional)
		w.Key("body")
		w.Text(string(r.Body))
		w.Key("max_body")
		w.Int(int64(r.MaxBody))
		w.Key("deadline")
		w.Int(int64((r.Deadline + time.Millisecond - 1) / time.Millisecond))
		w.Key("etag")
		w.Bool(r.ETag)
		w.Key("stream")
		w.Bool(r.Stream)
		w.End()
	}
	w.End()
	w.Key("sockets")
	w.Array()
	for _, s := range d.Sockets {
		w.Map()
		w.Key("path")
		w.Text(s.Path)
		w.Key("family")
		w.Int(int64(s.Family))
		w.Key("events")
		w.Array()
		for _, e := range s.Events {
			w.Map()
			w.Key("name")
			w.Text(e.Name)
			w.Key("auth")
			appendTexts(w, e.Auth)
			w.Key("field")
			w.Text(e.Field)
			w.End()
		}
		w.End()
		w.End()
	}
	w.End()
	w.Key("credentials")
	w.Array()
	for _, c := range d.Credentials {
		w.Map()
		w.Key("kind")
		w.Text(c.Kind)
		w.Key("header")
		w.Text(c.Header)
		w.Key("scheme")
		w.Text(c.Scheme)
		w.Key("query")
		w.Text(c.Query)
		w.Key("cookie")
		w.Text(c.Cookie)
		w.Key("param")
		w.Text(c.Param)
		w.Key("request")
		w.Bool(c.Request)
		w.End()
	}
	w.End()
	w.Key("grants")
	appendTexts(w, d.Grants)
	w.Key("wants")
	appendTexts(w, d.Wants)
	w.Key("schema")
	d.Schema.Append(w)
	w.Key("outcomes")
	w.Bool(d.Outcomes)
	w.End()
}

func appendTexts(w *Writer, texts []string) {
	w.Array()
	for _, t := range texts {
		w.Text(t)
	}
	w.End()
}

// ReadDescription reads what a guest says of itself and checks that it makes
// sense. A field that is absent or null has its zero value; one of the wrong
// type is refused, lest a route with "auth": "token" be open to anybody. The
// result shares nothing with v.
func ReadDescription(v Value) (*Description, error) {
	if !v.Valid() {
		return nil, fmt.Errorf("description: %w", ErrFrame)
	}
	if v.Kind() != Map {
		return nil, fmt.Errorf("description: want an object, got %s", v.Kind())
	}
	f := fields{of: v, where: "description"}
	d := &Description{
		ABI:     f.int("abi"),
		Name:    f.text("name"),
		Version: f.text("version"),
		Grants:  f.texts("grants"),
		Wants:   f.texts("wants"),

		Outcomes: f.bool("outcomes"),
	}
	families, credentials := f.get("families", Array), f.get("credentials", Array)
	routes, sockets := f.get("routes", Array), f.get("sockets", Array)
	schema := f.get("schema", Map)
	switch {
	case f.err != nil:
		return nil, f.err
	case d.ABI != Version:
		return nil, fmt.Errorf("description: plugin was built for ABI version %d, this host has version %d", d.ABI, Version)
	case !validName(d.Name):
		return nil, fmt.Errorf("description: name %q: want 1 to 23 of a-z, 0-9 and '-', a letter first", d.Name)
	}
	if err := d.checkGrants(); err != nil {
		return nil, err
	}
	var err error
	if d.Schema, err = readSchema(schema); err != nil {
		return nil, err
	}
	for it := families.Items(); it.Next(); {
		f := fields{of: it.Value(), where: fmt.Sprintf("description: family %d", len(d.Families))}
		family := Family{Prefix: f.text("prefix"), Docs: f.text("docs"), Errors: append(Value(nil), f.of.Get("errors")...)}
		for codes := f.get("codes", Map).Entries(); codes.Next(); {
			own, ok := codes.Value().Text()
			if !ok {
				return nil, fmt.Errorf("%s: codes: %s: want a string, got %s", f.where, codes.Key(), codes.Value().Kind())
			}
			family.Codes = append(family.Codes, [2]string{string(codes.Key()), own})
		}
		if f.err != nil {
			return nil, f.err
		}
		if family.Docs != "" && !strings.HasPrefix(family.Docs, "/") && !strings.HasPrefix(family.Docs, "https://") {
			return nil, fmt.Errorf("%s: docs %q: want a path or an https URL", f.where, family.Docs)
		}
		if len(family.Prefix) == 0 || family.Prefix[0] != '/' {
			return nil, fmt.Errorf("%s: prefix %q: want it to begin with '/'", f.where, family.Prefix)
		}
		d.Families = append(d.Families, family)
	}
	for it := credentials.Items(); it.Next(); {
		f := fields{of: it.Value(), where: fmt.Sprintf("description: credential %d", len(d.Credentials))}
		source := CredentialSource{
			Kind: f.text("kind"), Header: f.text("header"), Scheme: f.text("scheme"),
			Query: f.text("query"), Cookie: f.text("cookie"), Param: f.text("param"), Request: f.bool("request"),
		}
		if f.err != nil {
			return nil, f.err
		}
		if source.Kind == "" {
			return nil, fmt.Errorf("%s: want a kind", f.where)
		}
		d.Credentials = append(d.Credentials, source)
	}
	for it := routes.Items(); it.Next(); {
		r, err := readRoute(it.Value(), len(d.Families))
		if err != nil {
			return nil, err
		}
		d.Routes = append(d.Routes, r)
	}
	for it := sockets.Items(); it.Next(); {
		s, err := readSocket(it.Value(), len(d.Families))
		if err != nil {
			return nil, err
		}
		d.Sockets = append(d.Sockets, s)
	}
	return d, nil
}

func readSocket(v Value, families int) (Socket, error) {
	f := fields{of: v, where: "description: socket"}
	s := Socket{Path: f.text("path"), Family: f.int("family")}
	f.where += " " + s.Path
	events := f.get("events", Array)
	switch {
	case f.err != nil:
		return s, f.err
	case len(s.Path) < 2 || s.Path[0] != '/' || s.Path[len(s.Path)-1] != '/':
		return s, fmt.Errorf("%s: want the path to begin and to end with '/'", f.where)
	case s.Family < 0 || s.Family >= families:
		return s, fmt.Errorf("%s: family %d is not one of the %d described", f.where, s.Family, families)
	}
	for it := events.Items(); it.Next(); {
		f := fields{of: it.Value(), where: f.where + ": event"}
		e := SocketEvent{Name: f.text("name"), Auth: f.texts("auth"), Field: f.text("field")}
		f.where += " " + e.Name
		switch {
		case f.err != nil:
			return s, f.err
		case !ValidEventName(e.Name):
			return s, fmt.Errorf("%s: want a name of 1 to %d bytes that socket.io has not reserved", f.where, MaxEventName)
		case len(e.Auth) > 0 && e.Field == "":
			return s, fmt.Errorf("%s: auth %q: want the field with the credential", f.where, e.Auth)
		}
		s.Events = append(s.Events, e)
	}
	return s, nil
}

// maxDeadline is the longest that a route can ask for.
const maxDeadline = 24 * time.Hour

func readRoute(v Value, families int) (Route, error) {
	f := fields{of: v, where: "description: route"}
	r := Route{Method: f.text("method"), Pattern: f.text("pattern")}
	f.where += " " + r.Method + " " + r.Pattern
	r.Family, r.MaxBody = f.int("family"), f.int("max_body")
	r.Write, r.Optional, r.Stream, r.ETag = f.bool("write"), f.bool("optional"), f.bool("stream"), f.bool("etag")
	r.Auth, r.Body = f.texts("auth"), BodyMode(f.text("body"))
	deadline := f.int("deadline")
	r.Deadline = time.Duration(deadline) * time.Millisecond
	if f.err != nil {
		return r, f.err
	}
	switch r.Method {
	case "GET", "POST", "PUT", "PATCH", "DELETE":
	default:
		return r, fmt.Errorf("%s: method: want GET, POST, PUT, PATCH or DELETE", f.where)
	}
	switch r.Body {
	case NoBody, JSONBody, FormBody, RawBody, AnyBody, UploadBody:
	default:
		return r, fmt.Errorf("%s: body %q: want json, form, upload, raw, any or nothing", f.where, r.Body)
	}
	if len(r.Pattern) == 0 || r.Pattern[0] != '/' {
		return r, fmt.Errorf("%s: want the pattern to begin with '/'", f.where)
	}
	if r.Family < 0 || r.Family >= families {
		return r, fmt.Errorf("%s: family %d is not one of the %d described", f.where, r.Family, families)
	}
	if r.Stream && (r.Method != "GET" || !r.Write) {
		return r, fmt.Errorf("%s: stream: want a GET that writes", f.where)
	}
	if r.ETag && r.Method != "GET" {
		return r, fmt.Errorf("%s: etag: want a GET", f.where)
	}
	if r.MaxBody < 0 {
		return r, fmt.Errorf("%s: max_body %d is negative", f.where, r.MaxBody)
	}
	if deadline < 0 || int64(deadline) > maxDeadline.Milliseconds() {
		return r, fmt.Errorf("%s: deadline of %d ms: want 0 to %d", f.where, deadline, maxDeadline.Milliseconds())
	}
	return r, nil
}
