// Package load is an open-loop HTTP load generator: requests start when a
// schedule says so, whatever the server does.
//
// A generator that waits for an answer before it sends the next request slows
// down with the server: the requests that it should have sent meanwhile, the
// slow ones, are missing from its figures ("coordinated omission"). Here each
// request has a time at which it is due, and its latency counts from then. A
// request that finds every connection busy waits, and the wait is part of its
// latency; none is left out.
package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// A Config says what is sent. Addr, Rate, Duration and Connections must be set.
type Config struct {
	Addr        string        // host:port of the server, plain HTTP
	Rate        float64       // requests due a second
	Duration    time.Duration // requests are due from 0 until this time
	Connections int           // so many requests at most are under way at once

	// Poisson spreads the due times as independent clients would, with Rate as
	// the mean. Otherwise they are evenly apart.
	Poisson bool
	// Seed chooses the due times of Poisson: equal seeds, equal times.
	Seed uint64

	// Timeout bounds a request from the time it is sent (10 s).
	Timeout time.Duration
	// Drain bounds the time, after Duration, in which requests that are still
	// due may start (10 s). What is left then is counted as Unsent.
	Drain time.Duration

	// OK says whether request n was answered as it should be (status 200 to
	// 299). It is called by many goroutines and keeps nothing of the response.
	OK func(n int, resp *fasthttp.Response) bool
}

// A Prepare fills in request n, which is empty but for its host. Requests are
// numbered from 0 in the order in which they are due. It is called by many
// goroutines, on the time of the request: it should do little.
type Prepare func(n int, req *fasthttp.Request)

// ErrConfig is wrapped by the error for a Config that cannot be run.
var ErrConfig = errors.New("load: wrong configuration")

func (c *Config) check() error {
	switch {
	case c.Addr == "":
		return fmt.Errorf("%w: no Addr", ErrConfig)
	case !(c.Rate > 0 && c.Rate <= 1e6):
		return fmt.Errorf("%w: Rate %v: want more than 0, at most a million", ErrConfig, c.Rate)
	case c.Duration <= 0:
		return fmt.Errorf("%w: Duration %v: want more than 0", ErrConfig, c.Duration)
	case c.Connections < 1:
		return fmt.Errorf("%w: Connections %d: want 1 or more", ErrConfig, c.Connections)
	case c.Timeout < 0 || c.Drain < 0:
		return fmt.Errorf("%w: negative Timeout or Drain", ErrConfig)
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Drain == 0 {
		c.Drain = 10 * time.Second
	}
	if c.OK == nil {
		c.OK = func(_ int, resp *fasthttp.Response) bool { return resp.StatusCode()/100 == 2 }
	}
	return nil
}

// Run sends the requests and returns when all have been answered, or have
// failed, or ctx has ended. It opens its connections on the first requests and
// closes them at the end. The error is of the Config, or of ctx: then the result
// holds what there was until then. Whether the server did well is in the result
// alone.
func Run(ctx context.Context, config Config, prepare Prepare) (*Result, error) {
	if err := config.check(); err != nil {
		return nil, err
	}
	client := &fasthttp.HostClient{
		Addr:                      config.Addr,
		MaxConns:                  config.Connections,
		MaxIdleConnDuration:       time.Hour, // longer than any run: closed below
		ReadTimeout:               config.Timeout,
		WriteTimeout:              config.Timeout,
		MaxIdemponentCallAttempts: 1, // a second try would be a request that was not due
		NoDefaultUserAgentHeader:  true,
		DisablePathNormalizing:    true,
	}
	defer client.CloseIdleConnections()

	record := newRecord()
	calls := make(chan call)
	var workers sync.WaitGroup
	for range config.Connections {
		workers.Go(func() {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			defer fasthttp.ReleaseRequest(req)
			defer fasthttp.ReleaseResponse(resp)
			for c := range calls {
				req.Reset()
				req.Header.SetHost(config.Addr)
				prepare(c.n, req)
				sent := time.Now()
				err := client.DoTimeout(req, resp, config.Timeout)
				done := time.Now()
				ok := err == nil && config.OK(c.n, resp)
				record.answer(ok, resp.StatusCode(), err, sent.Sub(c.due), done.Sub(c.due))
			}
		})
	}

	start := time.Now()
	err := pace(ctx, &config, start, calls, record)
	close(calls)
	workers.Wait()
	return record.result(max(time.Since(start), config.Duration)), err
}
