package bed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/bench"
)

// Clients is how many requests are under way at a time in a Side.
const Clients = 16

// Do makes a request that must succeed, and reads what is under "response" of
// the answer into response, unless that is nil.
func (b *Bed) Do(method, path string, body []byte, response any) {
	b.tb.Helper()
	text := b.Ask(b.Token, method, path, body)
	if response == nil {
		return
	}
	reply := struct{ Response any }{response}
	if err := json.Unmarshal(text, &reply); err != nil {
		b.tb.Fatalf("%s %s: %v: %.300s", method, path, err, text)
	}
}

// Ask makes a request that must succeed, and returns the body of the answer. token
// is what it carries, "" for none.
func (b *Bed) Ask(token, method, path string, body []byte) []byte {
	b.tb.Helper()
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	must(b.tb, b.send(req, resp, method, path, token, body))
	return bytes.Clone(resp.Body())
}

func (b *Bed) send(req *fasthttp.Request, resp *fasthttp.Response, method, path, token string, body []byte) error {
	req.Header.SetMethod(method)
	req.SetRequestURI("http://" + b.addr + path)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.SetBodyRaw(body)
	if err := b.client.Do(req, resp); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode() >= 300 {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode(), resp.Body())
	}
	return nil
}

// Each returns a side of Clients that make requests side by side. next says
// what a client's next request is.
func (b *Bed) Each(method string, next func(client int) (path, token string, body []byte)) bench.Side {
	return b.EachOf(Clients, method, next)
}

// EachOf is Each for so many clients.
func (b *Bed) EachOf(clients int, method string, next func(client int) (path, token string, body []byte)) bench.Side {
	return func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var failed atomic.Pointer[error]
		var wg sync.WaitGroup
		for client := range clients {
			wg.Go(func() {
				req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				defer fasthttp.ReleaseRequest(req)
				defer fasthttp.ReleaseResponse(resp)
				for left.Add(-1) >= 0 {
					path, token, body := next(client)
					if err := b.send(req, resp, method, path, token, body); err != nil {
						failed.Store(&err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := failed.Load(); err != nil {
			b.tb.Fatal(*err)
		}
	}
}

// Getter returns a side that reads one path.
func (b *Bed) Getter(path string) bench.Side {
	return b.Each("GET", func(int) (string, string, []byte) { return path, b.Token, nil })
}
