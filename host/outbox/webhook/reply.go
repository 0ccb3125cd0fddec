package webhook

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
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
	f := &outbox.Failure{Reason: t.shown + ": status " + strconv.Itoa(res.StatusCode)}
	if excerpt := reason.Line(string(body)); excerpt != "" {
		f.Reason += ": " + excerpt
	}
	switch code := res.StatusCode; {
	case code >= 300 && code <= 399:
		f.Reason = t.shown + ": status " + strconv.Itoa(code) + ": redirects are not followed"
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		f.After = retryAfter(res.Header.Get("Retry-After"), now)
	default:
		f.Permanent = true
	}
	return f
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
	return outbox.Failed("%s: %s", t.shown, reason.Of(ctx, err))
}
