package webhook

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/reason"
)

const (
	maxReply = 4 << 10 // bytes that are read
	maxWait  = 24 * time.Hour
)

// judge tells what a reply means: whether the other side has taken the message, may do so
// later, or never will.
func (t *Transport) judge(res *http.Response, now time.Time) error {
	// What cannot be read is not shown. The status has said what counts.
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxReply))
	if res.StatusCode >= 200 && res.StatusCode <= 299 {
		return nil
	}
	status := "status " + strconv.Itoa(res.StatusCode)
	f := &outbox.Failure{Reason: "the webhook: " + status, Detail: t.shown + ": " + status}
	excerpt := t.hide(string(body))
	if shown := reason.Line(excerpt); shown != "" {
		f.Detail += ": " + shown
	}
	switch code := res.StatusCode; {
	case code >= 300 && code <= 399:
		f.Detail = t.shown + ": " + status + ": redirects are not followed"
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		f.After = retryAfter(res.Header.Get("Retry-After"), now)
	default:
		f.Permanent = true
		if shown := reason.Public(excerpt); shown != "" && ofMessage(code) {
			f.Reason += ": " + shown
		}
	}
	return f
}

// ofMessage tells whether a status says something of the message or its recipient, and
// not of the operator's account or settings.
func ofMessage(code int) bool {
	switch code {
	case http.StatusBadRequest, http.StatusConflict, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// hide takes out of a text what it has of the URL that was called, as answers often do:
// there may be a key in that.
func (t *Transport) hide(s string) string {
	for _, part := range t.secrets {
		s = strings.ReplaceAll(s, part, "…")
	}
	return s
}

// secretParts are the parts of a URL that are not shown, the longer ones first.
func secretParts(u *url.URL) (parts []string) {
	add := func(least int, list ...string) {
		for _, part := range list {
			if len(part) >= least {
				parts = append(parts, part)
			}
		}
	}
	add(2, u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery)
	// What is shorter may be a word of any text.
	const word = 6
	add(word, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		add(word, values...)
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	return parts
}

// retryAfter reads how long to wait: seconds, or until a date. What is not understood is
// no wish, and what is too long is bounded.
func retryAfter(value string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(value, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(n, uint64(maxWait/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(value); err == nil {
		return min(max(date.Sub(now), 0), maxWait)
	}
	return 0
}

// unreachable tells why there was no reply, without the URL: it may have a key in it.
func (t *Transport) unreachable(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	return &outbox.Failure{Reason: "the webhook cannot be reached", Detail: t.shown + ": " + t.hide(reason.Of(ctx, err))}
}
