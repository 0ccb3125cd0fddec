package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"mime"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/text"
	"github.com/valyala/fasthttp"
)

// multipartLimits bound a form with many parts. A route that takes a form has no
// use for files, and says so rather than to lose them; one that takes any body
// looks at the fields alone.
var (
	multipartLimits = text.MultipartLimits{Fields: 100}
	withoutFiles    = text.MultipartLimits{Fields: 100, File: func(text.File) error { return nil }}
)

func (x *exchange) badRequest(format string, args ...any) error {
	return &abi.Error{Status: 400, Code: x.route.family.Code(abi.HostBadRequest), Message: fmt.Sprintf(format, args...)}
}

// foreign tells whether the plugin is another one than the one that checks
// credentials, and so must not see them.
func (x *exchange) foreign() *authenticator {
	if a := x.site.authenticator; a != nil && a.plugin != x.route.plugin {
		return a
	}
	return nil
}

// readQuery parses the query into pairs.
func (x *exchange) readQuery() (abi.Pairs, error) {
	raw := x.ctx.URI().QueryString()
	if x.query = x.query[:0]; len(raw) == 0 {
		return nil, nil
	}
	x.pairs.Reset(x.query)
	if err := text.AppendQuery(&x.pairs, raw); err != nil {
		return nil, x.badRequest("The query cannot be read: %v.", err)
	}
	x.query = x.pairs.Value()
	a := x.foreign()
	if a == nil {
		return abi.Pairs(x.query), nil
	}
	return x.without(abi.Pairs(x.query), func(name []byte) bool { return a.isSource(nil, name) }), nil
}

// without copies pairs, if there is a name to leave out.
func (x *exchange) without(pairs abi.Pairs, drop func(name []byte) bool) abi.Pairs {
	found := false
	pairs.Each(func(name, _ []byte) bool {
		found = drop(name)
		return !found
	})
	if !found {
		return pairs
	}
	var w abi.Writer
	w.Array()
	pairs.Each(func(name, value []byte) bool {
		if !drop(name) {
			w.TextBytes(name)
			w.TextBytes(value)
		}
		return true
	})
	w.End()
	return abi.Pairs(w.Value())
}

// readHeaders collects the headers, without those that carry a credential or
// concern the connection alone.
func (x *exchange) readHeaders() abi.Pairs {
	a := x.foreign()
	x.pairs.Reset(x.headers)
	x.pairs.Array()
	for name, value := range x.ctx.Request.Header.All() {
		if a != nil && a.isSource(name, nil) {
			continue
		}
		if a != nil && unsafeString(name) == "Cookie" {
			if value = a.withoutCookies(value); len(value) == 0 {
				continue
			}
		}
		if x.route.operator && unsafeString(name) == "Authorization" {
			continue // the admin token
		}
		switch unsafeString(name) {
		case "Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade":
			continue
		}
		x.pairs.TextBytes(name)
		x.pairs.TextBytes(value)
	}
	x.pairs.End()
	x.headers = x.pairs.Value()
	return abi.Pairs(x.headers)
}

// takesForm tells whether the body is a form that the route has parsed.
func (x *exchange) takesForm() bool {
	mode := x.bodyMode()
	return mode == abi.FormBody || mode == abi.UploadBody
}

// bodyMode returns as what the body is to be parsed.
func (x *exchange) bodyMode() abi.BodyMode {
	if x.route.Body != abi.AnyBody {
		return x.route.Body
	}
	kind, _, _ := strings.Cut(strings.ToLower(unsafeString(x.ctx.Request.Header.ContentType())), ";")
	switch kind = strings.TrimSpace(kind); {
	case kind == "application/x-www-form-urlencoded", kind == "multipart/form-data":
		return abi.FormBody
	case kind == "application/json", strings.HasSuffix(kind, "+json"):
		return abi.JSONBody
	case len(x.ctx.Request.Body()) == 0:
		return abi.NoBody
	}
	return abi.RawBody
}

// takeBody reads the body from the connection.
func (x *exchange) takeBody() error {
	if x.route.Body == abi.UploadBody {
		return x.readBody()
	}
	return x.receive()
}

// giveBody has a call know the body, or its digests.
func (x *exchange) giveBody(c *edge.Call) {
	if x.route.Body == abi.UploadBody {
		c.Digested(x.bodySHA256, x.bodySHA512)
		return
	}
	c.Body = x.ctx.Request.Body()
}

// readBody parses the body as the route wants it, once.
func (x *exchange) readBody() (err error) {
	if !x.bodyRead {
		x.bodyRead = true
		x.ask.BodyKind, x.ask.Body, err = x.parseBody(x.bodyMode())
	}
	return err
}

func (x *exchange) parseBody(mode abi.BodyMode) (abi.BodyKind, abi.Value, error) {
	r := x.route
	switch mode {
	case abi.NoBody:
		return abi.BodyNone, nil, nil
	case abi.UploadBody:
		return x.readUpload()
	}
	body := x.ctx.Request.Body()
	if r.MaxBody > 0 && len(body) > r.MaxBody {
		return 0, nil, x.tooLarge(r.MaxBody)
	}
	if encoding := x.ctx.Request.Header.ContentEncoding(); len(encoding) > 0 && !equalFold(encoding, "identity") {
		var err error
		if body, err = x.decompress(strings.ToLower(string(encoding))); err != nil {
			return 0, nil, err
		}
	}
	switch mode {
	case abi.JSONBody:
		if len(body) == 0 {
			return abi.BodyNone, nil, nil
		}
		var err error
		if x.body, err = text.ParseJSON(x.body[:0], body, abi.MaxDepth-8); err != nil {
			return 0, nil, x.badRequest("The body is not JSON: %v.", err)
		}
		return abi.BodyValue, x.body, nil
	case abi.RawBody:
		return abi.BodyRaw, body, nil
	}
	return x.readForm(body)
}

func (x *exchange) readForm(body []byte) (abi.BodyKind, abi.Value, error) {
	x.pairs.Reset(x.body)
	kind := x.ctx.Request.Header.ContentType()
	var err error
	if strings.HasPrefix(strings.ToLower(unsafeString(kind)), "multipart/") {
		var params map[string]string
		if _, params, err = mime.ParseMediaType(string(kind)); err == nil {
			limits := multipartLimits
			if x.route.Body == abi.AnyBody {
				limits = withoutFiles
			}
			err = text.AppendMultipart(&x.pairs, bytes.NewReader(body), params["boundary"], limits)
		}
	} else {
		err = text.AppendQuery(&x.pairs, body)
	}
	if err != nil {
		return 0, nil, x.badRequest("The form cannot be read: %v.", err)
	}
	x.body = x.pairs.Value()
	return abi.BodyForm, x.body, nil
}

// decompress unpacks a body that was sent compressed, up to the limit that
// holds for one that was not.
func (x *exchange) decompress(encoding string) ([]byte, error) {
	limit := x.gateway.config.MaxBody
	if x.route.MaxBody > 0 {
		limit = min(limit, x.route.MaxBody)
	}
	if encoding != "gzip" && encoding != "x-gzip" {
		x.ctx.Response.Header.Set("Accept-Encoding", "gzip")
		return nil, &abi.Error{Status: 415, Code: x.route.family.Code(abi.HostBadRequest),
			Message: fmt.Sprintf("Content-Encoding %q is not supported; send gzip or none.", encoding)}
	}
	body, err := x.ctx.Request.BodyGunzipWithLimit(limit)
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return nil, x.tooLarge(limit)
	case err != nil:
		return nil, x.badRequest("The compressed body cannot be read.")
	}
	return body, nil
}
