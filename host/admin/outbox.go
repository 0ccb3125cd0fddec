package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/text"
	"github.com/valyala/fasthttp"
)

// An Outbox is what plugins have dispatched, by deployment.
type Outbox interface {
	List(ctx context.Context, deployment string, q outbox.Query) (outbox.Listing, error)
	Get(ctx context.Context, deployment, id string) (*outbox.Entry, error)
	Retry(ctx context.Context, deployment, id string) error
	RetryAll(ctx context.Context, deployment string, q outbox.Query) (n int, err error)
	Discard(ctx context.Context, deployment, id string) error
	Collect(fn func(outbox.Stat))
}

// An OutboxPage is a page of the outbox of a deployment, the newest entries first.
type OutboxPage struct {
	Ways    []OutboxWay   `json:"ways"`
	Entries []OutboxEntry `json:"entries"`
	Next    string        `json:"next,omitempty"` // the after of the page behind it
}

// An OutboxWay counts what goes in one way: what is queued now, and what has been done
// since the start of the host.
type OutboxWay struct {
	Via      string    `json:"via"`
	Queued   int       `json:"queued"`
	Oldest   time.Time `json:"oldest,omitzero"` // when what is queued the longest was dispatched
	Attempts uint64    `json:"attempts"`
	Retried  uint64    `json:"retried"`
	Sent     uint64    `json:"sent"`
	Failed   uint64    `json:"failed"`
}

// An OutboxEntry is what a plugin has dispatched, and what has become of it.
type OutboxEntry struct {
	ID       string         `json:"id"`
	Plugin   string         `json:"plugin"`
	Key      string         `json:"key"`
	Via      string         `json:"via"`
	To       string         `json:"to"`
	Subject  string         `json:"subject,omitempty"`
	State    outbox.State   `json:"state"`
	Attempts int            `json:"attempts"`
	Reason   string         `json:"reason,omitempty"`
	Created  time.Time      `json:"created"`
	Due      time.Time      `json:"due,omitzero"`
	Until    time.Time      `json:"until,omitzero"`
	Ended    time.Time      `json:"ended,omitzero"`
	Told     bool           `json:"told"`
	Message  *OutboxMessage `json:"message,omitempty"` // of one that is asked for by its id, and is not sent
}

// An OutboxMessage is what is delivered.
type OutboxMessage struct {
	Sender string          `json:"sender,omitempty"`
	Text   string          `json:"text,omitempty"`
	HTML   string          `json:"html,omitempty"`
	Locale string          `json:"locale,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"` // of a webhook
}

// maxOutboxEntries is how many entries of the outbox an answer has.
const maxOutboxEntries = 500

// entries answers a page of the outbox.
func (s *Server) entries(ctx *fasthttp.RequestCtx, at []string) {
	q, err := outboxQuery(ctx)
	if err == nil {
		err = s.hasOutbox(at[0])
	}
	if err != nil {
		fail(ctx, err)
		return
	}
	watched, cancel := s.watch(ctx.Conn())
	defer cancel()
	list, err := s.config.Outbox.List(watched, at[0], q)
	if err != nil {
		fail(ctx, err)
		return
	}
	page := OutboxPage{Ways: s.ways(at[0]), Entries: make([]OutboxEntry, len(list.Entries)), Next: list.Next}
	for i := range list.Entries {
		page.Entries[i] = outboxEntry(&list.Entries[i])
	}
	answer(ctx, page)
}

// entry answers one entry of the outbox, with what is delivered.
func (s *Server) entry(ctx *fasthttp.RequestCtx, at []string) {
	if err := s.hasOutbox(at[0]); err != nil {
		fail(ctx, err)
		return
	}
	e, err := s.config.Outbox.Get(s.ctx, at[0], at[1])
	if err != nil {
		fail(ctx, err)
		return
	}
	shown := outboxEntry(e)
	if e.Message != nil {
		if shown.Message, err = outboxMessage(e.Message); err != nil {
			fail(ctx, fmt.Errorf("admin: the body of entry %s: %w", e.ID, err))
			return
		}
	}
	answer(ctx, shown)
}

func (s *Server) retryEntry(ctx *fasthttp.RequestCtx, at []string) {
	s.done(ctx, s.changeOutbox(ctx, at[0], "outbox retry", at[1], func(ctx context.Context) error {
		return s.config.Outbox.Retry(ctx, at[0], at[1])
	}))
}

func (s *Server) discardEntry(ctx *fasthttp.RequestCtx, at []string) {
	s.done(ctx, s.changeOutbox(ctx, at[0], "outbox discard", at[1], func(ctx context.Context) error {
		return s.config.Outbox.Discard(ctx, at[0], at[1])
	}))
}

// retryEntries has all that has failed and that the query means delivered again, and
// answers how many entries that were.
func (s *Server) retryEntries(ctx *fasthttp.RequestCtx, at []string) {
	q, err := outboxQuery(ctx)
	switch {
	case err != nil:
	case q.State != "" && q.State != outbox.StateFailed:
		err = badRequest("state: %q: want failed, or none: only what has failed is tried again.", q.State)
	case q.After != "" || q.Limit != 0:
		err = badRequest("after, limit: want neither: all that has failed is tried again, by via and to.")
	}
	if err != nil {
		fail(ctx, err)
		return
	}
	q.State = outbox.StateFailed
	what := "all"
	if q.Via != "" {
		what += " by " + q.Via
	}
	if q.To != "" {
		what += " to " + q.To
	}
	var retried struct {
		Retried int `json:"retried"`
	}
	err = s.changeOutbox(ctx, at[0], "outbox retry", what, func(ctx context.Context) (err error) {
		retried.Retried, err = s.config.Outbox.RetryAll(ctx, at[0], q)
		return err
	})
	if err != nil {
		fail(ctx, err)
		return
	}
	answer(ctx, retried)
}

// changeOutbox changes something of the outbox of a deployment, and records that.
func (s *Server) changeOutbox(ctx *fasthttp.RequestCtx, deployment, action, what string, do func(context.Context) error) error {
	ch, err := change(ctx, saidInQuery(ctx))
	switch {
	case err != nil:
	case ch.Expect != 0:
		err = badRequest("If-Match: the outbox has no revision; want none.")
	default:
		err = s.hasOutbox(deployment)
	}
	if err != nil {
		return err
	}
	watched, cancel := s.watch(ctx.Conn())
	defer cancel()
	err = do(watched)
	e := rollout.Entry{At: time.Now().UTC(), By: ch.By, Remote: ch.Remote, Action: action, Deployment: deployment, Message: what}
	if ch.Message != "" {
		e.Message += ": " + ch.Message
	}
	if err != nil {
		e.Error = err.Error()
	}
	if s.config.Note != nil {
		s.config.Note(e)
	}
	return err
}

// hasOutbox tells why there is no outbox of a deployment. A deployment that was removed
// still has its own.
func (s *Server) hasOutbox(deployment string) error {
	if s.config.Outbox == nil {
		return &errBody{501, "not_implemented", "This host has no outbox."}
	}
	if _, ok := s.config.Deployments.Status(deployment); !ok {
		return noDeployment(deployment)
	}
	return nil
}

func outboxQuery(ctx *fasthttp.RequestCtx) (q outbox.Query, err error) {
	args := ctx.QueryArgs()
	q = outbox.Query{State: outbox.State(args.Peek("state")), Via: string(args.Peek("via")), To: string(args.Peek("to")), After: string(args.Peek("after"))}
	switch q.State {
	case "", outbox.StateQueued, outbox.StateSent, outbox.StateFailed:
	default:
		return q, badRequest("state: %.50q: want queued, sent or failed.", q.State)
	}
	for _, f := range []struct {
		name, value string
		most        int
	}{{"via", q.Via, 100}, {"to", q.To, abi.MaxRecipient}, {"after", q.After, 200}} {
		if !printable(f.value, f.most, "") {
			return q, badRequest("%s: %.50q: want at most %d bytes of text, on one line.", f.name, f.value, f.most)
		}
	}
	if given := string(args.Peek("limit")); given != "" {
		if q.Limit, err = strconv.Atoi(given); err != nil || q.Limit < 1 || q.Limit > maxOutboxEntries {
			return q, badRequest("limit: %.50q: want 1 to %d.", given, maxOutboxEntries)
		}
	}
	return q, nil
}

// ways counts what a deployment delivers.
func (s *Server) ways(deployment string) []OutboxWay {
	list := []OutboxWay{}
	s.config.Outbox.Collect(func(c outbox.Stat) {
		if c.Deployment == deployment {
			list = append(list, OutboxWay{Via: c.Via, Queued: c.Queued, Oldest: c.Oldest.UTC(), Attempts: c.Attempts, Retried: c.Retried, Sent: c.Sent, Failed: c.Failed})
		}
	})
	slices.SortFunc(list, func(a, b OutboxWay) int { return cmp.Compare(a.Via, b.Via) })
	return list
}

func outboxEntry(e *outbox.Entry) OutboxEntry {
	return OutboxEntry{ID: e.ID, Plugin: e.Plugin, Key: e.Key, Via: e.Via, To: e.To, Subject: e.Subject, State: e.State, Attempts: e.Attempts, Reason: e.Reason,
		Created: e.Created.UTC(), Due: e.Due.UTC(), Until: e.Until.UTC(), Ended: e.Ended.UTC(), Told: e.Told}
}

func outboxMessage(d *abi.Dispatch) (*OutboxMessage, error) {
	m := &OutboxMessage{Sender: d.Sender, Text: d.Text, HTML: d.HTML, Locale: d.Locale}
	if d.Via == abi.GrantMail || len(d.Body) == 0 {
		return m, nil
	}
	body, err := text.AppendJSON(nil, d.Body)
	m.Body = body
	return m, err
}
