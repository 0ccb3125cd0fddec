// Package webhook delivers what plugins dispatch by calling a URL: a gateway for text
// messages, or whatever else an operator has. Calls are signed as Standard Webhooks says,
// and have JSON.
package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/edgeset/edgeset/host/outbox"
)

// A Config says what is called.
type Config struct {
	// URL has https, or http and an address of this machine.
	URL string
	// Secret signs calls: "whsec_" and base64, or any bytes.
	Secret []byte
}

const (
	attemptTime    = 30 * time.Second // bounds an attempt, whatever its context allows
	connections    = 16               // at a time
	idleTime       = 30 * time.Second // how long a connection is kept for the next call
	maxHeader      = 64 << 10         // bytes of a reply's
	maxURL         = 2 << 10
	secretPrefix   = "whsec_"
	idempotencyKey = "Idempotency-Key"
	attemptHeader  = "Edgeset-Attempt"
)

// A Transport calls a webhook.
type Transport struct {
	url     string
	shown   string   // the URL without what may be secret
	secrets []string // what is left out, as it may stand in answers
	client  *http.Client
	signer  *standardwebhooks.Webhook
}

var _ outbox.Transport = (*Transport)(nil)

// New makes a transport. It does not connect yet.
func New(c Config) (*Transport, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || len(c.URL) > maxURL:
		return nil, errors.New(`webhook: want a URL such as "https://sms.example.com/send"`)
	case !validPort(u):
		return nil, fmt.Errorf("webhook %.100q: want a port of 1 to 65535, or none", u.Host)
	case u.User != nil:
		return nil, fmt.Errorf("webhook %.100q: want no user and no password in the URL: calls are signed", u.Host)
	case u.Fragment != "":
		return nil, fmt.Errorf("webhook %.100q: want no # in the URL", u.Host)
	case u.Scheme == "https":
	case u.Scheme != "http":
		return nil, fmt.Errorf("webhook %.100q: scheme %.20q: want https", u.Host, u.Scheme)
	case !isLoopback(u.Hostname()):
		return nil, fmt.Errorf("webhook %.100q: want https: http is for an address of this machine", u.Host)
	}
	secret, err := key(c.Secret)
	if err != nil {
		return nil, fmt.Errorf("webhook %.100q: %w", u.Host, err)
	}
	signer, err := standardwebhooks.NewWebhookRaw(secret)
	if err != nil {
		return nil, fmt.Errorf("webhook %.100q: %w", u.Host, err)
	}
	dialer := &net.Dialer{}
	if u.Scheme == "http" {
		dialer.Control = loopbackOnly
	}
	return &Transport{
		url: u.String(), shown: u.Scheme + "://" + u.Host, secrets: secretParts(u), signer: signer,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:       nil, // not the environment's
				DialContext: dialer.DialContext, ForceAttemptHTTP2: true, DisableCompression: true,
				MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: idleTime,
				MaxResponseHeaderBytes: maxHeader,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Deliver implements outbox.Transport.
func (t *Transport) Deliver(ctx context.Context, m *outbox.Message) error {
	body, err := payload(m)
	if err != nil {
		return outbox.Refused("webhook: %v", err)
	}
	now := time.Now()
	signature, err := t.signer.Sign(m.ID, now, body)
	if err != nil {
		return &outbox.Failure{Reason: "the call cannot be signed", Detail: t.shown + ": " + err.Error()}
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.url, bytes.NewReader(body))
	if err != nil {
		return &outbox.Failure{Reason: "the call cannot be made", Detail: t.shown + ": the call cannot be made"}
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "edgeset", "Accept": "*/*",
		standardwebhooks.HeaderWebhookID:        m.ID,
		standardwebhooks.HeaderWebhookTimestamp: strconv.FormatInt(now.Unix(), 10),
		standardwebhooks.HeaderWebhookSignature: signature,
		// One that is the same in each attempt, so the client may also repeat a call
		// on a connection that was closed meanwhile.
		idempotencyKey: m.ID,
		attemptHeader:  strconv.Itoa(m.Attempt),
	} {
		req.Header.Set(name, value)
	}
	res, err := t.client.Do(req)
	if err != nil {
		return t.unreachable(ctx, err)
	}
	defer res.Body.Close()
	return t.judge(res, now)
}

// Close implements outbox.Transport.
func (t *Transport) Close() error {
	t.client.CloseIdleConnections()
	return nil
}

// key returns what signs calls.
func key(secret []byte) ([]byte, error) {
	text := strings.TrimSpace(string(secret))
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok {
		if len(secret) == 0 {
			return nil, errors.New(`want a secret: "whsec_" and base64, or any bytes`)
		}
		return secret, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(decoded) == 0 {
		return nil, errors.New(`secret: want base64 behind "whsec_"`)
	}
	return decoded, nil
}

// validPort tells whether a URL has a port that there can be, or none.
func validPort(u *url.URL) bool {
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return u.Port() == "" || err == nil && n > 0
}

// isLoopback tells whether a host name is one of this machine.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// loopbackOnly refuses to connect to other machines, whatever a name stands for.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !a.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("%s is not an address of this machine: want https", address)
	}
	return nil
}
