package extism

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

func TestEgressEntries(t *testing.T) {
	type ask struct {
		url     string
		allowed bool
	}
	tests := []struct {
		entry string
		asks  []ask
	}{
		{"api.example.com", []ask{
			{"https://api.example.com/", true},
			{"http://api.example.com/x?y", true},
			{"https://API.Example.COM./", true},
			{"https://api.example.com:443/", true},
			{"https://api.example.com:8443/", false},
			{"https://example.com/", false},
			{"https://x.api.example.com/", false},
			{"https://api.example.com.evil.org/", false},
			{"https://api.example.com@evil.org/", false},
			{"https://evil.org/api.example.com", false},
			{"https://evil.org#api.example.com", false},
			{"ftp://api.example.com/", false},
			{"file:///etc/passwd", false},
			{"gopher://api.example.com/", false},
		}},
		{"*.example.com", []ask{
			{"https://a.example.com/", true},
			{"https://a.b.example.com/", true},
			{"https://example.com/", false},
			{"https://.example.com/", false},
			{"https://badexample.com/", false},
			{"https://a.example.com:81/", false},
		}},
		{"api.example.com:8443", []ask{
			{"https://api.example.com:8443/", true},
			{"http://api.example.com:8443/", true},
			{"https://api.example.com/", false},
		}},
		{"192.0.2.7", []ask{
			{"http://192.0.2.7/", true},
			{"http://192.0.2.8/", false},
			{"http://[::ffff:192.0.2.7]/", true},
			{"http://3221225991/", false},
			{"http://0300.0.2.7/", false},
		}},
		{"[2001:db8::1]:8443", []ask{
			{"https://[2001:db8::1]:8443/", true},
			{"https://[2001:0db8:0:0::1]:8443/", true},
			{"https://[2001:db8::1]/", false},
		}},
		{"private:db.internal:5984", []ask{
			{"http://db.internal:5984/", true},
			{"http://db.internal/", false},
		}},
		{"*", []ask{
			{"https://example.com/", true},
			{"http://a.b.example.com:80/", true},
			{"https://example.com:443/", true},
			{"http://192.0.2.7/", true},
			{"https://example.com:8443/", false},
			{"http://example.com:22/", false},
			{"https:///", false},
			{"ftp://example.com/", false},
		}},
	}
	for _, tt := range tests {
		e, err := NewEgress([]string{"other.example.net", tt.entry})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range tt.asks {
			u, err := url.Parse(a.url)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.allowed(u); (err == nil) != a.allowed || err != nil && !errors.Is(err, abi.ErrDenied) {
				t.Errorf("%s, asked for %s: %v", tt.entry, a.url, err)
			}
		}
	}
	for _, entry := range []string{
		"", "private:*", "*.", ".", "private:", "https://example.com", "example.com/path", "a.*.com", "*.*.com", "example.com:", "example.com:http",
		"example.com:0", "example.com:99999", "a b", "user@example.com", "a..b", "bücher.example",
	} {
		if _, err := NewEgress([]string{entry}); err == nil {
			t.Errorf("entry %q: want an error", entry)
		}
	}
}

func TestEgressAddresses(t *testing.T) {
	tests := []struct {
		address         string
		public, private bool // may be dialled without and with the allowance
	}{
		{"8.8.8.8", true, true},
		{"2606:4700:4700::1111", true, true},
		{"::ffff:8.8.8.8", true, true},
		{"127.0.0.1", false, true},
		{"127.9.9.9", false, true},
		{"::1", false, true},
		{"10.1.2.3", false, true},
		{"172.16.0.1", false, true},
		{"172.32.0.1", true, true},
		{"192.168.0.1", false, true},
		{"fd00::1", false, true},
		{"169.254.169.254", false, true},
		{"fe80::1%eth0", false, true},
		{"100.64.0.1", false, true},
		{"100.128.0.1", true, true},
		{"::ffff:127.0.0.1", false, true},
		{"::ffff:169.254.169.254", false, true},
		{"::127.0.0.1", false, true},
		{"64:ff9b::7f00:1", false, true},
		{"2002:7f00:1::", false, true},
		{"192.0.0.1", false, true},
		{"198.18.0.1", false, true},
		{"255.255.255.255", false, true},
		{"fec0::1", false, true},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"::ffff:0.0.0.0", false, false},
		{"224.0.0.1", false, false},
		{"ff02::1", false, false},
	}
	for _, tt := range tests {
		a := netip.MustParseAddr(tt.address)
		if why := refusedAddress(a, false); (why == "") != tt.public {
			t.Errorf("%s, public: %q", a, why)
		}
		if why := refusedAddress(a, true); (why == "") != tt.private {
			t.Errorf("%s, private: %q", a, why)
		}
	}
}

// resolver answers every question for an IPv4 address with the next one on a
// list, the last for ever.
func resolver(t *testing.T, addresses ...string) *net.Resolver {
	asked := 0
	answer := func(query []byte) []byte {
		// Header: id, flags, counts of questions, answers, and two others. The
		// question is a name, which ends with 0, a type and a class.
		end := 12 + bytes.IndexByte(query[12:], 0) + 5
		reply := append([]byte(nil), query[:end]...)
		binary.BigEndian.PutUint16(reply[2:], 0x8180)
		clear(reply[6:12])
		if binary.BigEndian.Uint16(query[end-4:]) == 1 { // A
			reply[7] = 1
			ip := netip.MustParseAddr(addresses[min(asked, len(addresses)-1)]).As4()
			asked++
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, ip[:]...)
		}
		return reply
	}
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			server.WriteTo(answer(buf[:n]), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// newEgress returns a client whose names all resolve to the given addresses.
func newEgress(t *testing.T, hosts []string, addresses ...string) *Egress {
	t.Helper()
	e, err := NewEgress(hosts)
	if err != nil {
		t.Fatal(err)
	}
	e.dialer.Resolver = resolver(t, addresses...)
	t.Cleanup(e.Close)
	return e
}

func get(e *Egress, url string) (*HTTPResponse, error) {
	return e.Do(context.Background(), &HTTPRequest{Method: "GET", URL: url})
}

func TestEgressChecksTheResolvedAddress(t *testing.T) {
	hits := 0
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits++ }))
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	url := "http://api.example.com:" + port

	for _, address := range []string{"127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.1.1", "0.0.0.0"} {
		_, err := get(newEgress(t, []string{"api.example.com:" + port}, address), url)
		if !errors.Is(err, abi.ErrDenied) {
			t.Errorf("%s: %v, want it denied", address, err)
		}
	}
	if hits > 0 {
		t.Fatal("the server was reached")
	}
	if _, err := get(newEgress(t, []string{"private:api.example.com:" + port}, "127.0.0.1"), url); err != nil || hits != 1 {
		t.Fatalf("with the allowance: %v", err)
	}
	// The environment's proxy would reach what this client must not.
	t.Setenv("HTTP_PROXY", server.URL)
	if _, err := get(newEgress(t, []string{"api.example.com"}, "127.0.0.1"), "http://api.example.com/"); !errors.Is(err, abi.ErrDenied) || hits != 1 {
		t.Fatalf("with a proxy in the environment: %v", err)
	}
}

func TestEgressChecksEveryRedirect(t *testing.T) {
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the inner server was reached") }))
	defer inner.Close()
	_, innerPort, _ := net.SplitHostPort(inner.Listener.Addr().String())
	var target string
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/end" {
			fmt.Fprint(w, "end")
			return
		}
		http.Redirect(w, r, target, http.StatusFound)
	}))
	defer outer.Close()
	_, port, _ := net.SplitHostPort(outer.Listener.Addr().String())
	url := "http://outer.example:" + port
	tests := []struct {
		name, target, want string
	}{
		{"to itself", url + "/end", ""},
		{"to a host that is not on the list", "http://inner.example:" + innerPort, "not on the list"},
		{"to an address", inner.URL, "not on the list"},
		{"to another port", "http://outer.example:" + innerPort, "not on the list"},
		{"to a listed host with a private address", "http://listed.example:" + innerPort, "a loopback address"},
		{"to another scheme", "file:///etc/passwd", "want http or https"},
		{"round and round", url + "/again", "more than 5 redirects"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target = tt.target
			e := newEgress(t, []string{"private:outer.example:" + port, "listed.example:" + innerPort}, "127.0.0.1")
			r, err := get(e, url)
			if tt.want == "" {
				if err != nil || string(r.Body) != "end" {
					t.Fatalf("%v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want %q in it", err, tt.want)
			}
		})
	}
}

func TestEgressDoesNotGoFromHTTPSToHTTP(t *testing.T) {
	e, err := NewEgress([]string{"a.example"})
	if err != nil {
		t.Fatal(err)
	}
	from, to := httptest.NewRequest("GET", "https://a.example/", nil), httptest.NewRequest("GET", "http://a.example/", nil)
	if err := e.checkRedirect(to, []*http.Request{from}); err == nil {
		t.Fatal("want an error")
	}
}

func TestEgressIsBounded(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-release
		case "/drip":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-release
		case "/large":
			w.Write(make([]byte, 5000))
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 1<<20))
			z.Close()
		case "/headers":
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		case "/echo":
			w.Header().Set("X-Agent", r.UserAgent())
			w.Header().Set("X-Upgrade", r.Header.Get("Upgrade"))
			fmt.Fprint(w, r.Host)
		}
	}))
	defer server.Close()
	defer close(release)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	e := newEgress(t, []string{"private:a.example:" + port}, "127.0.0.1")
	e.maxReply = 4999
	url := "http://a.example:" + port
	for path, want := range map[string]string{
		"/slow": "deadline exceeded", "/drip": "deadline exceeded", "/large": "larger than 4999 bytes", "/bomb": "larger than 4999 bytes",
		"/headers": "headers exceeded",
	} {
		e.timeout = egressTimeout
		if path == "/slow" || path == "/drip" {
			e.timeout = 100 * time.Millisecond
		}
		if _, err := get(e, url+path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", path, err, want)
		}
	}
	e.timeout = egressTimeout
	r, err := e.Do(t.Context(), &HTTPRequest{Method: "POST", URL: url + "/echo", Body: []byte("x"), Header: http.Header{
		"Host": {"other.example"}, "Upgrade": {"websocket"}, "Connection": {"upgrade"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if string(r.Body) != "a.example:"+port || r.Header.Get("X-Upgrade") != "" || r.Header.Get("X-Agent") != "edgeset" {
		t.Errorf("host %q, headers %v", r.Body, r.Header)
	}
	if _, err := e.Do(t.Context(), &HTTPRequest{Method: "CONNECT", URL: url}); err == nil {
		t.Error("CONNECT: want an error")
	}
}
