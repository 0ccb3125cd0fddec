package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/valyala/fasthttp"
)

// Clients that have an answer already ask whether it is still the same: feed readers
// by the hour, from all over the world. They are told so without being sent it again.

// tag makes the entity tag of an answer, of a route that wants one. It is weak: the
// same answer may be sent compressed or not.
func (x *exchange) tag(body []byte) {
	if !x.route.ETag || x.answer.Status != fasthttp.StatusOK || len(x.ctx.Response.Header.Peek("ETag")) > 0 {
		return
	}
	sum := sha256.Sum256(body)
	var room [32]byte
	tag := base64.RawURLEncoding.AppendEncode(append(room[:0], `W/"`...), sum[:16])
	x.ctx.Response.Header.SetBytesV("ETag", append(tag, '"'))
}

// unchanged answers with 304 if the client has what the response's headers describe.
func (x *exchange) unchanged() bool {
	req, resp := &x.ctx.Request.Header, &x.ctx.Response
	if x.answer.Status != fasthttp.StatusOK || !req.IsGet() && !req.IsHead() {
		return false
	}
	if lists := req.PeekAll("If-None-Match"); len(lists) > 0 {
		tag := resp.Header.Peek("ETag")
		if len(tag) == 0 || !slices.ContainsFunc(lists, func(list []byte) bool { return listsTag(list, tag) }) {
			return false
		}
	} else if !olderThan(resp.Header.Peek("Last-Modified"), req.Peek("If-Modified-Since")) {
		return false
	}
	resp.ResetBody()
	resp.Header.SetContentType("")
	resp.SetStatusCode(fasthttp.StatusNotModified)
	return true
}

// listsTag tells whether a tag is in the list that a client has, "*" being any.
func listsTag(list, tag []byte) bool {
	for part := range bytes.SplitSeq(list, []byte{','}) {
		part = bytes.TrimSpace(part)
		if string(part) == "*" || bytes.Equal(bytes.TrimPrefix(part, []byte("W/")), bytes.TrimPrefix(tag, []byte("W/"))) {
			return true
		}
	}
	return false
}

// olderThan tells whether something last changed at a time that is not after another.
func olderThan(changed, than []byte) bool {
	if len(changed) == 0 || len(than) == 0 {
		return false
	}
	at, err1 := fasthttp.ParseHTTPDate(changed)
	limit, err2 := fasthttp.ParseHTTPDate(than)
	return err1 == nil && err2 == nil && !at.After(limit)
}
