package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/valyala/fasthttp"
)

// Deployments are what the host serves, and how that is changed. A change whose
// context ends is given up as long as it has not shown: never halfway.
type Deployments interface {
	Deploy(ctx context.Context, r *rollout.Request) (*rollout.Result, error)
	Rollback(ctx context.Context, name string, number int, ch rollout.Change) (*rollout.Result, error)
	Promote(ctx context.Context, name string, share float64, ch rollout.Change) (*rollout.Result, error)
	Abort(ctx context.Context, name string, ch rollout.Change) (*rollout.Result, error)
	Remove(ctx context.Context, name string, ch rollout.Change) (*rollout.Result, error)

	List() (list []rollout.Status, revision int64)
	Status(name string) (rollout.Status, bool)
	Versions(ctx context.Context, name string) ([]rollout.Version, error)
	Version(ctx context.Context, name string, number int) (*rollout.Version, error)
	Audit(ctx context.Context, before string, limit int) ([]rollout.Entry, error)

	SetSecret(ctx context.Context, deployment, plugin, name, value string, ch rollout.Change) error
	DeleteSecret(ctx context.Context, deployment, plugin, name string, ch rollout.Change) error
	Secrets(ctx context.Context, deployment string) ([]secret.Entry, error)
}

// What people say of themselves and of a change is kept, and shown on terminals.
const (
	maxBy      = 200
	maxMessage = 2000
)

// said is what a client says of a change that it asks for.
type said struct {
	By      string `json:"by"`
	Message string `json:"message"`
	Insist  bool   `json:"insist"`
}

// saidInQuery is what the query says, of a request whose body is none or a secret.
func saidInQuery(ctx *fasthttp.RequestCtx) said {
	q := ctx.QueryArgs()
	return said{By: string(q.Peek("by")), Message: string(q.Peek("message")), Insist: q.GetBool("insist")}
}

// change is what a client asks for, with what it saw of it before.
func change(ctx *fasthttp.RequestCtx, c said) (ch rollout.Change, err error) {
	if !printable(c.By, maxBy, "") {
		return ch, badRequest("by: %.50q: want at most %d bytes of text, on one line.", c.By, maxBy)
	}
	if !printable(c.Message, maxMessage, "\n\t") {
		return ch, badRequest("message: %.50q: want at most %d bytes of text.", c.Message, maxMessage)
	}
	ch = rollout.Change{By: c.By, Message: c.Message, Insist: c.Insist, Remote: remote(ctx)}
	ch.Expect, err = expected(string(ctx.Request.Header.Peek("If-Match")))
	return ch, err
}

func printable(s string, limit int, also string) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsPrint(r) && !strings.ContainsRune(also, r)
	})
}

func remote(ctx *fasthttp.RequestCtx) string { return ctx.RemoteIP().String() }

// expected reads If-Match: the revision in an ETag of ours, or 0 for any.
func expected(header string) (int64, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, nil
	}
	tag := strings.TrimPrefix(header, "W/")
	if len(tag) < 2 || tag[0] != '"' || strings.IndexByte(tag[1:], '"') != len(tag)-2 {
		return 0, badRequest("If-Match: %.50q: want the ETag of an answer, such as \"7\" with its quotes, or *.", header)
	}
	n, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	if err != nil || n <= 0 || tag != header || tag != etag(n) { // no answer of ours has it
		return 0, &errBody{412, "stale", fmt.Sprintf("If-Match: %.50q is not the current revision.", header)}
	}
	return n, nil
}

func etag(revision int64) string { return `"` + strconv.FormatInt(revision, 10) + `"` }

// watchEvery is how often it is looked whether the client of a change is still there.
const watchEvery = 250 * time.Millisecond

// gone tells whether the client of a connection has gone, as far as that can be told: one
// that is kept track of.
func gone(client net.Conn) bool {
	c, ok := client.(interface{ Gone() bool })
	return ok && c.Gone()
}

// watch returns a context that ends when the client goes away.
func (s *Server) watch(client net.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(s.ctx)
	go func() {
		t := time.NewTicker(watchEvery)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-t.C:
				if gone(client) {
					cancel(errGone)
					return
				}
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// errGone ends a change that nobody waits for any more.
var errGone = errors.New("the client has gone away")

// fail tells why something was not done.
func fail(ctx *fasthttp.RequestCtx, err error) {
	status, code, message := explain(err)
	problem(ctx, status, code, message)
}

// explain says what an error means to a client. Plugins and registries have a part in
// its text, and it is shown on terminals.
func explain(err error) (status int, code, message string) {
	status, code = kind(err)
	return status, code, strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, err.Error())
}

func kind(err error) (status int, code string) {
	var body *errBody
	var invalid *rollout.InvalidError
	switch {
	case errors.As(err, &body):
		return body.status, body.code
	case errors.As(err, &invalid), errors.Is(err, secret.ErrInvalid):
		return 422, "invalid"
	case errors.Is(err, rollout.ErrNotFound), errors.Is(err, outbox.ErrUnknown):
		return 404, "not_found"
	case errors.Is(err, rollout.ErrStale):
		return 412, "stale"
	case errors.Is(err, rollout.ErrRefused), errors.Is(err, outbox.ErrState):
		return 409, "refused"
	}
	return 500, "internal"
}

// A doing does what a client asks for, and tells how far it has come.
type doing func(ctx context.Context, progress func(rollout.Event)) (*rollout.Result, error)

// carryOut does it and answers, as a stream if the client wants one.
func (s *Server) carryOut(ctx *fasthttp.RequestCtx, do doing) {
	client := ctx.Conn()
	do = s.guarded(do)
	if strings.Contains(string(ctx.Request.Header.Peek("Accept")), ndjson) {
		s.stream(ctx, client, do)
		return
	}
	watched, cancel := s.watch(client)
	defer cancel()
	result, err := do(watched, nil)
	if err != nil {
		fail(ctx, err)
		return
	}
	answer(ctx, result)
}
