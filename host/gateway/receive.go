package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/valyala/fasthttp"
)

// The body of a request is read as it comes, since only the route says how much of it
// there may be, and whether it is a form with files, which does not go through memory.
// What is too large is refused as soon as that is known: before anything of it was
// read, if the client says so itself.

// prefetched is how much of a body of known size fasthttp has read when it hands a
// request over.
const prefetched = 8 << 10

// errTruncated is why a request ends whose body does not.
var errTruncated = fmt.Errorf("the body of the request breaks off: %w", errGone)

// bodyLimit returns how large the body of a request to a route may be; nil: of one that
// is refused anyway. A route's own limit is for those bodies that it looks at.
func (g *Gateway) bodyLimit(r *route) int {
	switch {
	case r == nil || r.Body == abi.NoBody:
		return g.config.MaxBody
	case r.Body == abi.UploadBody && r.MaxBody > 0:
		return min(g.config.MaxUpload, r.MaxBody)
	case r.Body == abi.UploadBody:
		return g.config.MaxUpload
	case r.MaxBody > 0:
		return min(g.config.MaxBody, r.MaxBody)
	}
	return g.config.MaxBody
}

// receive reads the whole body into memory.
func (x *exchange) receive() error {
	req := &x.ctx.Request
	if !req.IsBodyStream() {
		x.received = len(req.Body())
		return nil
	}
	body := x.openBody(x.gateway.bodyLimit(x.route))
	x.raw = x.raw[:0]
	for {
		if len(x.raw) == cap(x.raw) {
			x.raw = slices.Grow(x.raw, max(512, min(len(x.raw), 1<<20), min(req.Header.ContentLength(), prefetched)+1))
		}
		n, err := body.Read(x.raw[len(x.raw):cap(x.raw)])
		x.raw = x.raw[:len(x.raw)+n]
		if err == io.EOF {
			req.SetBodyRaw(x.raw)
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// A bodyReader is the body of a request as it comes.
type bodyReader struct {
	x      *exchange
	stream io.Reader
	left   int // of the limit
	limit  int
	length int       // as the client says; negative: it does not
	extend time.Time // when the time was last extended,
	since  int       // and what had come by then
	failed error     // what Read has failed with
	sha256 hash.Hash // nil: nobody asks for it
	sha512 hash.Hash
}

func (x *exchange) openBody(limit int) *bodyReader {
	return &bodyReader{x: x, stream: x.ctx.Request.BodyStream(), left: limit, limit: limit, length: x.ctx.Request.Header.ContentLength()}
}

// digest has digests made of what is read.
func (b *bodyReader) digest() { b.sha256, b.sha512 = sha256.New(), sha512.New() }

// Read reads on. It fails with what the client is to be told.
func (b *bodyReader) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	n, err := b.read(p)
	if err != nil && err != io.EOF {
		b.failed = err
	}
	return n, err
}

func (b *bodyReader) read(p []byte) (int, error) {
	if b.length > b.limit {
		return 0, b.x.tooLarge(b.limit)
	}
	b.allowTime()
	n, err := b.stream.Read(p)
	b.x.received += n
	if b.left -= n; b.left < 0 {
		return 0, b.x.tooLarge(b.limit)
	}
	if b.sha256 != nil {
		b.sha256.Write(p[:n])
		b.sha512.Write(p[:n])
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, io.EOF) && (b.length < 0 || b.x.received >= b.length):
		return n, io.EOF
	case isTimeout(err):
		return n, b.x.tooSlow()
	}
	var broken net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) {
		return n, errTruncated
	}
	return n, &abi.Error{Status: 400, Code: b.x.family().Code(abi.HostBadRequest), Message: notHTTP}
}

// Time that a body may take beyond that for a small one: it must come at this rate.
const (
	bodyRate   = 16 << 10 // bytes a second
	extendTime = time.Second
)

// allowTime lets a body that keeps coming take longer than a request may that does not.
func (b *bodyReader) allowTime() {
	if b.x.received-b.since < bodyRate || time.Since(b.extend) < extendTime {
		return
	}
	b.extend, b.since = time.Now(), b.x.received
	limit := b.x.start.Add(b.x.gateway.config.ReadTimeout + time.Duration(b.x.received/bodyRate)*time.Second)
	// What has come quickly is no credit for who stops then.
	if pause := b.extend.Add(b.x.gateway.config.ReadTimeout); pause.Before(limit) {
		limit = pause
	}
	_ = b.x.ctx.Conn().SetReadDeadline(limit) // fails on a connection that is broken, as Read will
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

func (x *exchange) tooSlow() error {
	return &abi.Error{Status: 408, Code: x.family().Code(abi.HostTimeout), Message: "The request took too long to arrive."}
}

func (x *exchange) tooLarge(limit int) error {
	what := "call"
	if limit == x.gateway.config.MaxBody {
		what = "server"
	}
	return &abi.Error{Status: 413, Code: x.family().Code(abi.HostTooLarge),
		Message: fmt.Sprintf("The body is larger than the %d bytes that this %s takes.", limit, what)}
}

// family is in whose form the request is refused.
func (x *exchange) family() *family {
	switch {
	case x.route != nil:
		return x.route.family
	case x.site != nil:
		return x.site.family(x.path)
	}
	return noFamily
}

// finishBody sees to it that what was not read of a body is not taken for the next
// request of the connection: little of it is dropped, and for more the connection is
// closed behind the answer, slowly, as the client may still be sending.
func (x *exchange) finishBody() {
	req := &x.ctx.Request
	if !req.IsBodyStream() {
		return
	}
	if n := req.Header.ContentLength(); n >= 0 && (n <= prefetched || x.received == n) || x.bodyEnded {
		_, _ = io.Copy(io.Discard, req.BodyStream()) // which is in memory
		return
	}
	x.ctx.SetConnectionClose()
	if x.life.peer != nil {
		x.life.peer.lingers.Store(true)
	}
}

// announced is called with the head of a request. If it announces a body that is too
// large, the request goes on as if the client had asked whether to send it: fasthttp
// would wait for the first bytes of the body otherwise.
func (g *Gateway) announced(h *fasthttp.RequestHeader) (none fasthttp.RequestConfig) {
	if h.ContentLength() <= prefetched {
		return none
	}
	if _, r := g.match(h); h.ContentLength() > g.bodyLimit(r) {
		h.Set(fasthttp.HeaderExpect, "100-continue")
	}
	return none
}

// match finds what a request with such a head leads to; there may be none of each.
func (g *Gateway) match(h *fasthttp.RequestHeader) (*service, *route) {
	s, _ := g.table.Load().service(h.Host())
	if s == nil {
		return nil, nil
	}
	var uri fasthttp.URI
	if err := uri.Parse(h.Host(), h.RequestURI()); err != nil {
		return s, nil
	}
	var params [maxParams][]byte
	if n, _ := s.root.find(uri.Path(), &params); n != nil {
		return s, n.route(h.Method())
	}
	return s, nil
}

// expect answers a client that asks whether to send its body: not one that is too
// large anyway.
func (g *Gateway) expect(ctx *fasthttp.RequestCtx) int {
	svc, r := g.match(&ctx.Request.Header)
	limit := g.bodyLimit(r)
	if ctx.Request.Header.ContentLength() <= limit {
		return fasthttp.StatusContinue
	}
	x := g.begin(ctx)
	defer g.end(x)
	g.running.Add(1)
	defer g.running.Add(-1)
	if svc != nil {
		x.enter(func(t *table) *service { return t.byName(svc.deployment.Spec.Name) })
	}
	x.route = r
	ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
	var refusal *abi.Error
	if errors.As(x.tooLarge(limit), &refusal) {
		x.refuse(x.family(), refusal)
	}
	if x.life.peer != nil {
		x.life.peer.lingers.Store(true) // it may be sending already
	}
	g.finish(x)
	return ctx.Response.StatusCode()
}
