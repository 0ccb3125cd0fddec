package gateway

import (
	"crypto/rand"
	"encoding/hex"
	"strconv"
	"sync/atomic"

	"github.com/valyala/fasthttp"
)

// requestIDs makes the ids by which a request is found in the log: a random
// name of this process, and a count.
type requestIDs struct {
	process string
	last    atomic.Uint64
}

func (r *requestIDs) init() {
	var b [4]byte
	rand.Read(b[:])
	r.process = hex.EncodeToString(b[:])
}

// append appends the id that the client, or a proxy before us, gave the
// request; a new one if it gave none that can stand in a log.
func (r *requestIDs) append(dst []byte, ctx *fasthttp.RequestCtx) []byte {
	if given := ctx.Request.Header.Peek("X-Request-Id"); len(given) > 0 && len(given) <= 64 && plain(given) {
		return append(dst, given...)
	}
	dst = append(append(dst, r.process...), '-')
	return strconv.AppendUint(dst, r.last.Add(1), 36)
}

func plain(id []byte) bool {
	for _, c := range id {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return true
}
