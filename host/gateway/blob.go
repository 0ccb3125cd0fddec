package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
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
		resp.Header.Set("Content-Range", "bytes */"+strconv.FormatInt(x.blobSize, 10))
		resp.Header.Del("Cache-Control") // which is about the blob, and not about this
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
		body, err := io.ReadAll(part)
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
	first, last, err := fasthttp.ParseByteRange(asked, int(size))
	if err != nil || first > last {
		if !bytes.HasPrefix(asked, []byte("bytes=")) {
			return 0, size, fasthttp.StatusOK // in a unit that is not ours
		}
		return 0, 0, fasthttp.StatusRequestedRangeNotSatisfiable
	}
	return int64(first), int64(last) + 1, fasthttp.StatusPartialContent
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
	chunk         []byte // what is read and not taken
	alive         func()
}

// Read implements io.Reader.
func (r *blobReader) Read(p []byte) (int, error) {
	if len(r.chunk) == 0 {
		if r.at == r.end {
			return 0, io.EOF
		}
		r.alive()
		err := r.store.View(context.Background(), r.space, func(txn store.Txn) (err error) {
			r.chunk, err = edge.AppendBlob(r.chunk[:0], txn, r.plugin, r.id, r.at, r.end-r.at)
			return err
		})
		if err == nil && len(r.chunk) == 0 {
			err = errors.New("gateway: a blob has an empty chunk")
		}
		if err != nil {
			return 0, err
		}
		r.at += int64(len(r.chunk))
	}
	n := copy(p, r.chunk)
	r.chunk = r.chunk[n:]
	return n, nil
}
