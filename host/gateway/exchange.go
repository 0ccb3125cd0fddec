package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/store"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// An exchange is all that one request needs on its way through: buffers and the
// call's state. It is reused, so that a request allocates next to nothing.
type exchange struct {
	gateway *Gateway
	ctx     *fasthttp.RequestCtx
	site    *site
	route   *route
	start   time.Time // for measuring
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
	x.ctx, x.path, x.site, x.route, x.retries, x.fuel = ctx, ctx.Path(), nil, nil, 0, 0
	x.start = time.Now()
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
	x.ctx, x.path, x.site, x.route = nil, nil, nil, nil
	clear(x.params[:])
	x.ask, x.bodyRead, x.caller, x.counted, x.signed = abi.Request{}, false, abi.Caller{}, false, abi.Credential{}
	x.shown, x.stream = abi.Credential{}, nil
	x.call.End()
	x.check.End()
	x.life.end()
	x.answer = abi.Reply{}
	for _, b := range []*[]byte{&x.body, &x.frame, &x.reply, &x.out, &x.checkFrame, &x.checkReply} {
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
			g.finish(x)
			g.end(x)
			return
		}
		g.log.LogAttrs(g.ctx, slog.LevelError, "request failed inside the host",
			slog.String("request", string(x.id)), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		x.ctx.Response.Reset()
		x.ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
		x.out = nil
		x.life.end()
		x.refuse(noFamily, &abi.Error{Status: 500, Code: abi.HostInternal, Message: internalMessage})
		g.finish(x) // and not into the pool: nobody knows what state it is in
	}()
	answer()
}

// serve finds what answers the request and has it answered.
func (x *exchange) serve() {
	ctx, t := x.ctx, x.gateway.table.Load()
	host := ctx.Request.Header.Host()
	if !validHost(host) {
		x.refuse(noFamily, &abi.Error{Status: 400, Code: abi.HostBadRequest, Message: "The header Host is no name or address, with or without a port."})
		return
	}
	var named bool
	if x.site, named = t.site(host); x.site == nil {
		x.refuse(noFamily, &abi.Error{Status: 404, Code: abi.HostNotFound, Message: "No deployment serves this host."})
		return
	}
	x.ask.AnyHost = !named && x.site.deployment.Spec.BaseURL == ""
	x.allowOrigin()
	n, count := x.site.root.find(x.path, &x.params)
	if n == nil {
		if e := x.site.socket(x.path); e != nil {
			x.serveSocket(e)
			return
		}
		x.notFound()
		return
	}
	if x.route = n.route(ctx.Method()); x.route != nil {
		x.answerRoute(count)
		return
	}
	if string(ctx.Method()) == "OPTIONS" {
		x.preflight(n)
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
func (x *exchange) answerRoute(params int) {
	x.life.deadline = x.start.Add(x.route.deadline)
	if wait := x.site.quota.wait(x.start); wait > 0 {
		x.fail(&quotaError{x.site.deployment.Spec.Name, wait})
		return
	}
	if err := x.lease(false); err != nil {
		x.fail(err)
		return
	}
	defer x.release()
	if len(x.route.Auth) > 0 {
		var err error
		if x.caller, err = x.site.authenticator.caller(x); err != nil {
			x.fail(err)
			return
		}
		if err := x.countCaller(&x.caller); err != nil {
			x.fail(err)
			return
		}
	}
	x.runRoute(params)
}

// runRoute has the plugin answer on behalf of the caller.
func (x *exchange) runRoute(params int) {
	err := x.readRequest(params)
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
func (x *exchange) readRequest(params int) error {
	r, q := x.route, &x.ask
	if !utf8.Valid(x.path) {
		return x.badRequest("The path is not UTF-8.")
	}
	q.Kind, q.Route, q.Method, q.Path = abi.CallRequest, r.index, r.Method, unsafeString(x.path)
	if r.plugin.Authenticates() {
		q.Target = unsafeString(x.ctx.RequestURI())
	}
	q.Time, q.Remote, q.ID = x.at.UnixMicro(), unsafeString(x.remote), unsafeString(x.id)
	x.pairs.Reset(x.list)
	x.pairs.FixedArray(params)
	for _, p := range x.params[:params] {
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
		return append(dst, base...)
	}
	dst = append(append(dst, x.gateway.scheme(x.ctx)...), "://"...)
	return append(dst, x.ctx.Request.Header.Host()...)
}

// scheme returns how the client has called, as far as it can be believed.
func (g *Gateway) scheme(ctx *fasthttp.RequestCtx) string {
	if ctx.IsTLS() || g.trusts(ctx) && string(ctx.Request.Header.Peek("X-Forwarded-Proto")) == "https" {
		return "https"
	}
	return "http"
}

// maxRuns bounds how often a request is run before it is given up. One that
// reads what others write in every group of commits, as a viewer who is counted
// does beside uploads without a pause, loses most of the time; with the pauses
// between its runs, so many take half a second.
const maxRuns = 20

// errRefused rolls a transaction back whose plugin answered with an error. The
// answer is kept.
var errRefused = errors.New("gateway: the plugin refused")

// commit runs the plugin in a transaction until it is committed.
func (x *exchange) commit() error {
	r := x.route
	space := x.site.deployment.Spec.Name
	x.call.Start(&x.life, r.plugin.Edge, unsafeString(x.id))
	if x.stream != nil {
		x.call.Connection, x.call.Subscription = x.stream.id, x.stream.offer
	}
	x.call.TrackWrites, x.call.ReadOnly, x.call.Body = r.plugin.Authenticates(), !r.Write, x.ctx.Request.Body()
	for run := 1; ; run++ {
		var err error
		if r.Write || x.isSigned() {
			err = x.update(space, run)
		} else {
			err = x.view(space)
		}
		if err == nil || errors.Is(err, store.ErrCommitUnknown) {
			x.forget(x.call.Writes)
			if x.isSigned() {
				x.forget(x.check.Writes)
			}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errRefused):
			if x.isSigned() {
				return x.keepCheck(space)
			}
			return nil
		case errors.Is(err, store.ErrConflict) && run < maxRuns:
			x.retries++
			if err := x.backOff(run); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// forget drops the cached answers that rest on keys that were just committed:
// those of the site that the request came to, and those of the one that has taken
// its place meanwhile. One that takes its place later has asked nothing before
// the commit.
func (x *exchange) forget(keys [][]byte) {
	if len(keys) == 0 {
		return
	}
	x.site.authenticator.cache.forget(keys)
	defer x.site.live.hub.Written(keys) // whoever is asked again finds no old answer
	now := x.gateway.table.Load().byName(x.site.deployment.Spec.Name)
	if now != nil && now != x.site && now.authenticator != nil {
		now.authenticator.cache.forget(keys)
	}
}

// view makes one run that only reads.
func (x *exchange) view(space string) error {
	if err := x.lease(true); err != nil {
		return err
	}
	return x.gateway.store.View(&x.life, space, x.run)
}

// update makes one run that may write, in its turn.
func (x *exchange) update(space string, run int) error {
	share := int64(beside)
	if run > patience {
		share = alone
	}
	turn, err := x.turn(share)
	if err != nil {
		return err
	}
	defer turn.done()
	if err := x.lease(true); err != nil {
		return err
	}
	return x.gateway.store.Update(&x.life, space, x.run)
}

// backOff lets a request that keeps meeting others wait for a moment: not at
// all at first, since the other one is through by then, and then it has its
// path to itself.
func (x *exchange) backOff(run int) error {
	if run <= patience {
		return nil
	}
	limit := min(time.Millisecond<<(run-patience-1), 50*time.Millisecond)
	select {
	case <-time.After(rand.N(limit) + limit/2):
		return nil
	case <-x.life.Done():
		return x.life.Err()
	}
}

// transact is one run.
func (x *exchange) transact(txn store.Txn) error {
	var err error
	if x.isSigned() {
		if err = x.checkSigned(txn); err != nil {
			return err
		}
		x.writeFrame()
	}
	x.call.Begin(txn)
	if x.route.function != "" {
		x.reply, err = x.invokeExtism()
	} else {
		var fuel uint64
		x.reply, fuel, err = x.leased.Call(&x.life, &x.call, x.frame, x.reply[:0])
		x.release() // the commit may take longer than the call
		x.spend(fuel, x.route.metrics.fuel)
	}
	// A plugin may have overlooked, or may hide, that the store failed.
	if failure := x.call.Failure(); failure != nil {
		return failure
	}
	if err != nil {
		return err
	}
	if err := abi.ReadReply(x.reply, &x.answer); err != nil {
		return err
	}
	if err := x.checkAnswer(); err != nil {
		return err
	}
	if x.answer.BodyKind == abi.BodyError {
		return errRefused
	}
	return nil
}

// spend counts fuel that a plugin has spent on the request.
func (x *exchange) spend(fuel uint64, counter prometheus.Counter) {
	x.fuel += fuel
	counter.Add(float64(fuel))
}

// maxHeaders bounds the headers of an answer, in bytes of its frame: proxies and
// clients take little more.
const maxHeaders = 64 << 10

// checkAnswer finds what is wrong with an answer before its transaction is
// committed: what cannot be told to the client is not done either.
func (x *exchange) checkAnswer() error {
	a, name := &x.answer, x.route.plugin.Spec.Name
	if len(a.Headers) > maxHeaders {
		return fmt.Errorf("gateway: plugin %q answered with headers of %d bytes: at most %d are sent", name, len(a.Headers), maxHeaders)
	}
	switch a.BodyKind {
	case abi.BodyError, abi.BodyRefusal:
		if _, err := abi.ReadError(a.Status, a.Body); err != nil {
			return fmt.Errorf("gateway: plugin %q answered with an error: %w", name, err)
		}
		return nil // refuse puts the status right
	case abi.BodyCaller:
		return fmt.Errorf("gateway: plugin %q answered with a caller: %w", name, abi.ErrFrame)
	case abi.BodyEvents:
		if !x.route.Stream {
			return fmt.Errorf("gateway: plugin %q answered with events, and its route is no stream", name)
		}
	}
	if a.Status < 200 || a.Status > 599 {
		return fmt.Errorf("gateway: plugin %q answered with status %d: want 200 to 599", name, a.Status)
	}
	return nil
}
