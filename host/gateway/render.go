package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/text"
	"github.com/edgeset/edgeset/store"
	"github.com/valyala/fasthttp"
)

// render writes the answer of a plugin as the response.
func (x *exchange) render() {
	a, resp := &x.answer, &x.ctx.Response
	x.writeHeaders(a.Headers)
	if x.route.Stream && (a.BodyKind == abi.BodyEvents || a.BodyKind == abi.BodyNone && x.call.Subscribed) {
		x.startStream() // which may begin with nothing
		return
	}
	switch a.BodyKind {
	case abi.BodyError, abi.BodyRefusal: // which checkAnswer could read
		refusal, err := abi.ReadError(a.Status, a.Body)
		if err != nil {
			x.fail(err)
			return
		}
		x.refuse(x.route.family, refusal)
		return
	case abi.BodyRaw:
		if len(resp.Header.ContentType()) == 0 {
			// A browser that is left to guess may take a picture for a page.
			resp.Header.SetContentType("application/octet-stream")
		}
		b, _ := a.Body.Bytes()
		resp.SetBody(b)
		if x.tag(b); x.unchanged() {
			return
		}
	case abi.BodyBlob:
		x.sendBlob()
		return
	case abi.BodyValue, abi.BodyPlist, abi.BodyXML:
		append, contentType := text.AppendJSON, "application/json"
		switch a.BodyKind {
		case abi.BodyPlist:
			append, contentType = text.AppendPlist, "application/x-plist"
		case abi.BodyXML:
			append, contentType = text.AppendXML, "application/xml; charset=utf-8"
		}
		out, err := append(x.out[:0], a.Body)
		if err != nil {
			x.fail(fmt.Errorf("gateway: render the answer of plugin %q: %w", x.route.plugin.Spec.Name, err))
			return
		}
		x.out = out
		if len(out) >= minGzip {
			resp.Header.Add("Vary", "Accept-Encoding")
		}
		if x.tag(out); x.unchanged() {
			return
		}
		x.setText(out, contentType)
	}
	resp.SetStatusCode(a.Status)
}

// setText makes the body a text that is worth compressing.
func (x *exchange) setText(body []byte, contentType string) {
	resp := &x.ctx.Response
	if len(resp.Header.ContentType()) == 0 {
		resp.Header.SetContentType(contentType)
	}
	if len(body) < minGzip {
		resp.SetBody(body)
		return
	}
	if x.ctx.Request.Header.HasAcceptEncoding("gzip") {
		resp.Header.SetContentEncoding("gzip")
		resp.SetBodyRaw(fasthttp.AppendGzipBytesLevel(nil, body, gzipLevel))
		return
	}
	resp.SetBody(body)
}

// Smaller bodies fit a packet or two whether they are compressed or not; the
// level is where the curve of size over time bends.
const (
	minGzip   = 2 << 10
	gzipLevel = 4
)

// writeHeaders passes on the headers of a plugin, except those that are about
// the connection or that the host writes, and cookies that another plugin would take
// for a credential.
func (x *exchange) writeHeaders(headers abi.Pairs) {
	a := x.foreign()
	headers.Each(func(name, value []byte) bool {
		switch {
		case a != nil && equalFold(name, "Set-Cookie") && a.isCookie(headerValue(value)):
		case !validHeaderName(name), hostHeaders[strings.ToLower(string(name))],
			len(name) > len(corsHeaders) && bytes.EqualFold(name[:len(corsHeaders)], []byte(corsHeaders)):
		case equalFold(name, "Content-Type"):
			x.ctx.Response.Header.SetContentTypeBytes(headerValue(value))
		case equalFold(name, "Content-Encoding"):
			if x.answer.BodyKind == abi.BodyRaw { // whose bytes are passed on as they are
				x.ctx.Response.Header.SetContentEncodingBytes(headerValue(value))
			}
		default:
			x.ctx.Response.Header.AddBytesKV(name, headerValue(value))
		}
		return true
	})
}

// hostHeaders are those that a plugin has no say in.
var hostHeaders = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-connection": true, "te": true, "trailer": true,
	"transfer-encoding": true, "upgrade": true, "content-length": true,
	"date": true, "x-request-id": true,
	"ratelimit-limit": true, "ratelimit-remaining": true, "ratelimit-reset": true, "ratelimit-policy": true,
}

const corsHeaders = "Access-Control-"

// headerValue returns a value in which control characters are blanks: a line
// break would begin another header.
func headerValue(value []byte) []byte {
	control := func(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }
	if !slices.ContainsFunc(value, control) {
		return value
	}
	value = bytes.Clone(value)
	for i, c := range value {
		if control(c) {
			value[i] = ' '
		}
	}
	return value
}

func validHeaderName(name []byte) bool {
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return len(name) > 0
}

// refuse answers with an error in the form of a family.
func (x *exchange) refuse(f *family, e *abi.Error) {
	resp := &x.ctx.Response
	if e.Status < 400 || e.Status > 599 {
		e = &abi.Error{Status: 500, Code: e.Code, Message: e.Message, Detail: e.Detail}
	}
	if f.Docs != "" {
		resp.Header.Add("Vary", "Accept")
	}
	if f.Docs != "" && x.wantsPage() {
		x.refusePage(f, e)
		return
	}
	out, err := text.AppendErrorForm(x.out[:0], f.Errors, e, x.at.UnixMilli(), unsafeString(x.id))
	if err != nil {
		// The form is the plugin's, and it is no value.
		out, _ = text.AppendErrorForm(x.out[:0], noFamily.Errors, e, x.at.UnixMilli(), unsafeString(x.id))
	}
	x.out = out
	x.challenge(e.Status)
	resp.Header.SetContentType("application/json")
	resp.SetBody(out)
	resp.SetStatusCode(e.Status)
}

// challenge says what a request without a credential could have brought.
func (x *exchange) challenge(status int) {
	resp := &x.ctx.Response
	if status == 401 && len(resp.Header.Peek("WWW-Authenticate")) == 0 {
		resp.Header.Set("WWW-Authenticate", "Bearer")
	}
}

const internalMessage = "The request failed; the operator's log says why."

// fail answers with what an error of any kind means to the client. What it means
// to the operator goes into the log.
func (x *exchange) fail(err error) {
	f := x.route.family
	var refusal *abi.Error
	if errors.As(err, &refusal) {
		x.refuse(f, refusal)
		return
	}
	e := &abi.Error{Status: 500, Code: f.Code(abi.HostInternal), Message: internalMessage}
	level, often := slog.LevelError, false
	ended, m := x.ended(err), x.route.metrics
	var busy *engine.BusyError
	var quota *quotaError
	var trap *engine.TrapError
	switch {
	case errors.Is(ended, errGone):
		m.gone.Inc()
		err = fmt.Errorf("the client went away: %w", err)
		level, e = slog.LevelInfo, nil
	case errors.Is(ended, context.DeadlineExceeded):
		m.timeouts.Inc()
		err = fmt.Errorf("its deadline of %v has passed: %w", x.route.deadline, err)
		level = slog.LevelWarn
		e = &abi.Error{Status: 504, Code: f.Code(abi.HostTimeout), Message: "The request took too long and was given up; nothing of it was kept."}
	case errors.As(err, &quota):
		m.quota.Inc()
		x.retryAfter(quota.wait)
		level = slog.LevelDebug // a metric counts them, and there may be thousands a second
		e = &abi.Error{Status: 503, Code: f.Code(abi.HostBusy), Message: "This service has used up its share of the server; try again later."}
	case errors.As(err, &busy):
		m.busy.Inc()
		x.retryAfter(busy.RetryAfter)
		level, often = slog.LevelWarn, true
		e = &abi.Error{Status: 503, Code: f.Code(abi.HostBusy), Message: "The server is busy; try again later."}
	case errors.Is(err, errSpoolFull), errors.Is(err, errNoPlace):
		m.busy.Inc()
		x.retryAfter(time.Second)
		level, often = slog.LevelWarn, true
		e = &abi.Error{Status: 503, Code: f.Code(abi.HostBusy), Message: "Too much is being uploaded; try again later."}
	case errors.Is(err, store.ErrConflict), errors.Is(err, errNoTurn):
		m.busy.Inc()
		x.retryAfter(time.Second)
		level, often = slog.LevelWarn, true
		e = &abi.Error{Status: 503, Code: f.Code(abi.HostBusy), Message: "Too many requests change the same data; try again later."}
	case x.gateway.ctx.Err() != nil, errors.Is(err, store.ErrClosed), errors.Is(err, engine.ErrClosed):
		x.retryAfter(time.Second)
		level = slog.LevelWarn
		e = &abi.Error{Status: 503, Code: f.Code(abi.HostBusy), Message: "The server is stopping; try again."}
	case errors.Is(err, store.ErrFull):
		e = &abi.Error{Status: 507, Code: f.Code(abi.HostInternal), Message: "The server has no room for writes; reading goes on."}
	case errors.Is(err, store.ErrTooLarge):
		e = &abi.Error{Status: 413, Code: f.Code(abi.HostTooLarge), Message: "The request changes more than one transaction can hold."}
	case errors.Is(err, engine.ErrFrame):
		e = &abi.Error{Status: 413, Code: f.Code(abi.HostTooLarge), Message: "The request is larger than the plugin can take."}
	case errors.As(err, &trap):
		m.traps.Inc()
		x.site.stats.traps.Add(1)
		if svc := x.service; svc.canary != nil && x.site == svc.site {
			svc.beside.traps.Add(1)
		}
	}
	if !often || x.route.refusals.pick(x.start) {
		// What a plugin says when it panics may be one of its secrets.
		x.logOf(err).LogAttrs(x.gateway.ctx, level, "request failed",
			slog.String("request", string(x.id)), slog.String("plugin", x.route.plugin.Spec.Name),
			slog.String("route", x.route.Method+" "+x.route.Pattern), slog.Any("error", err))
	}
	if e == nil {
		x.abandon()
		return
	}
	x.takeBack()
	x.refuse(f, e)
}

// logOf returns the log in which no secret of the plugin stands that has failed: it may be
// the one that checks credentials.
func (x *exchange) logOf(err error) *slog.Logger {
	p := x.route.plugin
	var trap *engine.TrapError
	if a := x.site.authenticator; a != nil && errors.As(err, &trap) && trap.Plugin == a.plugin.Spec.Name {
		p = a.plugin
	}
	if p.Edge == nil || p.Edge.Log == nil {
		return x.gateway.log
	}
	return p.Edge.Log
}

// takeBack drops what headers say of an answer that is not given after all.
func (x *exchange) takeBack() {
	for _, name := range [...]string{"Cache-Control", "Expires", "ETag", "Last-Modified", "Accept-Ranges", "Content-Range", "Location"} {
		x.ctx.Response.Header.Del(name)
	}
}

// failReceiving answers a request whose body did not come as it should.
func (x *exchange) failReceiving(err error) {
	var refusal *abi.Error
	switch {
	case errors.As(err, &refusal):
		x.refuse(x.family(), refusal)
	case errors.Is(err, errTruncated):
		x.gateway.log.LogAttrs(x.gateway.ctx, slog.LevelInfo, "request failed", slog.String("request", string(x.id)), slog.Any("error", err))
		x.abandon()
	default:
		x.fail(err) // of a route
	}
}

// ended returns why the request's lifetime has ended, if that is what err comes
// of: a plugin may also have failed by itself, or a shorter time limit may have.
func (x *exchange) ended(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return x.life.Err()
	}
	return nil
}

// statusGone is what logs say of a request whose client went away, as they do in
// nginx. Nobody is told.
const statusGone = 499

// abandon ends a request without an answer.
func (x *exchange) abandon() {
	_ = x.life.peer.Close() // fasthttp closes it once more
	x.ctx.Response.SetStatusCode(statusGone)
}

func (x *exchange) retryAfter(d time.Duration) {
	x.ctx.Response.Header.Set("Retry-After", strconv.Itoa(max(1, int((d+time.Second-1)/time.Second))))
}

const notHTTP = "The request is not HTTP that this server reads."

// broken answers what never became a request: too large, too slow, or not HTTP.
func (g *Gateway) broken(ctx *fasthttp.RequestCtx, err error) {
	x := g.begin(ctx)
	defer g.end(x)
	e := &abi.Error{Status: 400, Code: abi.HostBadRequest, Message: notHTTP}
	var small *fasthttp.ErrSmallBuffer
	var timeout interface{ Timeout() bool }
	switch {
	case errors.As(err, &small):
		e = &abi.Error{Status: 431, Code: abi.HostTooLarge,
			Message: fmt.Sprintf("The request's head is larger than %d bytes.", g.config.MaxHeader)}
	case errors.As(err, &timeout) && timeout.Timeout():
		e = &abi.Error{Status: 408, Code: abi.HostTimeout, Message: "The request took too long to arrive."}
	}
	ctx.Response.Header.SetBytesV("X-Request-Id", x.id)
	x.refuse(noFamily, e)
	ctx.SetConnectionClose()
	if peer := peerOf(ctx.LocalAddr()); peer != nil && e.Status != 408 {
		peer.lingers.Store(true)
	}
	g.finish(x)
}
