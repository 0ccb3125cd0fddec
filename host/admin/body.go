package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Bodies are read by who knows how large they may be. A body of JSON has a manifest in
// it, and that is far below maxBody.
const maxBody = 4 << 20

// uploadTime is how long the body of a plugin may take. Only who shows the token gets
// more than the few seconds that a small body needs.
const uploadTime = 15 * time.Minute

// announced is called with the head of a request.
func (s *Server) announced(h *fasthttp.RequestHeader) (c fasthttp.RequestConfig) {
	if bytes.HasPrefix(h.RequestURI(), []byte("/v1/plugins/")) && s.admits(h) {
		c.ReadTimeout = uploadTime
	}
	return c
}

// errBody is why a body is not what it should be.
type errBody struct {
	status  int
	code    string
	message string
}

func (e *errBody) Error() string { return e.message }

// readBody reads the whole body of a request, of at most limit bytes.
func readBody(ctx *fasthttp.RequestCtx, limit int) ([]byte, error) {
	length := ctx.Request.Header.ContentLength()
	if length > limit {
		return nil, tooLarge(limit)
	}
	if !ctx.Request.IsBodyStream() {
		return bytes.Clone(ctx.Request.Body()), nil
	}
	b, err := io.ReadAll(io.LimitReader(ctx.Request.BodyStream(), int64(limit)+1))
	switch {
	case len(b) > limit:
		return nil, tooLarge(limit)
	case err != nil:
		return nil, &errBody{400, "bad_request", "The body breaks off: " + err.Error()}
	case length >= 0 && len(b) < length:
		return nil, &errBody{400, "bad_request", fmt.Sprintf("The body breaks off after %d of %d bytes.", len(b), length)}
	}
	return b, nil
}

func tooLarge(limit int) error {
	return &errBody{413, "too_large", fmt.Sprintf("The body is larger than the %d bytes that this path takes.", limit)}
}

// readJSON reads a body of JSON into v, which stays as it is if there is no body.
func readJSON(ctx *fasthttp.RequestCtx, v any) error {
	b, err := readBody(ctx, maxBody)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err = d.Decode(v); err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("there is more behind the object")
	}
	return badRequest("The body: %s; want one JSON object.", strings.TrimPrefix(err.Error(), "json: "))
}

func badRequest(format string, args ...any) error {
	return &errBody{400, "bad_request", fmt.Sprintf(format, args...)}
}

// finishBody sees to it that what was not read of a body is not taken for the next
// request of the connection: what there may be of a body of JSON is dropped, and for
// more the connection is closed behind the answer.
func finishBody(ctx *fasthttp.RequestCtx) {
	if !ctx.Request.IsBodyStream() {
		return
	}
	// A client that waits for the answer before it sends the rest is not waited for.
	_ = ctx.Conn().SetReadDeadline(time.Now().Add(time.Second)) // fails on a broken connection
	stream := ctx.Request.BodyStream()
	if _, err := io.CopyN(io.Discard, stream, maxBody); errors.Is(err, io.EOF) {
		return
	}
	ctx.SetConnectionClose()
}

// answer writes v as JSON.
func answer(ctx *fasthttp.RequestCtx, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		problem(ctx, 500, "internal", "The answer: "+err.Error())
		return
	}
	ctx.SetContentType("application/json")
	ctx.SetBody(append(b, '\n'))
}
