// Package guest is what the author of a plugin imports. A plugin is a main
// package whose init describes it and hands it over:
//
//	func init() {
//		p := guest.New("hello", "1.0.0")
//		api := p.Family("/hello", nil)
//		api.GET("/hello/:name", hello)
//		guest.Serve(p)
//	}
//
//	func main() {}
//
//	func hello(w *guest.Response, r *guest.Request) error {
//		v := w.Value()
//		v.Map()
//		v.Key("greeting")
//		v.Text("Hello, " + r.Param("name"))
//		v.End()
//		return nil
//	}
//
// It is built with GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared, and
// tested natively with package guesttest.
package guest

import (
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A Handler answers a request. What it returns as an error is rendered in the
// form of the route's family, and nothing it wrote to the store is kept: return
// an *Error to choose status and code; any other error is logged and answered
// with 500.
//
// A handler may run again, from the start, if its transaction met another one;
// it must not keep anything in package variables that a second run would see.
type Handler func(w *Response, r *Request) error

// An Authenticator finds out who presents a credential. It can read and not
// write. The answer may be kept by the host until Caller.Expires or until one of
// the keys that were read changes, whichever is first. The texts of the credential
// are valid until the check returns.
//
// A credential from a source that says Request is the request r itself, which
// has its method, target, query, headers, form and body digest, but no route. It
// is checked in the transaction of the request: the check may write, what it
// writes is kept also if the request is then refused, and its answer is not kept.
type Authenticator func(r *Request, c abi.Credential) (abi.Caller, error)

// A Plugin is a description and the handlers behind it.
type Plugin struct {
	desc     abi.Description
	handlers []Handler
	events   [][]Handler // by socket
	auth     Authenticator
	migrate  Migrator
	outcome  OutcomeHandler
}

// New begins a plugin. The name is its identity: the prefix of its key space,
// its label in logs and metrics.
func New(name, version string) *Plugin {
	return &Plugin{desc: abi.Description{
		ABI: abi.Version, Name: name, Version: version, Grants: []string{abi.GrantKV},
	}}
}

// Need asks for grants beyond the key space: the abi.Grant… constants, "read:" and the
// name of a plugin of the deployment whose key space it reads, "egress:" and a host
// that it calls.
func (p *Plugin) Need(grants ...string) { p.desc.Grants = append(p.desc.Grants, grants...) }

// Want asks for grants that the plugin makes use of where the manifest gives them, and
// can do without: what they allow fails with abi.ErrDenied then.
func (p *Plugin) Want(grants ...string) { p.desc.Wants = append(p.desc.Wants, grants...) }

// Description returns what the plugin says of itself.
func (p *Plugin) Description() *abi.Description { return &p.desc }

// Authenticate makes the plugin the one that checks credentials, which the host
// looks for in the given places.
func (p *Plugin) Authenticate(fn Authenticator, sources ...abi.CredentialSource) {
	p.auth, p.desc.Credentials = fn, sources
}

// A Family is a part of the URL space with one form of errors.
type Family struct {
	p     *Plugin
	index int
}

// Family declares a family. form writes the value that every error of it is
// rendered from, with "$status", "$code", "$message", "$detail", "$time" and
// "$request" in the places to fill; nil is
// {"error": {"code", "message", "detail"}}.
func (p *Plugin) Family(prefix string, form func(w *abi.Writer)) *Family {
	errors := abi.DefaultErrors()
	if form != nil {
		var w abi.Writer
		form(&w)
		errors = w.Value()
	}
	p.desc.Families = append(p.desc.Families, abi.Family{Prefix: prefix, Errors: errors})
	return &Family{p, len(p.desc.Families) - 1}
}

// Docs says where the family is documented, for people whose browser is refused:
// a path or a URL.
func (f *Family) Docs(place string) *Family {
	f.p.desc.Families[f.index].Docs = place
	return f
}

// Code gives an error that the host finds (one of the abi.Host… codes) the
// family's own code.
func (f *Family) Code(host, own string) *Family {
	d := &f.p.desc.Families[f.index]
	d.Codes = append(d.Codes, [2]string{host, own})
	return f
}

// A RouteOption changes a route from its default: open to anybody, no body,
// writing unless the method is GET.
type RouteOption func(*abi.Route)

// Auth lets in only callers who prove themselves by one of the kinds of
// credentials.
func Auth(kinds ...string) RouteOption { return func(r *abi.Route) { r.Auth = kinds } }

// Optional lets in requests that show no credential, too.
func Optional(r *abi.Route) { r.Optional = true }

// Writes lets a GET write.
func Writes(r *abi.Route) { r.Write = true }

// ReadOnly declares that a call with a writing method only reads.
func ReadOnly(r *abi.Route) { r.Write = false }

// JSON has the host parse the body as JSON.
func JSON(r *abi.Route) { r.Body = abi.JSONBody }

// Form has the host parse the body as urlencoded or multipart fields.
func Form(r *abi.Route) { r.Body = abi.FormBody }

// Raw passes the body on as it is.
func Raw(r *abi.Route) { r.Body = abi.RawBody }

// Any has the host parse the body as its Content-Type says: as form fields, less
// the files, as JSON, or not at all.
func Any(r *abi.Route) { r.Body = abi.AnyBody }

// MaxBody bounds the body, in bytes, below the host's own limit.
func MaxBody(n int) RouteOption { return func(r *abi.Route) { r.MaxBody = n } }

// Upload has the host parse the body as a form and keep aside the files in it: see
// Request.Files. A plugin that takes uploads asks for the grant "blobs".
func Upload(r *abi.Route) { r.Body = abi.UploadBody }

// ETag has the host make an entity tag of each answer of a GET: who has it already is
// told so, with 304, instead of being sent it again.
func ETag(r *abi.Route) { r.ETag = true }

// Stream keeps the connection open behind the answer, as Server-Sent Events: see
// Response.Event and Request.Subscribe.
func Stream(r *abi.Route) { r.Stream, r.Write = true, true }

// Deadline bounds the whole of a request below the host's own limit: waiting for
// an instance, every run, and all that it asks of the host. Past it, the client
// gets 504 and nothing is kept.
func Deadline(d time.Duration) RouteOption {
	return func(r *abi.Route) { r.Deadline = d }
}

// Handle adds a route.
func (f *Family) Handle(method, pattern string, h Handler, opts ...RouteOption) {
	r := abi.Route{Method: method, Pattern: pattern, Family: f.index, Write: method != "GET"}
	for _, opt := range opts {
		opt(&r)
	}
	if r.Stream {
		f.p.needGrant(abi.GrantEvents)
	}
	if r.Body == abi.UploadBody {
		f.p.needGrant(abi.GrantBlobs)
	}
	f.p.desc.Routes = append(f.p.desc.Routes, r)
	f.p.handlers = append(f.p.handlers, h)
}

// GET adds a route that only reads.
func (f *Family) GET(pattern string, h Handler, opts ...RouteOption) {
	f.Handle("GET", pattern, h, opts...)
}

// POST adds a route.
func (f *Family) POST(pattern string, h Handler, opts ...RouteOption) {
	f.Handle("POST", pattern, h, opts...)
}

// PUT adds a route.
func (f *Family) PUT(pattern string, h Handler, opts ...RouteOption) {
	f.Handle("PUT", pattern, h, opts...)
}

// DELETE adds a route.
func (f *Family) DELETE(pattern string, h Handler, opts ...RouteOption) {
	f.Handle("DELETE", pattern, h, opts...)
}
