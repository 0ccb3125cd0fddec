package gateway

import (
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/valyala/fasthttp"
)

// asked is an exchange of a request with headers in pairs.
func asked(t *testing.T, baseURL string, headers ...string) *exchange {
	t.Helper()
	x := &exchange{ctx: new(fasthttp.RequestCtx), site: &site{deployment: &deploy.Deployment{}}}
	x.site.deployment.Spec.BaseURL = baseURL
	x.ctx.Request.Header.SetHost("api.example")
	for i := 0; i < len(headers); i += 2 {
		x.ctx.Request.Header.Set(headers[i], headers[i+1])
	}
	return x
}

func TestWhatABrowserAsksForAPageOfAnotherOrigin(t *testing.T) {
	for _, c := range []struct {
		name, base string
		headers    []string
		want       bool
	}{
		{"no browser", "", nil, false},
		{"the browser says so", "", []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"another subdomain is another origin", "", []string{"Sec-Fetch-Site", "same-site"}, true},
		{"it says what is not known yet", "", []string{"Sec-Fetch-Site", "nested"}, true},
		{"it says that it is not", "", []string{"Sec-Fetch-Site", "same-origin"}, false},
		{"nobody's page", "", []string{"Sec-Fetch-Site", "none"}, false},
		{"the browser is believed before the origin", "", []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://evil.example"}, false},
		{"and that way, too", "https://api.example", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://api.example"}, true},
		{"it says nothing", "", []string{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}, true},
		{"the same host", "", []string{"Origin", "https://api.example"}, false},
		{"by HTTP", "", []string{"Origin", "http://api.example"}, false},
		{"in capitals", "", []string{"Host", "API.example", "Origin", "https://api.EXAMPLE"}, false},
		{"the port goes without saying", "", []string{"Host", "api.example:443", "Origin", "https://api.example"}, false},
		{"of HTTP as well", "", []string{"Host", "api.example:80", "Origin", "http://api.example"}, false},
		{"the port of the other scheme", "", []string{"Host", "api.example:80", "Origin", "https://api.example"}, true},
		{"the same port", "", []string{"Host", "127.0.0.1:8080", "Origin", "http://127.0.0.1:8080"}, false},
		{"another port", "", []string{"Origin", "https://api.example:8443"}, true},
		{"an address", "", []string{"Host", "[::1]:8080", "Origin", "http://[::1]:8080"}, false},
		{"another host", "", []string{"Origin", "https://evil.example"}, true},
		{"a part of the host", "", []string{"Origin", "https://xapi.example"}, true},
		{"more than the host", "", []string{"Origin", "https://api.example.evil.example"}, true},
		{"the host as a user", "", []string{"Origin", "https://api.example@evil.example"}, true},
		{"a page without rights", "", []string{"Origin", "null"}, true},
		{"no page of the web", "", []string{"Origin", "moz-extension://api.example"}, true},
		{"no origin at all", "", []string{"Origin", "api.example"}, true},
		{"no host", "", []string{"Host", "", "Origin", "https://"}, true},
		{"what clients see of a service behind a proxy", "https://Public.example:443/v1", []string{"Origin", "https://public.example"}, false},
		{"with its scheme", "https://public.example", []string{"Origin", "http://public.example"}, true},
		{"and its port", "https://public.example", []string{"Origin", "https://public.example:8443"}, true},
		{"behind a proxy that keeps the host", "https://public.example", []string{"Origin", "https://api.example"}, false},
		{"another one than either", "https://public.example", []string{"Origin", "https://evil.example"}, true},
	} {
		if got := asked(t, c.base, c.headers...).crossOrigin(); got != c.want {
			t.Errorf("%s: %q with base_url %q: %v, want %v", c.name, c.headers, c.base, got, c.want)
		}
	}
}

func TestTheOriginOfARequest(t *testing.T) {
	long := func(n int) string { return "https://" + strings.Repeat("a", n-len("https://")) }
	for _, c := range []struct{ origin, referer, want string }{
		{"", "", ""},
		{"https://app.example", "", "https://app.example"},
		{"HTTPS://App.Example:8443", "", "https://app.example:8443"},
		{"https://app.example:443", "", "https://app.example"},
		{"http://app.example:80", "", "http://app.example"},
		{"http://app.example:443", "", "http://app.example:443"},
		{"http://[2001:DB8::1]:8080", "", "http://[2001:db8::1]:8080"},
		{"http://[::1]", "", "http://[::1]"},
		{"https://xn--bcher-kva.example", "", "https://xn--bcher-kva.example"},
		{"https://app.example", "https://other.example/", "https://app.example"},
		{"null", "https://app.example/frame", ""},
		{"file://", "https://app.example/", ""},
		{"chrome-extension://abcdef", "", ""},
		{"app.example", "", ""},
		{"https://", "", ""},
		{"https://:443", "", ""},
		{"https://:8443", "", ""},
		{"https://a@app.example", "", ""},
		{"https://app.example https://other.example", "", ""},
		{"https://app.example, https://other.example", "", ""},
		{"https://b\u00fccher.example", "", ""},
		{"https://app.example\\.evil.example", "", ""},
		{"", "https://app.example/a/page?q=https://other.example#x", "https://app.example"},
		{"", "https://app.example?q=/", "https://app.example"},
		{"", "https://App.example:8443", "https://app.example:8443"},
		{"", "http://app.example/a%zz " + strings.Repeat("x", 5000), "http://app.example"},
		{"", "https://user:word@app.example/", ""},
		{"", "about:blank", ""},
		{"", "/page", ""},
		{long(256), "", long(256)},
		{long(257), "", ""},
	} {
		var headers []string
		if c.origin != "" {
			headers = append(headers, "Origin", c.origin)
		}
		if c.referer != "" {
			headers = append(headers, "Referer", c.referer)
		}
		if got := asked(t, "", headers...).origin(); got != c.want {
			t.Errorf("Origin %.60q, Referer %.60q: %.60q, want %.60q", c.origin, c.referer, got, c.want)
		}
	}
}

func TestACookieDoesNotCountWhereAnotherOriginWrites(t *testing.T) {
	cross := []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://app.example"}
	cookie := []string{"Cookie", "sid=ann"}
	r := serve(t, Config{}, door{}.deployment(""))
	for _, c := range []struct {
		name, line string
		headers    []string
		status     int
	}{
		{"a route that writes", "POST /d/write", append(cookie, cross...), 403},
		{"one that only asks, but for more than reading", "POST /d/ask", append(cookie, cross...), 403},
		{"a link to one that writes", "GET /d/visit", append(cookie, "Sec-Fetch-Site", "cross-site"), 403},
		{"reading", "GET /d/read", append(cookie, cross...), 204},
		{"reading the head", "HEAD /d/read", append(cookie, cross...), 204},
		{"its own page", "POST /d/write", append(cookie, "Sec-Fetch-Site", "same-origin"), 204},
		{"its own page in an old browser", "POST /d/write", append(cookie, "Origin", "http://"+r.addr), 204},
		{"no browser", "POST /d/write", cookie, 204},
		{"a credential that a script has added", "POST /d/write", append(cross, "X-Key", "ann"), 204},
		{"beside a cookie", "POST /d/write", append(cross, "X-Key", "ann", "Cookie", "sid=ann"), 204},
		{"a cookie of something else", "POST /d/write", append(cross, "Cookie", "other=ann"), 401},
	} {
		got := r.do(c.line, "", c.headers...)
		if got.status != c.status || c.status == 403 && !strings.Contains(got.body, `"code":"forged"`) {
			t.Errorf("%s: status %d, want %d: %s", c.name, got.status, c.status, got.body)
		}
	}
}

func TestCheckOriginRefusesWithTheFamilysWord(t *testing.T) {
	x := asked(t, "", "Sec-Fetch-Site", "same-site")
	x.route = &route{Route: &abi.Route{}, family: &family{Family: &abi.Family{}}}
	for _, c := range []struct {
		method  string
		write   bool
		refused bool
	}{{"GET", false, false}, {"HEAD", false, false}, {"GET", true, true}, {"POST", false, true}, {"DELETE", true, true}, {"OPTIONS", false, true}} {
		x.ctx.Request.Header.SetMethod(c.method)
		x.route.Write = c.write
		err, _ := x.checkOrigin().(*abi.Error)
		if (err != nil) != c.refused || c.refused && (err.Status != 403 || err.Code != abi.HostCrossOrigin) {
			t.Errorf("%s, writes: %v: %v", c.method, c.write, err)
		}
	}
}
