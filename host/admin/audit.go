package admin

import (
	"strconv"

	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

// How much of the audit log an answer has.
const (
	defaultEntries = 100
	maxEntries     = 1000
)

// audit answers a page of the audit log, the newest first. What is called next there is
// the before of the page behind it.
func (s *Server) audit(ctx *fasthttp.RequestCtx, _ []string) {
	q := ctx.QueryArgs()
	limit := defaultEntries
	if text := string(q.Peek("limit")); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxEntries {
			fail(ctx, badRequest("limit: %.50q: want 1 to %d.", text, maxEntries))
			return
		}
		limit = n
	}
	before := string(q.Peek("before"))
	if !printable(before, 200, "") {
		fail(ctx, badRequest("before: want the id of an entry."))
		return
	}
	list, err := s.config.Deployments.Audit(s.ctx, before, limit)
	if err != nil {
		fail(ctx, err)
		return
	}
	page := struct {
		Entries []rollout.Entry `json:"entries"`
		Next    string          `json:"next,omitempty"`
	}{Entries: list}
	if list == nil {
		page.Entries = []rollout.Entry{}
	}
	if len(list) == limit {
		page.Next = list[limit-1].ID
	}
	answer(ctx, page)
}
