package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
	"github.com/valyala/fasthttp"
)

// findBlob looks up the blob that a plugin has answered with, in the transaction of the
// answer.
func (x *exchange) findBlob() error {
	id, _ := x.answer.Body.Bytes() // of the right size, which ReadReply has seen
	x.blob = abi.BlobID(id)
	size, found, err := x.call.FindBlob(x.blob)
	switch {
	case err != nil:
		return fmt.Errorf("gateway: plugin %q answered with blob %s: %w", x.route.plugin.Spec.Name, x.blob, err)
	case !found:
		return fmt.Errorf("gateway: plugin %q answered with blob %s, which is not kept", x.route.plugin.Spec.Name, x.blob)
	}
	x.blobSize = size
	return nil
}

// sendBlob answers with a blob, or with the part of it that the client asks for.
func (x *exchange) sendBlob() {
	resp := &x.ctx.Response
	resp.Header.Set("ETag", `"`+x.blob.String()+`"`)
	resp.Header.Set("Accept-Ranges", "bytes")
	resp.Header.Set("X-Content-Type-Options", "nosniff")
	if x.unchanged() {
		return
	}
	from, to, status := x.blobRange()
	resp.SetStatusCode(status)
	switch status {
	case fasthttp.StatusRequestedRangeNotSatisfiable:
		x.takeBack()
		resp.Header.Set("Content-Range", "bytes */"+strconv.FormatInt(x.blobSize, 10))
		x.refuse(x.route.family, &abi.Error{Status: status, Code: x.route.family.Code(abi.HostBadRequest),
			Message: fmt.Sprintf("The range is outside of the %d bytes that there are.", x.blobSize)})
		return
	case fasthttp.StatusPartialContent:
		resp.Header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, x.blobSize))
	}
	part := &blobReader{store: x.gateway.store, space: x.site.deployment.Spec.Name, plugin: x.route.plugin.Spec.Name,
		id: x.blob, at: from, end: to, alive: x.writeMore()}
	if x.ctx.IsHead() {
		resp.Header.SetContentLength(int(to - from))
		resp.SkipBody = true
		return
	}
	// What can be read at once is, so that a failure is still an answer of its own.
	if to-from <= wholeBlob {
		body, err := part.whole()
		if errors.Is(err, edge.ErrNoBlob) { // deleted since the plugin has answered
			x.takeBack()
			x.refuse(x.route.family, &abi.Error{Status: 404, Code: x.route.family.Code(abi.HostNotFound), Message: "There is nothing here any more."})
			return
		}
		if err != nil {
			x.fail(err)
			return
		}
		resp.SetBodyRaw(body)
		return
	}
	resp.SetBodyStream(part, int(to-from))
}

// wholeBlob is the size of what is read before the answer begins.
const wholeBlob = 256 << 10

// blobRange returns which bytes the client asks for. Several ranges in one request are
// more than anybody needs, and get the whole.
func (x *exchange) blobRange() (from, to int64, status int) {
	req := &x.ctx.Request.Header
	asked, size := req.Peek("Range"), x.blobSize
	if len(asked) == 0 || x.ctx.IsHead() || bytes.IndexByte(asked, ',') >= 0 || x.answer.Status != fasthttp.StatusOK {
		return 0, size, x.answer.Status
	}
	if only := req.Peek("If-Range"); len(only) > 0 && !bytes.Equal(only, x.ctx.Response.Header.Peek("ETag")) {
		return 0, size, fasthttp.StatusOK
	}
	first, last, ok := strings.Cut(strings.TrimPrefix(string(asked), "bytes="), "-")
	from, err1 := position(first)
	to, err2 := position(last)
	switch {
	case !ok || !bytes.HasPrefix(asked, []byte("bytes=")) || err1 != nil || err2 != nil || first == "" && last == "" || first != "" && last != "" && to < from:
		return 0, size, fasthttp.StatusOK // no range, or in a unit that is not ours: as if nothing was asked
	case first == "": // the last ones
		from, to = max(0, size-to), size
	case last == "":
		to = size
	default:
		to = min(to, size-1) + 1
	}
	if from >= size {
		return 0, 0, fasthttp.StatusRequestedRangeNotSatisfiable
	}
	return from, to, fasthttp.StatusPartialContent
}

// position reads a position in a blob, 0 if there is none; a large one is behind all.
func position(text string) (int64, error) {
	if strings.Trim(text, "0123456789") != "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(text, 10, 62)
	if text == "" || errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return n, err
}

// writeMore lets an answer take longer as long as the client takes it.
func (x *exchange) writeMore() func() {
	conn, limit := x.ctx.Conn(), x.gateway.config.WriteLimit
	return func() { _ = conn.SetWriteDeadline(time.Now().Add(limit)) } // fails on a broken connection, as writing will
}

// A blobReader reads a part of a blob, a chunk at a time, each in a transaction of its
// own: a client that takes hours holds up nothing. It outlives the exchange.
type blobReader struct {
	store         store.Store
	space, plugin string
	id            abi.BlobID
	at, end       int64
	room          []byte // of a chunk
	chunk         []byte // what of it is not taken
	alive         func()
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (n int, err error) {
	if len(r.chunk) == 0 {
		if r.at == r.end {
			return 0, io.EOF
		}
		if r.room, err = r.next(r.room[:0]); err != nil {
			return 0, err
		}
		r.chunk = r.room
	}
	n = copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}

// whole returns the whole part.
func (r *blobReader) whole() (body []byte, err error) {
	body = make([]byte, 0, r.end-r.at)
	for err == nil && r.at < r.end {
		body, err = r.next(body)
	}
	return body, err
}

// next appends the next chunk to dst.
func (r *blobReader) next(dst []byte) ([]byte, error) {
	r.alive()
	before := len(dst)
	err := r.store.View(context.Background(), r.space, func(txn store.Txn) (err error) {
		dst, err = edge.AppendBlob(dst, txn, r.plugin, r.id, r.at, r.end-r.at)
		return err
	})
	if err == nil && len(dst) == before {
		err = errors.New("gateway: a blob has an empty chunk")
	}
	r.at += int64(len(dst) - before)
	return dst, err
}
