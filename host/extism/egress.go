package extism

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// The threat: a plugin, or a client whose URL a plugin fetches, uses the host to
// reach what the host can and it cannot: services on loopback, in the cluster,
// the cloud's metadata. A list of names does not stop that by itself. The name
// may resolve to an inner address, at once or the second time it is asked; a
// server on the list may redirect to one that is not; a proxy in the
// environment may do either. So the list is asked again for every connection
// and every redirect, the address is checked when it is dialled, after all
// resolving, and no proxy is ever used.

// Egress is a client for the outbound requests of one plugin, which reaches the
// hosts on a list and no others. It may be used concurrently.
type Egress struct {
	rules    []rule
	client   http.Client
	dialer   net.Dialer
	timeout  time.Duration
	maxReply int64
}

// Limits of an outbound request.
const (
	egressTimeout   = 10 * time.Second // all of it, with redirects and body
	egressMaxReply  = 8 << 20          // bytes of the body, after decompression
	egressMaxHeader = 64 << 10
	egressRedirects = 5
)

// NewEgress returns a client that reaches the hosts on the list. An entry is
//
//	api.example.com          on port 443 (https) or 80 (http)
//	*.example.com            any name below, but not example.com itself
//	api.example.com:8443     on this port alone
//	private:db.internal:8080 also if its address is a private one
//	*                        any name or address, on port 443 or 80
//
// and an address may stand for a name ("192.0.2.1", "[2001:db8::1]:8443").
// Without "private:" nothing is reached that is not a public unicast address:
// no loopback, no private network, no link-local (cloud metadata), whatever
// name leads there.
func NewEgress(hosts []string) (*Egress, error) {
	e := &Egress{timeout: egressTimeout, maxReply: egressMaxReply, dialer: net.Dialer{Timeout: egressTimeout}}
	for _, h := range hosts {
		r, err := parseRule(h)
		if err != nil {
			return nil, err
		}
		e.rules = append(e.rules, r)
	}
	e.client = http.Client{
		CheckRedirect: e.checkRedirect,
		Transport: &http.Transport{
			Proxy:                  nil, // not the environment's
			DialContext:            e.dial,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			MaxConnsPerHost:        64,
			IdleConnTimeout:        time.Minute,
			TLSHandshakeTimeout:    egressTimeout,
			MaxResponseHeaderBytes: egressMaxHeader,
		},
	}
	return e, nil
}

// Close drops connections that are kept for later requests.
func (e *Egress) Close() { e.client.CloseIdleConnections() }

// Do sends a request. That the list does not allow it shows as abi.ErrDenied.
func (e *Egress) Do(ctx context.Context, r *HTTPRequest) (*HTTPResponse, error) {
	switch r.Method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
	default:
		return nil, fmt.Errorf("egress: method %q: want GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", r.Method)
	}
	timeout := e.timeout
	if r.Within > 0 {
		timeout = min(timeout, r.Within)
	}
	ctx, cancel := detached(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, bytes.NewReader(r.Body))
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	if _, err = e.allowed(req.URL); err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	// These would change what the connection is.
	for _, name := range []string{"Connection", "Upgrade", "Proxy-Connection", "Proxy-Authorization", "Te", "Trailer"} {
		req.Header.Del(name)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "edgeset")
	}
	client := e.client
	if r.NoFollow {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	limit := e.maxReply
	if r.MaxReply > 0 {
		limit = min(limit, r.MaxReply)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("egress: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("egress: %s %s: %w", r.Method, r.URL, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("egress: %s %s: reply is larger than %d bytes", r.Method, r.URL, limit)
	}
	return &HTTPResponse{Status: resp.StatusCode, URL: resp.Request.URL.String(), Header: resp.Header, Body: body}, nil
}

// detached returns a context that ends with another one, or after a time, and
// does not hold on to it: a transport may keep what it is given for as long as
// it makes a connection, and the context of a call is used again by then.
func detached(parent context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	stop := context.AfterFunc(parent, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

func (e *Egress) checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > egressRedirects {
		return fmt.Errorf("more than %d redirects", egressRedirects)
	}
	if req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https" {
		return errors.New("redirect from https to http")
	}
	_, err := e.allowed(req.URL)
	return err
}

// allowed finds the rule that lets a URL be reached.
func (e *Egress) allowed(u *url.URL) (*rule, error) {
	ports := map[string]string{"http": "80", "https": "443"}
	port, ok := ports[u.Scheme]
	if !ok {
		return nil, fmt.Errorf("egress: %q: %w: want http or https", u.Redacted(), abi.ErrDenied)
	}
	if p := u.Port(); p != "" {
		port = p
	}
	r := e.match(u.Hostname(), port)
	if r == nil {
		return nil, fmt.Errorf("egress: %q: %w: host %s, port %s is not on the list", u.Redacted(), abi.ErrDenied, u.Hostname(), port)
	}
	return r, nil
}

func (e *Egress) match(host, port string) (found *rule) {
	host = canonicalHost(host)
	for i := range e.rules {
		if r := &e.rules[i]; r.match(host, port) && (found == nil || r.private) {
			found = r
		}
	}
	return found
}

// Covers tells whether all that an entry of another list allows is allowed.
func (e *Egress) Covers(entry string) bool {
	asked, err := parseRule(entry)
	if err != nil {
		return false
	}
	host, port := asked.host, asked.port
	if asked.below {
		host = "any" + host // name below it
	}
	if port == "" {
		port = "443"
	}
	found := e.match(host, port)
	return found != nil && (found.private || !asked.private) && (found.port == "" || asked.port != "") && (found.below || !asked.below)
}

// dial opens a connection to a host on the list, if its address is one that the
// host may have.
func (e *Egress) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	r := e.match(host, port)
	if r == nil {
		return nil, fmt.Errorf("%s: %w: not on the list", address, abi.ErrDenied)
	}
	d := e.dialer
	// Called for each address that the name resolved to, before the connection
	// is made: between this check and its use nothing is resolved again.
	d.Control = func(_, resolved string, _ syscall.RawConn) error {
		to, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return fmt.Errorf("%s: %w", resolved, err)
		}
		if why := refusedAddress(to.Addr(), r.private); why != "" {
			return fmt.Errorf("%s is at %s, %s: %w", host, to.Addr(), why, abi.ErrDenied)
		}
		return nil
	}
	return d.DialContext(ctx, network, address)
}

// A rule is an entry of the list.
type rule struct {
	host    string // or, if below, the suffix with its dot
	below   bool
	port    string // "": 80 and 443
	private bool
}

func parseRule(entry string) (r rule, err error) {
	bad := func(why string) (rule, error) {
		return rule{}, fmt.Errorf("egress: entry %q: %s", entry, why)
	}
	host, private := strings.CutPrefix(strings.TrimSpace(entry), "private:")
	r.private = private
	if host == "*" && !private {
		r.below = true // of ""
		return r, nil
	}
	if addr, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		r.host = addr.Unmap().String()
		return r, nil
	}
	if strings.Contains(host, ":") {
		if host, r.port, err = net.SplitHostPort(host); err != nil || !validPort(r.port) {
			return bad("want host:port")
		}
	}
	if host, r.below = strings.CutPrefix(host, "*."); r.below {
		host = "." + host
	}
	r.host = canonicalHost(host)
	for _, c := range []byte(r.host) {
		if c >= 0x80 {
			return bad("want a name in ASCII (xn--…), as it stands in the DNS")
		}
	}
	if strings.Trim(r.host, ".") == "" || strings.ContainsAny(r.host, "*/@?#% ") || strings.Contains(r.host, "..") {
		return bad(`want a host name, "*." and a name, or an address; without scheme and path`)
	}
	return r, nil
}

func validPort(s string) bool {
	p, err := net.LookupPort("tcp", s)
	return err == nil && p > 0 && s[0] >= '0' && s[0] <= '9'
}

func (r *rule) match(host, port string) bool {
	if r.port == "" && port != "80" && port != "443" || r.port != "" && r.port != port {
		return false
	}
	if r.below {
		return strings.HasSuffix(host, r.host) && len(host) > len(r.host)
	}
	return host == r.host
}

// canonicalHost is the form in which host names are compared.
func canonicalHost(host string) string {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}
