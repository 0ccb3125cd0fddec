package edge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
)

// maxFetchError bounds what a plugin is told of a request that failed.
const maxFetchError = 500

// Fetch implements abi.Host.
func (c *Call) Fetch(f *abi.Fetch) (*abi.FetchReply, error) {
	q := &extism.HTTPRequest{Method: f.Method, URL: f.URL, Header: http.Header{}, Body: f.Body,
		NoFollow: !f.Follow, MaxReply: int64(f.MaxReply)}
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	// A tenth of the time that the call has left remains, in which the plugin can
	// say that no reply came, and keep count of that.
	if deadline, ok := c.ctx.Deadline(); ok {
		q.Within = max(time.Until(deadline)*9/10, 1)
	}
	f.Headers.Each(func(name, value []byte) bool {
		q.Header.Add(string(name), string(value))
		return true
	})
	reply, err := c.fetch(q)
	if err != nil {
		// What ends the call is not for the plugin to deal with.
		if c.ctx.Err() != nil {
			return nil, c.over(context.Cause(c.ctx))
		}
		why := err.Error()
		return &abi.FetchReply{Error: why[:min(len(why), maxFetchError)], Denied: errors.Is(err, abi.ErrDenied)}, nil
	}
	size := len(reply.Body)
	var headers abi.Writer
	headers.Array()
	for name, values := range reply.Header {
		for _, value := range values {
			headers.Text(name)
			headers.Text(value)
			size += len(name) + len(value)
		}
	}
	headers.End()
	return &abi.FetchReply{Status: reply.Status, URL: reply.URL, Headers: abi.Pairs(headers.Value()), Body: reply.Body}, c.spend(size)
}

// fetch sends a request, once, however often the call is run: its reply is
// recorded, and stays in memory until the request is answered.
//
// A plugin spends the time that a slow server takes inside of an instance. So
// only some of its instances may do so at a time: were it all of them, a stranger
// whose server does not answer could keep everybody else from being served.
func (c *Call) fetch(q *extism.HTTPRequest) (*extism.HTTPResponse, error) {
	if c.plugin.Egress == nil {
		return nil, fmt.Errorf("%w: egress to %s", abi.ErrDenied, q.URL)
	}
	if c.txn == nil {
		return nil, errors.New("outbound requests are made while a request is served, not at the start")
	}
	var header bytes.Buffer
	if err := q.Header.Write(&header); err != nil {
		return nil, err
	}
	how := fmt.Appendf(nil, "%v %d", q.NoFollow, q.MaxReply)
	ask := question("http", []byte(q.Method), []byte(q.URL), header.Bytes(), q.Body, how)
	return once(&c.memo, ask, func() (*extism.HTTPResponse, error) {
		if c.plugin.Fetching != nil {
			select {
			case c.plugin.Fetching <- struct{}{}:
				defer func() { <-c.plugin.Fetching }()
			default:
				return nil, fmt.Errorf("egress: %d outbound requests of plugin %q are under way, which is as many as may be", cap(c.plugin.Fetching), c.plugin.Name)
			}
		}
		return c.plugin.Egress.Do(c.ctx, q)
	})
}
