package gateway

import (
	"log/slog"
	"net/netip"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

func TestAPathFindsItsRoute(t *testing.T) {
	r := start(t, Config{})
	for _, c := range []struct {
		name, path, route, a, b string
	}{
		{"a literal wins over a parameter", "/t/echo/1/fixed", "literal", "1", ""},
		{"parameters take any segment", "/t/echo/1/2", "params", "1", "2"},
		{"a literal that leads nowhere gives way to the parameter", "/t/echo/known/x", "params", "known", "x"},
		{"a literal that leads somewhere does not", "/t/echo/known/x/deep", "deep", "", "x"},
		{"escapes are undone", "/t/echo/a%20b/%C3%A9%3F%26", "params", "a b", "é?&"},
		{"a plus is a plus", "/t/echo/a+b/c", "params", "a+b", "c"},
		{"double slashes are one", "//t///echo/1/2", "params", "1", "2"},
		{"dots are resolved before anything is looked up", "/g/../t/echo/./1/2", "params", "1", "2"},
		{"escaped dots, too", "/g/%2e%2e/t/echo/1/2", "params", "1", "2"},
		{"a route for operators hides no other", "/t/secret/operator", "public", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := r.do("GET "+c.path, "").wants(200)
			if got.field("route") != c.route || got.field("a") != c.a || got.field("b") != c.b {
				t.Errorf("%s", got.body)
			}
		})
	}
	for _, path := range []string{"/", "/t", "/t/", "/t/echo/", "/t/echo/1/2/3", "/t/echo//2", "/nothing", "/t/echo/a%2Fb/c/d", "/%00"} {
		t.Run("nothing is at "+path, func(t *testing.T) { r.do("GET "+path, "").wants(404) })
	}
}

func TestAPathThatIsNotUTF8IsRefused(t *testing.T) {
	r := start(t, Config{})
	got := r.do("GET /t/echo/%ff/x", "").wants(400)
	if got.field("fault") != "bad_request" {
		t.Error(got.body)
	}
	got = r.do("GET /t/echo?a=%ff", "").wants(400)
	if !strings.Contains(got.field("text"), "UTF-8") {
		t.Error(got.body)
	}
	r.do("GET /t/echo?a=%f", "").wants(400)
}

func TestTheHostChoosesTheDeployment(t *testing.T) {
	site := func(name string, hosts ...string) deploy.Spec {
		s := trial(hosts...)
		s.Name, s.BaseURL = name, "https://"+name+".test/base"
		return s
	}
	m := &deploy.Manifest{Deployments: []deploy.Spec{
		site("exact", "api.example.com", "::1"), site("below", "*.example.com"), site("deeper", "*.eu.example.com"), site("any", "*"),
	}}
	r := start(t, Config{}, m.Deployments...)
	for host, want := range map[string]string{
		"api.example.com": "exact", "API.Example.COM": "exact", "api.example.com:8443": "exact", "api.example.com.": "exact",
		"[::1]:80": "exact", "[::1]": "exact", "x.example.com": "below", "x.y.example.com": "below",
		"x.eu.example.com": "deeper", "eu.example.com": "below", "example.com": "any", "other": "any", "127.0.0.1:80": "any",
	} {
		if got := r.do("GET /t/echo", "", "Host", host).wants(200).field("base"); got != "https://"+want+".test/base" {
			t.Errorf("host %q went to %s, want %s", host, got, want)
		}
	}
}

func TestAHostThatNobodyServesIsNotFound(t *testing.T) {
	r := start(t, Config{}, trial("api.example.com"))
	r.do("GET /t/echo", "").wants(404)
	r.do("GET /t/echo", "", "Host", "api.example.com").wants(200)
}

// What is no host would make the URLs of answers, of logins above all, lead to
// another one than that which was found by it.
func TestAHostIsANameOrAnAddress(t *testing.T) {
	r := start(t, Config{}, trial("api.example.com", "*.example.com", "::1"))
	for _, target := range []string{"/t/echo", "http://api.example.com/t/echo"} {
		for _, host := range []string{
			"api.example.com:@other.example", "api.example.com:80@other.example", "other.example/x.example.com", "other.example?x.example.com",
			"other.example#x.example.com", `other.example\.example.com`, "user@api.example.com", "[api.example.com]other.example", "[::1]:@other.example",
			"[::1]other.example", "api.example.com:x", "api.example.com:80:80", "a b.example.com", "a,b.example.com", "%2f.example.com", "::1", ":80", "[]", "[::1",
		} {
			got := r.raw("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 400 ") {
				t.Errorf("GET %s of host %q: %.200s", target, host, got)
			}
		}
		for _, host := range []string{"api.example.com", "API.example.com:8080", "api.example.com.", "my_host-1.example.com", "[::1]", "[::1]:8080"} {
			got := r.raw("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
			if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.Contains(got, `"base":"http://`+host+`"`) {
				t.Errorf("GET %s of host %q: %.200s", target, host, got)
			}
		}
	}
}

func TestBaseURLIsAsTheClientAsked(t *testing.T) {
	r := start(t, Config{})
	if got := r.do("GET /t/echo", "", "Host", "a.example:81", "X-Forwarded-Proto", "https").field("base"); got != "http://a.example:81" {
		t.Errorf("from nobody: %s", got)
	}
	r = start(t, Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	if got := r.do("GET /t/echo", "", "Host", "a.example", "X-Forwarded-Proto", "https").field("base"); got != "https://a.example" {
		t.Errorf("from a proxy: %s", got)
	}
}

func TestForwardedForIsBelievedOfProxiesOnly(t *testing.T) {
	direct := start(t, Config{})
	if got := direct.do("GET /t/echo", "", "X-Forwarded-For", "192.0.2.1").field("remote"); got != "127.0.0.1" {
		t.Errorf("from nobody: %s", got)
	}
	proxied := start(t, Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("10.0.0.0/8")}})
	for _, c := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"one address", []string{"192.0.2.1"}, "192.0.2.1"},
		{"what the client said stands in front", []string{"198.51.100.9, 192.0.2.1"}, "192.0.2.1"},
		{"or on a line of its own", []string{"198.51.100.9", "192.0.2.1"}, "192.0.2.1"},
		{"through two proxies", []string{"198.51.100.9, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		{"with port", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"nonsense", []string{"192.0.2.1, <script>"}, "127.0.0.1"},
		{"nonsense behind a proxy", []string{"unknown, 10.1.2.3"}, "10.1.2.3"},
		{"nothing", nil, "127.0.0.1"},
		{"mapped", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
	} {
		var headers []string
		for _, l := range c.lines {
			headers = append(headers, "X-Forwarded-For", l)
		}
		if got := proxied.do("GET /t/echo", "", headers...).field("remote"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestMethods(t *testing.T) {
	r := start(t, Config{})
	get := r.do("GET /t/echo", "").wants(200)
	head := r.do("HEAD /t/echo", "").wants(200)
	if head.body != "" || head.header.Get("Content-Length") == "0" || get.field("method") != "GET" {
		t.Errorf("HEAD: %v %q", head.header, head.body)
	}
	got := r.do("DELETE /t/echo", "").wants(405)
	if got.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" || got.field("fault") != "verb" || got.field("status") != "405" {
		t.Errorf("%v %s", got.header, got.body)
	}
	if got := r.do("HEAD /t/writes/x", "").wants(405); got.header.Get("Allow") != "GET, OPTIONS" {
		t.Errorf("HEAD of a GET that writes: %v", got.header)
	}
	if got := r.do("OPTIONS /t/echo", "").wants(204); got.header.Get("Allow") != "GET, HEAD, OPTIONS, POST" || got.header.Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("OPTIONS: %v", got.header)
	}
	if got := r.do("GET /t/none", "").wants(404); got.field("fault") != "gone" || got.field("id") != got.header.Get("X-Request-Id") {
		t.Errorf("404 in the family's form: %s", got.body)
	}
	if got := r.do("GET /none", "").wants(404); !strings.Contains(got.body, `"error":{"code":"not_found"`) {
		t.Errorf("404 without a family: %s", got.body)
	}
	r.do("BREW /t/echo", "").wants(405)
}

func TestBrowsersOfAnOriginMayCall(t *testing.T) {
	r := start(t, Config{})
	ask := []string{"Access-Control-Request-Method", "POST"}
	got := r.do("OPTIONS /t/echo", "", append(ask, "Origin", "https://app.example")...).wants(204)
	if got.header.Get("Access-Control-Allow-Origin") != "https://app.example" || got.header.Get("Vary") != "Origin" ||
		got.header.Get("Access-Control-Allow-Methods") != "GET, HEAD, OPTIONS, POST" {
		t.Errorf("preflight: %v", got.header)
	}
	got = r.do("OPTIONS /t/echo", "", append(ask, "Origin", "https://evil.example")...).wants(204)
	if got.header.Get("Access-Control-Allow-Origin") != "" || got.header.Get("Access-Control-Allow-Methods") != "" || got.header.Get("Vary") != "Origin" {
		t.Errorf("preflight from elsewhere: %v", got.header)
	}
	// Errors are readable as well: a script has to tell them apart.
	got = r.do("GET /t/private", "", "Origin", "https://app.example").wants(401)
	if got.header.Get("Access-Control-Allow-Origin") != "https://app.example" {
		t.Errorf("401: %v", got.header)
	}
	got = r.do("GET /t/headers?Access-Control-Allow-Origin=*", "", "Origin", "https://evil.example").wants(200)
	if got.header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a plugin opened itself to an origin")
	}
	r.do("OPTIONS /t/operated", "", append(ask, "Origin", "https://app.example")...).wants(404)
}

func TestRoutesOfTheOperatorAreNotPublic(t *testing.T) {
	r := start(t, Config{})
	for _, method := range []string{"POST", "GET", "OPTIONS", "HEAD"} {
		r.do(method+" /t/operated", "").wants(404)
	}
	r.do("POST /v1/deployments/test/plugins/trial/t/operated", "").wants(404)
	r.do("POST /g/words/x", "", "Authorization", "Bearer operator").wants(404)
	got := r.operate("POST", "trial", "/t/operated", "", "Authorization", "Bearer admin-token").wants(200)
	if got.field("proof") != "operator" || got.field("Authorization") != "" {
		t.Errorf("%s", got.body)
	}
	if got := r.operate("GET", "guard", "/g/words/x", "", "Authorization", "Bearer admin-token").wants(200); got.field("authorization") != "" {
		t.Errorf("the authenticator was shown the admin token: %s", got.body)
	}
	r.operate("POST", "trial", "/t/echo", "").wants(404)          // a public route
	r.operate("POST", "guard", "/t/operated", "").wants(404)      // another plugin's
	r.operate("POST", "nobody", "/t/operated", "").wants(404)     // no such plugin
	r.operate("POST", "trial", "/t/../t/operated", "").wants(404) // not resolved twice
	if got := r.operate("DELETE", "trial", "/t/operated", "").wants(405); got.header.Get("Allow") != "OPTIONS, POST" {
		t.Errorf("%v", got.header)
	}
	if got := r.operate("GET", "guard", "/g/words/%41", "").wants(200); got.field("word") != "%41" || got.field("path") != "/g/words/%41" {
		t.Errorf("decoded twice: %s", got.body)
	}
}

func TestATableThatMakesNoSenseIsRefused(t *testing.T) {
	plugin := func(name string, credentials []abi.CredentialSource, routes ...abi.Route) *deploy.Plugin {
		return &deploy.Plugin{Spec: deploy.PluginSpec{Name: name}, Desc: &abi.Description{
			Name: name, Families: []abi.Family{{Prefix: "/"}}, Routes: routes, Credentials: credentials,
		}}
	}
	get := func(pattern string, auth ...string) abi.Route {
		return abi.Route{Method: "GET", Pattern: pattern, Auth: auth}
	}
	token := []abi.CredentialSource{{Kind: "token", Header: "Authorization"}}
	for _, c := range []struct {
		name    string
		plugins []*deploy.Plugin
		want    string // "": it does
	}{
		{"two plugins, one route", []*deploy.Plugin{plugin("a", nil, get("/x/:y")), plugin("b", nil, get("/x/:z"))}, `plugin "a" serves GET /x/:y already`},
		{"two plugins, one route for operators", []*deploy.Plugin{plugin("a", nil, get("/x", "operator")), plugin("b", nil, get("/x", "operator"))}, ""},
		{"a route for operators and one for all", []*deploy.Plugin{plugin("a", nil, get("/x", "operator")), plugin("b", nil, get("/x"))}, ""},
		{"no authenticator", []*deploy.Plugin{plugin("a", nil, get("/x", "token"))}, "no plugin of the deployment checks credentials"},
		{"an unknown kind", []*deploy.Plugin{plugin("a", token, get("/x", "tokn"))}, `"tokn": plugin "a" checks no credentials of that kind: want one of ["token"]`},
		{"operators and others", []*deploy.Plugin{plugin("a", token, get("/x", "token", "operator"))}, "for nobody else"},
		{"operators as a credential", []*deploy.Plugin{plugin("a", []abi.CredentialSource{{Kind: "operator", Query: "op"}}, get("/x"))}, "only the admin API"},
		{"too many parameters", []*deploy.Plugin{plugin("a", nil, get(strings.Repeat("/:a", 9)))}, "more than 8 parameters"},
		{"not UTF-8", []*deploy.Plugin{plugin("a", nil, get("/\xff"))}, "UTF-8"},
		{"a line break", []*deploy.Plugin{plugin("a", nil, get("/\n"))}, "control characters"},
		{"a query", []*deploy.Plugin{plugin("a", nil, get("/a?b"))}, "decoded paths"},
		{"an empty segment", []*deploy.Plugin{plugin("a", nil, get("/a//b"))}, `segment ""`},
		{"a parameter without a name", []*deploy.Plugin{plugin("a", nil, get("/a/:"))}, `segment ":"`},
		{"dots", []*deploy.Plugin{plugin("a", nil, get("/a/../b"))}, `segment ".."`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := New(Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)})
			err := g.Set([]*deploy.Deployment{{Spec: deploy.Spec{Name: "d"}, Plugins: c.plugins}})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// naive matches in the way that patterns are explained: of all patterns that fit,
// the one whose first literal comes earliest.
func naive(patterns []string, path string) string {
	best, rank := "", ""
	for _, p := range patterns {
		ps, segments := strings.Split(p, "/"), strings.Split(path, "/")
		if len(ps) != len(segments) {
			continue
		}
		fits, how := true, ""
		for i := range ps {
			switch {
			case strings.HasPrefix(ps[i], ":"):
				fits, how = fits && segments[i] != "", how+"1"
			default:
				fits, how = fits && ps[i] == segments[i], how+"0"
			}
		}
		if fits && (best == "" || how < rank) {
			best, rank = p, how
		}
	}
	return best
}

func FuzzTheMatcherAgreesWithANaiveOne(f *testing.F) {
	f.Add("/a/:x\n/a/b\n/:y/b/c", "/a/b/c")
	f.Add("/:a/:b\n/x/:b/c\n/x/y", "/x/y")
	f.Add("/", "/")
	f.Add("/a/\n/a", "/a/")
	f.Fuzz(func(t *testing.T, list, path string) {
		s := &site{operators: map[string]*node{}}
		var patterns []string
		for p := range strings.SplitSeq(list, "\n") {
			if !strings.HasPrefix(p, "/") || len(patterns) == 20 {
				continue
			}
			r := &route{Route: &abi.Route{Method: "GET", Pattern: p}, plugin: &deploy.Plugin{}}
			if s.add(r) == nil {
				patterns = append(patterns, p)
			}
		}
		if len(path) > 100 || strings.Count(path, "/") > 12 {
			return
		}
		var params [maxParams][]byte
		n, count := s.root.find([]byte(path), &params)
		got := ""
		if n != nil {
			got = n.routes[0].Pattern
		}
		want := naive(patterns, path)
		if got != want {
			t.Fatalf("%q in %q: got %q, want %q", path, patterns, got, want)
		}
		if n == nil {
			return
		}
		// The parameters are the segments at their places.
		at, segments := 0, strings.Split(path, "/")
		for i, p := range strings.Split(want, "/") {
			if strings.HasPrefix(p, ":") {
				if string(params[at]) != segments[i] {
					t.Fatalf("parameter %d is %q, want %q", at, params[at], segments[i])
				}
				at++
			}
		}
		if at != count {
			t.Fatalf("%d parameters, want %d", count, at)
		}
	})
}

func TestAPluginIsToldWhetherTheHostIsItsName(t *testing.T) {
	wild, based := trial("*", "api.example", "*.app.example"), trial("based.example")
	based.Name, based.BaseURL = "based", "https://named.example"
	r := start(t, Config{}, wild, based)
	for host, want := range map[string]string{
		"api.example": "false", "API.example:8080": "false", "a.app.example": "false", "based.example": "false",
		"evil.example": "true", "app.example": "true", "127.0.0.1": "true",
	} {
		if got := r.do("GET /t/echo", "", "Host", host).wants(200); got.field("any_host") != want {
			t.Errorf("%s: any_host %s, want %s", host, got.field("any_host"), want)
		}
	}
}
