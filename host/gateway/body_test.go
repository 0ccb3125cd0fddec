package gateway

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

func zipped(t testing.TB, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestBodiesArriveAsTheRouteWantsThem(t *testing.T) {
	r := start(t, Config{})
	for _, c := range []struct {
		name, line, body, field, want string
		headers                       []string
	}{
		{"JSON", "POST /t/echo", `{"a":[1,2.50,"é"]}`, "body", `{"a":[1,2.5,"é"]}`, nil},
		{"JSON, whatever the Content-Type says", "POST /t/echo", `7`, "body", `7`, []string{"Content-Type", "text/plain"}},
		{"no JSON", "POST /t/echo", ``, "body", `null`, nil},
		{"gzip", "POST /t/echo", zipped(t, `"packed"`), "body", `packed`, []string{"Content-Encoding", "gzip"}},
		{"gzip in capitals", "POST /t/echo", zipped(t, `"packed"`), "body", `packed`, []string{"Content-Encoding", "GZIP"}},
		{"identity", "POST /t/echo", `1`, "body", `1`, []string{"Content-Encoding", "Identity"}},
		{"form", "POST /t/form", `a=1&b=%20+x&a=2`, "form", `["a=1","b=  x","a=2"]`, []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{"multipart", "POST /t/form", "--x\r\nContent-Disposition: form-data; name=\"n\"\r\n\r\nv\r\n--x--\r\n", "form", `["n=v"]`,
			[]string{"Content-Type", "Multipart/Form-Data; boundary=x"}},
		{"raw", "POST /t/raw", "\x01bytes", "raw", "\x01bytes", nil},
		{"ignored", "PUT /t/none", ``, "fault", `gone`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.do(c.line, c.body, c.headers...).field(c.field); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestBodiesThatCannotBeReadAreRefused(t *testing.T) {
	r := start(t, Config{MaxBody: 128 << 10})
	bomb := zipped(t, strings.Repeat("0", 64<<20))
	gz := []string{"Content-Encoding", "gzip"}
	for _, c := range []struct {
		name, line, body string
		headers          []string
		status           int
		want             string
	}{
		{"JSON, with the place", "POST /t/echo", `{"a": tru}`, nil, 400, "at byte 6"},
		{"JSON that is too deep", "POST /t/echo", strings.Repeat("[", 100), nil, 400, "at byte"},
		{"JSON that is not UTF-8", "POST /t/echo", "\"\xff\"", nil, 400, "UTF-8"},
		{"form", "POST /t/form", "a=%zz", nil, 400, "hexadecimal"},
		{"multipart without boundary", "POST /t/form", "x", []string{"Content-Type", "multipart/form-data"}, 400, "boundary"},
		{"multipart with an odd type", "POST /t/form", "x", []string{"Content-Type", "multipart/;;"}, 400, ""},
		{"too large for the route", "POST /t/echo", `"` + strings.Repeat("x", 65<<10) + `"`, nil, 413, "65536 bytes"},
		{"gzip that is not", "POST /t/echo", "gzip", gz, 400, "compressed"},
		{"gzip that ends early", "POST /t/echo", zipped(t, strings.Repeat("ab", 4000))[:20], gz, 400, "compressed"},
		{"a bomb", "POST /t/echo", bomb, gz, 413, "65536 bytes"},
		{"a bomb for a route without a limit", "POST /t/raw", bomb, gz, 413, "131072 bytes"},
		{"another encoding", "POST /t/echo", "x", []string{"Content-Encoding", "br"}, 415, "send gzip"},
		{"two encodings", "POST /t/echo", "x", []string{"Content-Encoding", "gzip, gzip"}, 415, "send gzip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.do(c.line, c.body, c.headers...).wants(c.status)
			if !strings.Contains(got.field("text"), c.want) {
				t.Errorf("%s, want %q", got.body, c.want)
			}
		})
	}
}

func TestABodyAboveTheHostsLimitIsRefusedInTheFormOfTheFamily(t *testing.T) {
	r := start(t, Config{MaxBody: 1 << 20})
	for range 5 {
		got := r.do("POST /t/raw", strings.Repeat("x", 3<<20)).wants(413)
		if got.field("fault") != "fat" || !strings.Contains(got.field("text"), "1048576 bytes") {
			t.Fatal(got.body)
		}
	}
	// Chunked: the size shows only when too much has come.
	got := r.raw("POST /t/raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + strings.Repeat("x", 0x200000) + "\r\n0\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 413 ") || !strings.Contains(got, `"fault":"fat"`) {
		t.Errorf("%.300s", got)
	}
}

func TestAHeadThatIsTooLargeIsRefused(t *testing.T) {
	r := start(t, Config{})
	got := r.raw("GET /t/echo HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", 20<<10) + "\r\n\r\n")
	if !strings.HasPrefix(got, "HTTP/1.1 431 ") || !strings.Contains(got, `"code":"too_large"`) {
		t.Errorf("%.300s", got)
	}
}

func TestWhatIsNotHTTPIsRefused(t *testing.T) {
	r := start(t, Config{ReadTimeout: 2 * time.Second})
	for name, request := range map[string]string{
		"nonsense":               "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
		"two lengths":            "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		"a negative length":      "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"an odd encoding":        "POST /t/raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
		"a bad chunk":            "POST /t/raw HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"a control character":    "GET /t/echo HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
		"a blank in the name":    "GET /t/echo HTTP/1.1\r\nHost: x\r\nX-A : b\r\n\r\n",
		"two hosts":              "GET /t/echo HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
		"a host that is no host": "GET /t/echo HTTP/1.1\r\nHost: a b\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := r.raw(request)
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, `"code":"bad_request"`) && !strings.Contains(got, `"fault":"bad_request"`) || !strings.Contains(got, "X-Request-Id: ") {
				t.Errorf("%.300q", got)
			}
		})
	}
	r.do("GET /t/echo", "").wants(200)
}

func TestASlowClientIsCutOff(t *testing.T) {
	r := start(t, Config{ReadTimeout: 300 * time.Millisecond})
	for name, head := range map[string]string{
		"head": "GET /t/echo HTTP/1.1\r\nHost: x\r\n",
		"body": "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			begin := time.Now()
			if err := c.SetDeadline(begin.Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() { // a byte now and then does not help
				defer close(done)
				for {
					select {
					case <-stop:
						return
					case <-time.After(50 * time.Millisecond):
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
					}
				}
			}()
			got, _ := io.ReadAll(c) // may end with a reset
			close(stop)
			<-done
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("cut off after %v", took)
			}
			if len(got) > 0 && !strings.HasPrefix(string(got), "HTTP/1.1 408 ") {
				t.Errorf("%.200q", got)
			}
		})
	}
}

func TestRepliesAreCompressedForWhoTakesIt(t *testing.T) {
	r := start(t, Config{})
	plain := r.do("GET /t/huge?n=10000", "").wants(200)
	if plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" || len(plain.body) != 10002 {
		t.Errorf("%v, %d bytes", plain.header, len(plain.body))
	}
	packed := r.do("GET /t/huge?n=10000", "", "Accept-Encoding", "deflate, gzip").wants(200)
	if packed.header.Get("Content-Encoding") != "gzip" || packed.header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%v", packed.header)
	}
	z, err := gzip.NewReader(strings.NewReader(packed.body))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(z); err != nil || string(b) != plain.body {
		t.Errorf("%v, %d bytes", err, len(b))
	}
	if got := r.do("GET /t/huge?n=10000", "", "Accept-Encoding", "gzip;q=0").wants(200); got.header.Get("Content-Encoding") != "" {
		t.Errorf("%v", got.header)
	}
	if got := r.do("HEAD /t/huge?n=10000", "", "Accept-Encoding", "gzip").wants(200); got.body != "" {
		t.Errorf("%q", got.body)
	}
}

func TestWhatAPluginAnswersCannotBreakTheResponse(t *testing.T) {
	r := start(t, Config{})
	got := r.do("GET /t/headers?X-A=a%0d%0aX-Evil:+1&X-B=b%00c&Content-Length=1&Transfer-Encoding=chunked&Connection=close&bad+name=x&X-Request-Id=mine&Date=x&x=%C3%A9", "").wants(200)
	if got.body != `"ok"` || got.header.Get("X-Evil") != "" || got.header.Get("X-A") != "a  X-Evil: 1" || got.header.Get("X-B") != "b c" ||
		got.header.Get("X-Request-Id") == "mine" || got.header.Get("Date") == "x" || got.header.Get("X") != "é" {
		t.Errorf("%v %q", got.header, got.body)
	}
	if got := r.do("GET /t/headers?Content-Type=text/html%0d%0aX-Evil:+1", "").wants(200); got.header.Get("X-Evil") != "" {
		t.Errorf("%v", got.header)
	}
	r.do("GET /t/headers?fill=60000", "").wants(200)
	r.do("GET /t/headers?fill=70000", "").wants(500)

	for _, status := range []string{"204", "304"} {
		got := r.do("GET /t/status/"+status, "")
		if got.body != "" || got.header.Get("Transfer-Encoding") != "" {
			t.Errorf("%s: %v %q", status, got.header, got.body)
		}
		r.do("GET /t/echo", "").wants(200) // on the same connection
	}
	for _, status := range []string{"0", "100", "101", "199", "600", "999", "-1"} {
		if status == "0" {
			r.do("GET /t/status/0", "").wants(200)
			continue
		}
		r.do("GET /t/status/"+status, "").wants(500)
	}
	if got := r.do("GET /t/raw", "").wants(200); got.header.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("%v", got.header)
	}
	if got := r.do("GET /t/raw?type=text/plain", "").wants(200); got.header.Get("Content-Type") != "text/plain" {
		t.Errorf("%v", got.header)
	}
	if got := r.do("GET /t/huge?n=5000000", "").wants(200); len(got.body) != 5000002 {
		t.Errorf("%d bytes", len(got.body))
	}
}

func TestRequestIDs(t *testing.T) {
	r := start(t, Config{})
	first, second := r.do("GET /t/echo", ""), r.do("GET /none", "")
	if a, b := first.header.Get("X-Request-Id"), second.header.Get("X-Request-Id"); a == "" || b == "" || a == b || a != first.field("id") {
		t.Errorf("%q, %q, %s", a, b, first.body)
	}
	if got := r.do("GET /t/echo", "", "X-Request-Id", "client-1.a_B"); got.header.Get("X-Request-Id") != "client-1.a_B" || got.field("id") != "client-1.a_B" {
		t.Errorf("%v", got.header)
	}
	for _, hostile := range []string{strings.Repeat("x", 65), "a b", "a\"b", "é", "a=b", ""} {
		if got := r.do("GET /t/echo", "", "X-Request-Id", hostile).header.Get("X-Request-Id"); got == hostile || got == "" {
			t.Errorf("%q was taken for an id", hostile)
		}
	}
}
