package gateway

import (
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/store"
	"github.com/valyala/fasthttp"
)

// An exchange is all that one request needs on its way through: buffers and the
// call's state. It is reused, so that a request allocates next to nothing.
type exchange struct {
	gateway *Gateway
	ctx     *fasthttp.RequestCtx
	service *service
	site    *site // of the version that is to answer
	entered bool  // site counts the request
	route   *route
	count   int       // of the parameters in its path
	start   time.Time // for measuring
	ready   time.Time // since when it waits for nothing but us: its body has come
	at      time.Time // the request's time, as the plugin sees it
	path    []byte
	remote  []byte
	id      []byte
	retries int
	fuel    uint64 // spent so far
	life    lifetime
	leased  engine.Lease // of the plugin that is to answer; nil: none

	ask      abi.Request // what the plugin is told
	bodyRead bool        // into ask
	caller   abi.Caller
	counted  bool           // against the rate limit of its application
	signed   abi.Credential // that is the request itself; no kind: it is another one
	shown    abi.Credential // whose holder was asked for; valid as long as the request
	shownID  digest
	shownAt  uint64      // generation of the hub before that
	stream   *openStream // that the request may begin
	params   [maxParams][]byte
	pairs    abi.Writer // query, headers, body: one after the other
	query    []byte
	headers  []byte
	body     []byte
	list     []byte
	base     []byte
	scratch  []byte
	writer   abi.Writer
	frame    []byte
	reply    []byte
	out      []byte
	answer   abi.Reply

	raw       []byte // the body as it came
	received  int    // bytes of it
	bodyEnded bool   // nothing of it is left to come
	files     []edge.Upload
	spool     spool // of the files
	// Digests of an upload, where they are asked for.
	bodySHA256, bodySHA512 []byte

	blob     abi.BlobID // that is the answer
	blobSize int64

	// settle is done in the transaction before the plugin is called; nil: nothing is.
	settle func(store.Txn) error

	call  edge.Call
	check edge.Call             // of the credential
	run   func(store.Txn) error // transact, bound once

	allHeaders []byte
	checkFrame []byte
	checkReply []byte
}

type exchanges struct{ sync.Pool }

func newExchange(g *Gateway) *exchange {
	x := &exchange{gateway: g}
	x.run = x.transact
	return x
}

// maxKept bounds the buffers that an idle exchange keeps.
const maxKept = 256 << 10

func (g *Gateway) begin(ctx *fasthttp.RequestCtx) *exchange {
	x := g.pool.Get().(*exchange)
	x.ctx, x.path, x.route, x.retries, x.fuel = ctx, ctx.Path(), nil, 0, 0
	x.start = time.Now()
	x.ready = x.start
	x.life.begin(g.ctx, x.start, ctx.LocalAddr())
	x.at = g.now()
	x.remote = g.remote(x.remote[:0], ctx)
	x.id = g.ids.append(x.id[:0], ctx)
	return x
}

// now is the time as plugins see it.
func (g *Gateway) now() time.Time {
	if g.config.Now != nil {
		return g.config.Now()
	}
	return time.Now()
}

func (g *Gateway) end(x *exchange) {
	x.leave()
	x.ctx, x.path, x.route, x.count = nil, nil, nil, 0
	clear(x.params[:])
	x.ask, x.bodyRead, x.caller, x.counted, x.signed = abi.Request{}, false, abi.Caller{}, false, abi.Credential{}
	x.shown, x.stream, x.settle = abi.Credential{}, nil, nil
	x.received, x.bodyEnded, x.bodySHA256, x.bodySHA512 = 0, false, nil, nil
	clear(x.files)
	x.files = x.files[:0]
	x.spool.close()
	x.call.End()
	x.check.End()
	x.life.end()
	x.answer = abi.Reply{}
	for _, b := range []*[]byte{&x.body, &x.raw, &x.frame, &x.reply, &x.out, &x.checkFrame, &x.checkReply} {
		if cap(*b) > maxKept {
			*b = nil
		}
	}
	g.pool.Put(x)
}

// Handle answers one request of a client.
func (g *Gateway) Handle(ctx *fasthttp.RequestCtx) {
	x := g.begin(ctx)
	ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
	g.guard(x, x.serve)
}

// guard has a request answered, and ends it. A panic is a mistake of ours that a
// client or a plugin has found: it costs this request, and not the process with
// all the others.
func (g *Gateway) guard(x *exchange, answer func()) {
	g.running.Add(1)
	defer func() {
		defer g.running.Add(-1)
		r := recover()
		if r == nil {
			x.finishBody()
			g.finish(x)
			g.end(x)
			return
		}
		g.log.LogAttrs(g.ctx, slog.LevelError, "request failed inside the host",
			slog.String("request", string(x.id)), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		x.ctx.Response.Reset()
		x.ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
		x.ctx.SetConnectionClose() // whatever is left of the body
		x.out = nil
		x.spool.close()
		x.life.end()
		x.refuse(noFamily, &abi.Error{Status: 500, Code: abi.HostInternal, Message: internalMessage})
		g.finish(x) // and not into the pool: nobody knows what state it is in
		x.leave()
	}()
	answer()
}

// find finds the service, and in its site the route, and the node of its path; there
// may be none of each.
func (x *exchange) find() (n *node) {
	host := x.ctx.Request.Header.Host()
	var named bool
	if !x.enter(func(t *table) (svc *service) { svc, named = t.service(host); return svc }) {
		return nil
	}
	x.ask.AnyHost = !named && x.site.deployment.Spec.BaseURL == ""
	if n = x.findRoute(); x.route == nil && x.try() {
		n = x.findRoute() // which only the canary may have
	}
	return n
}

// findRoute finds the route in the request's site, and the node of its path.
func (x *exchange) findRoute() (n *node) {
	n, x.route, x.count = x.site.route(x)
	return n
}

// serve finds what answers the request and has it answered.
func (x *exchange) serve() {
	ctx := x.ctx
	host := ctx.Request.Header.Host()
	if !validHost(host) {
		x.refuse(noFamily, &abi.Error{Status: 400, Code: abi.HostBadRequest, Message: "The header Host is no name or address, with or without a port."})
		return
	}
	n := x.find()
	if x.site == nil {
		x.refuse(noFamily, &abi.Error{Status: 404, Code: abi.HostNotFound, Message: "No deployment serves this host."})
		return
	}
	x.allowOrigin()
	if n == nil {
		if e := x.site.socket(x.path); e != nil {
			if err := x.receive(); err != nil {
				x.failReceiving(err)
				return
			}
			x.serveSocket(e)
			return
		}
		x.notFound()
		return
	}
	if x.route != nil {
		x.answerRoute()
		return
	}
	if string(ctx.Method()) == "OPTIONS" {
		x.preflight(n)
		return
	}
	x.refusePath(n)
}

// refusePath answers a request to a path that has no route, or none of its method.
func (x *exchange) refusePath(n *node) {
	if n == nil {
		x.notFound()
		return
	}
	x.wrongMethod(n)
}

func (x *exchange) notFound() {
	f := x.site.family(x.path)
	x.refuse(f, &abi.Error{Status: 404, Code: f.Code(abi.HostNotFound), Message: "There is nothing at this path."})
}

func (x *exchange) wrongMethod(n *node) {
	x.ctx.Response.Header.Set("Allow", n.allow())
	f := x.site.family(x.path)
	x.refuse(f, &abi.Error{Status: 405, Code: f.Code(abi.HostMethod), Message: "This path takes " + n.allow() + "."})
}

// answerRoute checks who calls and runs the route.
func (x *exchange) answerRoute() {
	x.life.deadline = x.start.Add(x.route.deadline)
	if wait := x.site.quota.wait(x.start); wait > 0 {
		x.fail(&quotaError{x.site.deployment.Spec.Name, wait})
		return
	}
	if err := x.takeBody(); err != nil {
		x.failReceiving(err)
		return
	}
	x.renew()
	if uploads := x.route.uploads; uploads != nil {
		x.life.until(time.Now().Add(uploadWait))
		if err := uploads.take(&x.life); err != nil {
			x.fail(err)
			return
		}
		defer uploads.done()
	}
	// From here on: the client decides how long its body takes, and others for how long
	// it waits.
	x.ready = time.Now()
	x.life.until(x.ready.Add(x.route.deadline))
	defer x.release()
	err := x.admit()
	if err == nil && x.try() {
		if x.route == nil {
			x.refusePath(x.findRoute())
			return
		}
		x.life.until(x.ready.Add(x.route.deadline))
		err = x.admit()
	}
	if err == nil {
		err = x.countCaller(&x.caller)
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.runRoute()
}

// admit gets an instance of the plugin for the request, and finds out who makes it.
func (x *exchange) admit() (err error) {
	if err = x.lease(false); err == nil && len(x.route.Auth) > 0 {
		x.caller, err = x.site.authenticator.caller(x)
	}
	return err
}

// runRoute has the plugin answer on behalf of the caller.
func (x *exchange) runRoute() {
	err := x.readRequest()
	if err == nil && x.route.Stream {
		defer x.endStream()
		err = x.beginStream()
	}
	if err == nil {
		if x.isSigned() {
			x.writeCheckFrame()
		} else {
			x.writeFrame()
		}
		err = x.commit()
	}
	if err != nil {
		x.fail(err)
		return
	}
	x.render()
}

// unsafeString is a string that shares the bytes of b. It is used for what is
// read before b changes: to write a frame, not to keep.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// readRequest collects what the plugin is told of the request.
func (x *exchange) readRequest() error {
	r, q := x.route, &x.ask
	if !utf8.Valid(x.path) {
		return x.badRequest("The path is not UTF-8.")
	}
	q.Kind, q.Route, q.Method, q.Path = abi.CallRequest, r.index, r.Method, unsafeString(x.inner())
	if r.plugin.Authenticates() {
		q.Target = unsafeString(x.ctx.RequestURI())
	}
	q.Time, q.Remote, q.ID = x.at.UnixMicro(), unsafeString(x.remote), unsafeString(x.id)
	x.pairs.Reset(x.list)
	x.pairs.FixedArray(x.count)
	for _, p := range x.params[:x.count] {
		x.pairs.TextBytes(p)
	}
	x.list = x.pairs.Value()
	q.Params = x.list

	var err error
	if q.Query, err = x.readQuery(); err != nil {
		return err
	}
	q.Headers = x.readHeaders()
	if err := x.readBody(); err != nil {
		return err
	}
	x.base = x.appendBaseURL(x.base[:0])
	q.BaseURL = unsafeString(x.base)
	return nil
}

// writeFrame writes the request frame, on behalf of the caller.
func (x *exchange) writeFrame() {
	x.ask.Caller = x.caller
	x.writer.Reset(x.frame)
	if x.route.function != "" {
		appendExtismRequest(&x.writer, &x.ask)
	} else {
		x.ask.Append(&x.writer)
	}
	x.frame = x.writer.Value()
}

func (x *exchange) appendBaseURL(dst []byte) []byte {
	if base := x.site.deployment.Spec.BaseURL; base != "" {
		dst = append(dst, base...)
	} else {
		dst = append(append(dst, x.gateway.scheme(x.ctx)...), "://"...)
		dst = append(dst, x.ctx.Request.Header.Host()...)
	}
	return append(dst, x.route.plugin.Spec.Mount...)
}

// scheme returns how the client has called, as far as it can be believed.
func (g *Gateway) scheme(ctx *fasthttp.RequestCtx) string {
	if ctx.IsTLS() || g.trusts(ctx) && string(ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https" {
		return "https"
	}
	return "http"
}
