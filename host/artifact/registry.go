package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// patience is how long a registry may take.
type patience struct {
	total time.Duration // for all of it
	stall time.Duration // without a byte
	wait  time.Duration // between two attempts, at most
}

func defaultPatience() patience {
	return patience{total: 15 * time.Minute, stall: 30 * time.Second, wait: 2 * time.Second}
}

const (
	attempts     = 4 // that are made of what may pass
	maxRedirects = 5
)

// A session is what is done with a registry for one plugin.
type session struct {
	ref       Reference
	repo      *remote.Repository
	transport *http.Transport
	patience  patience
}

// newSession prepares to talk to a registry. sent is told of the bytes of a request
// whose body has as many as size.
func newSession(ref Reference, p patience, size int64, sent func(done, total int64)) (*session, error) {
	credential, err := dockerCredentials()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: min(p.stall, 10*time.Second)}).DialContext,
		TLSHandshakeTimeout:    min(p.stall, 10*time.Second),
		ResponseHeaderTimeout:  p.stall,
		MaxResponseHeaderBytes: 256 << 10,
		DisableCompression:     true, // digests are of what is sent
		ForceAttemptHTTP2:      true,
	}
	policy := &retry.GenericPolicy{
		Retryable: transient, Backoff: retry.DefaultBackoff,
		MinWait: min(p.wait, 200*time.Millisecond), MaxWait: p.wait, MaxRetry: attempts - 1,
	}
	client := &auth.Client{
		Client: &http.Client{
			Transport: &retry.Transport{
				Base:   &guard{base: transport, local: ref.local(), size: size, sent: sent},
				Policy: func() retry.Policy { return policy },
			},
			CheckRedirect: func(_ *http.Request, via []*http.Request) error {
				if len(via) > maxRedirects {
					return fmt.Errorf("more than %d redirects", maxRedirects)
				}
				return nil
			},
		},
		Credential: credential,
		Cache:      auth.NewCache(),
	}
	client.SetUserAgent("edgeset")
	return &session{ref: ref, transport: transport, patience: p, repo: &remote.Repository{
		Client:           client,
		Reference:        registry.Reference{Registry: ref.Host, Repository: ref.Repository},
		PlainHTTP:        ref.local(),
		MaxMetadataBytes: maxManifest,
	}}, nil
}

func (s *session) close() { s.transport.CloseIdleConnections() }

// dockerCredentials are those of docker's configuration, which other tools for
// registries share.
func dockerCredentials() (auth.CredentialFunc, error) {
	dir := os.Getenv("DOCKER_CONFIG")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, nil // such as a service without a home: nobody has logged in
		}
		dir = filepath.Join(home, ".docker")
	}
	file := filepath.Join(dir, "config.json")
	store, err := credentials.NewStore(file, credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("credentials for registries: %s: %w", file, err)
	}
	return credentials.Credential(store), nil
}

// transient tells whether a request is worth another attempt.
func transient(resp *http.Response, err error) (bool, error) {
	if err == nil {
		return resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500, nil
	}
	return cutOff(err), nil
}

// cutOff tells whether an error is that of a connection, which another one may not
// have.
func cutOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// A guard keeps requests, and the credentials in them, to TLS, except those to a
// registry on this machine; and a registry that is elsewhere has nothing asked of
// this machine. The registry chooses where redirects, tokens and uploads lead to.
type guard struct {
	base  http.RoundTripper
	local bool
	size  int64
	sent  func(done, total int64)
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	here := leadsHere(req.URL.Hostname())
	switch {
	case req.URL.Scheme != "https" && !(g.local && loopback(req.URL.Hostname())):
		return nil, fmt.Errorf("it leads to %s over %s: want https", clean(req.URL.Host), clean(req.URL.Scheme))
	case here && !g.local:
		return nil, fmt.Errorf("it leads to %s, which is this machine", clean(req.URL.Host))
	}
	if g.sent != nil && req.Body != nil && req.ContentLength == g.size {
		req = req.Clone(req.Context()) // a RoundTripper may not change what it is given
		req.Body = &countedBody{ReadCloser: req.Body, total: g.size, report: g.sent}
	}
	return g.base.RoundTrip(req)
}

// A countedBody reports how much of it was read.
type countedBody struct {
	io.ReadCloser
	done, total int64
	report      func(done, total int64)
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.done += int64(n)
		b.report(b.done, b.total)
	}
	return n, err
}

// explain makes a sentence of what went wrong with a registry. All of it that the
// registry has said is made fit to be printed.
func (s *session) explain(ctx context.Context, err error) error {
	host := s.ref.Host
	var answer *errcode.ErrorResponse
	var broken *url.Error
	var stalled *stallError
	switch {
	case errors.As(err, &stalled):
		return stalled
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &answer):
		said := clean(http.StatusText(answer.StatusCode))
		if len(answer.Errors) > 0 {
			said = clean(answer.Errors.Error())
		}
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fmt.Errorf("%s refuses it (%d: %s); want credentials for %[1]s in docker's config.json: \"docker login %[1]s\" or \"oras login %[1]s\"", host, answer.StatusCode, said)
		}
		return fmt.Errorf("%s answers %d: %s", host, answer.StatusCode, said)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return fmt.Errorf("%s wants to know who asks; want credentials for it in docker's config.json: \"docker login %[1]s\" or \"oras login %[1]s\"", host)
	case errors.Is(err, errdef.ErrNotFound):
		return fmt.Errorf("%s does not have it (404); want a repository and a tag, or digest, that are there", host)
	case errors.Is(err, content.ErrMismatchedDigest):
		return fmt.Errorf("%s sends other bytes than those of that digest", host)
	case errors.Is(err, content.ErrTrailingData):
		return fmt.Errorf("%s sends more bytes than it has said", host)
	case cutOff(err):
		return fmt.Errorf("%s ends the connection in the middle", host)
	case errors.As(err, &broken):
		return fmt.Errorf("%s cannot be asked: %s", host, clean(broken.Err.Error()))
	}
	return fmt.Errorf("%s: %s", host, clean(err.Error()))
}

// clean makes a text of a stranger fit for a terminal and a log: short, and without
// control characters.
func clean(s string) string {
	const most = 300
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, " "))
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strings.TrimSpace(s)
}
