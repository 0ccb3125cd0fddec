package main

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// Each of these answers is refused, begins no session, and uses the attempt up.
func TestRefusedAssertions(t *testing.T) {
	set := func(name, value string) func(p *provider, a url.Values) {
		return func(p *provider, a url.Values) {
			a.Set("openid."+name, value)
			p.sign(a)
		}
	}
	without := func(name string) func(p *provider, a url.Values) {
		return func(p *provider, a url.Values) {
			a.Del("openid." + name)
			p.sign(a)
		}
	}
	unsigned := func(name string) func(p *provider, a url.Values) {
		return func(p *provider, a url.Values) {
			a.Set("openid.signed", strings.Trim(strings.ReplaceAll(","+a.Get("openid.signed")+",", ","+name+",", ","), ","))
			a.Set("openid.sig", sign(a))
		}
	}
	verdict := func(status int, body string) func(p *provider, a url.Values) {
		return func(p *provider, a url.Values) { p.verdict = &abi.FetchReply{Status: status, Body: []byte(body)} }
	}
	at := func(d time.Duration) func(p *provider, a url.Values) {
		return func(p *provider, a url.Values) {
			set("response_nonce", p.b.Host.Now.Add(d).Format("2006-01-02T15:04:05Z")+"x")(p, a)
		}
	}
	type edit = func(p *provider, a url.Values)
	for _, c := range []struct {
		name   string
		edit   edit
		status int
		code   string
		says   string
	}{
		{"cancelled", set("mode", "cancel"), 403, "login_cancelled", ""},
		{"an error", set("mode", "error"), 502, "provider_error", ""},
		{"no mode", without("mode"), 403, "bad_assertion", "mode"},
		{"setup_needed", set("mode", "setup_needed"), 403, "bad_assertion", "mode"},
		{"OpenID 1", without("ns"), 403, "bad_assertion", "OpenID 2.0"},
		{"another version", set("ns", "http://openid.net/signon/1.1"), 403, "bad_assertion", "OpenID 2.0"},
		{"another return_to", set("return_to", "https://other.example/1.0/login/callback"), 403, "bad_assertion", "another place"},
		{"another state", set("return_to", "http://edge.test/1.0/login/callback?state=x"), 403, "bad_assertion", "another place"},
		{"more in return_to", func(p *provider, a url.Values) { set("return_to", a.Get("openid.return_to")+"&x=y")(p, a) }, 403, "bad_assertion", "another place"},
		{"another host of return_to", func(p *provider, a url.Values) {
			set("return_to", strings.Replace(a.Get("openid.return_to"), "edge.test", "edge.test:80", 1))(p, a)
		}, 403, "bad_assertion", "another place"},
		{"no return_to", without("return_to"), 403, "bad_assertion", "another place"},
		{"another provider", set("op_endpoint", "https://eve.example/auth"), 403, "bad_assertion", "provider that was asked"},
		{"no provider", without("op_endpoint"), 403, "bad_assertion", "provider that was asked"},
		{"no signature", func(p *provider, a url.Values) { a.Del("openid.sig") }, 403, "bad_assertion", "signature"},
		{"nothing signed", func(p *provider, a url.Values) { a.Del("openid.signed") }, 403, "bad_assertion", "not signed"},
		{"no claimed_id", without("claimed_id"), 403, "bad_assertion", "claimed_id is missing"},
		{"no identity", without("identity"), 403, "bad_assertion", "identity is missing"},
		{"no nonce", without("response_nonce"), 403, "bad_assertion", "response_nonce is missing"},
		{"no handle", without("assoc_handle"), 403, "bad_assertion", "assoc_handle is missing"},
		{"provider not signed", unsigned("op_endpoint"), 403, "bad_assertion", "op_endpoint is not signed"},
		{"return_to not signed", unsigned("return_to"), 403, "bad_assertion", "return_to is not signed"},
		{"nonce not signed", unsigned("response_nonce"), 403, "bad_assertion", "response_nonce is not signed"},
		{"handle not signed", unsigned("assoc_handle"), 403, "bad_assertion", "assoc_handle is not signed"},
		{"claimed_id not signed", unsigned("claimed_id"), 403, "bad_assertion", "claimed_id is not signed"},
		{"identity not signed", unsigned("identity"), 403, "bad_assertion", "identity is not signed"},
		{"an old nonce", at(-nonceWindow - time.Second), 403, "bad_assertion", "too old"},
		{"a nonce to come", at(nonceWindow + time.Second), 403, "bad_assertion", "too old"},
		{"a nonce without a time", set("response_nonce", "12345678901234567890x"), 403, "bad_assertion", "malformed"},
		{"a short nonce", set("response_nonce", "2026-01-01"), 403, "bad_assertion", "malformed"},
		{"a long nonce", set("response_nonce", "2026-01-01T00:00:00Z"+strings.Repeat("x", 250)), 403, "bad_assertion", "malformed"},
		{"a nonce with a blank", set("response_nonce", "2026-01-01T00:00:00Z x"), 403, "bad_assertion", "malformed"},
		{"a nonce with a letter", set("response_nonce", "2026-01-01T00:00:00Zé"), 403, "bad_assertion", "malformed"},
		{"a changed claimed_id", func(p *provider, a url.Values) { a.Set("openid.claimed_id", "http://ann.example/") }, 403, "bad_assertion", "not signed it"},
		{"a changed profile", func(p *provider, a url.Values) { a.Set("openid.sreg.email", "x@y.example") }, 403, "bad_assertion", "not signed it"},
		{"a signature of another key", func(p *provider, a url.Values) { a.Set("openid.sig", "AAAA") }, 403, "bad_assertion", "not signed it"},
		{"not valid", verdict(200, "is_valid:false\n"), 403, "bad_assertion", "not signed it"},
		{"nearly valid", verdict(200, "is_valid: true\n"), 403, "bad_assertion", "not signed it"},
		{"no verdict", verdict(200, "ns:"+spaceOpenID+"\n"), 403, "bad_assertion", "not signed it"},
		{"two verdicts", verdict(200, "is_valid:true\nis_valid:false\n"), 502, "provider_unreachable", ""},
		{"a page for a verdict", verdict(200, "<html>is_valid:true\n</html>"), 502, "provider_unreachable", ""},
		{"a verdict with another status", verdict(400, "is_valid:true\n"), 502, "provider_unreachable", ""},
		{"a redirect for a verdict", verdict(302, ""), 502, "provider_unreachable", ""},
		{"no reply", func(p *provider, a url.Values) { p.verdict = &abi.FetchReply{Error: "timeout"} }, 502, "provider_unreachable", ""},
		{"no reply allowed", func(p *provider, a url.Values) { p.verdict = &abi.FetchReply{Error: "no", Denied: true} }, 403, "provider_denied", ""},
		{"the identifier of somebody else's provider", set("claimed_id", "http://eve.example/"), 403, "bad_assertion", "does not name this provider"},
		{"another user of the provider", set("identity", "https://op.example/ann"), 403, "bad_assertion", "identity"},
		{"somebody else with this identity", set("claimed_id", "http://ann.example/"), 403, "bad_assertion", "does not name this provider"},
		{"the provider's own identifier", set("claimed_id", "https://op.example/"), 403, "bad_assertion", "does not name this provider"},
		{"an identifier that leads on", func(p *provider, a url.Values) {
			a.Set("openid.identity", "http://ann.example/")
			set("claimed_id", "http://on.example/")(p, a)
		}, 403, "bad_assertion", "does not name this provider"},
		{"an identifier without a page", set("claimed_id", "http://none.example/"), 502, "provider_unreachable", ""},
		{"an identifier not in normal form", set("claimed_id", "HTTP://bob.example/"), 403, "bad_assertion", "normal form"},
		{"an identifier that is no URL", set("claimed_id", "=bob"), 403, "bad_assertion", "normal form"},
		{"a value of two lines", set("sreg.nickname", "bob\nclaimed_id:http://ann.example/"), 403, "bad_assertion", "several lines"},
		{"a name with a colon", set("x:y", "z"), 403, "bad_assertion", "colon"},
		{"a field twice", func(p *provider, a url.Values) { a.Add("openid.claimed_id", "http://ann.example/") }, 403, "bad_assertion", "twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			p, v := b.newProvider(), b.visitor()
			p.pages["http://on.example/"] = page{to: "http://ann.example/"}
			a := p.assertion(v.begin("bob.example"))
			good := p.assertion(urlOf(a))
			to := strings.TrimPrefix(a.Get("openid.return_to"), "http://edge.test")
			c.edit(p, a)
			r := v.get(to + "&" + a.Encode())
			b.refused(r, c.status, c.code)
			if !strings.Contains(r.Err.Message, c.says) || len(p.asked) > 2 || len(p.verified) > 1 {
				t.Errorf("%v after %q, %q", r, p.asked, p.verified)
			}
			if v.jar[sessionCookie] != "" || v.jar[loginCookie] != "" {
				t.Errorf("cookies %v", v.jar)
			}
			p.verdict = nil
			b.refused(v.get(to+"&"+good.Encode()), 400, "login_unknown")
		})
	}
}

// urlOf makes the request that an answer was given to.
func urlOf(a url.Values) string {
	q := url.Values{}
	for _, name := range []string{"openid.claimed_id", "openid.identity", "openid.return_to"} {
		q.Set(name, a.Get(name))
	}
	return opEndpoint + "&" + q.Encode()
}

func TestAnswerIsGoodOnce(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	a := p.assertion(v.begin("bob.example"))
	login := v.jar[loginCookie]
	if r := v.answer(a); r.Err != nil {
		t.Fatal(r)
	}
	v.jar[loginCookie] = login
	b.refused(v.answer(a), 400, "login_unknown")

	// The same nonce in the answer to another attempt, though the provider should
	// vouch for it again.
	a2 := p.assertion(v.begin("bob.example"))
	a2.Set("openid.response_nonce", a.Get("openid.response_nonce"))
	p.sign(a2)
	p.used = map[string]bool{}
	r := v.answer(a2)
	b.refused(r, 403, "bad_assertion")
	if !strings.Contains(r.Err.Message, "used before") {
		t.Fatal(r)
	}
}

func TestAnswerIsForOneBrowser(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	a := p.assertion(v.begin("bob.example"))
	other := b.visitor()
	b.refused(other.answer(a), 403, "login_mismatch")
	other.begin("bob.example")
	b.refused(other.answer(a), 403, "login_mismatch")
	other.jar[loginCookie] = ""
	b.refused(other.answer(a), 403, "login_mismatch")
	if len(p.verified) != 0 {
		t.Fatal("the provider was asked")
	}
	// That took nothing from the browser whose answer it is.
	if r := v.answer(a); r.Err != nil {
		t.Fatal(r)
	}
}

func TestAttemptExpires(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	location := v.begin("bob.example")
	b.Advance(attemptTTL)
	b.refused(v.answer(p.assertion(location)), 400, "login_unknown")
}

func TestProviderHasTheUserChoose(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	location := v.begin("https:/op.example/")
	u, _ := url.Parse(location)
	if q := u.Query(); q.Get("openid.claimed_id") != identifierSelect || q.Get("openid.identity") != identifierSelect {
		t.Fatal(location)
	}
	choose := func(claimed, identity string) *guesttest.Response {
		a := p.assertion(v.begin("https:/op.example/"))
		a.Set("openid.claimed_id", claimed)
		a.Set("openid.identity", identity)
		p.sign(a)
		return v.answer(a)
	}
	direct := b.visitor().login(p, "bob.example").Text("account")
	if r := choose(bobID, "https://op.example/bob"); r.Text("account") != direct {
		t.Fatal(r)
	}
	if r := choose("http://ann.example/#1", "http://ann.example/"); r.Text("nickname") != "bob" || r.Text("account") == direct {
		t.Fatal(r)
	}
	for _, c := range [][2]string{
		{bobID, "https://op.example/eve"}, {bobID, bobID}, {"http://eve.example/", "http://eve.example/"},
		{identifierSelect, identifierSelect}, {"https://op.example/", "https://op.example/"},
	} {
		if r := choose(c[0], c[1]); r.Err == nil {
			t.Errorf("%q: %v", c, r)
		}
	}
}

// The user may be somebody else at the provider than who it was sent for.
func TestProviderAnswersForAnother(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	ann := b.visitor().login(p, "ann.example").Text("account")
	a := p.assertion(v.begin("bob.example"))
	a.Set("openid.claimed_id", "http://ann.example/")
	a.Set("openid.identity", "http://ann.example/")
	p.sign(a)
	if r := v.answer(a); r.Text("account") != ann {
		t.Fatal(r)
	}
}

func TestReadKeyValues(t *testing.T) {
	for text, want := range map[string]string{
		"is_valid:true\n": "true", "a:b\nis_valid:true": "true", "is_valid:true:x\n": "true:x", "is_valid:\n": "",
	} {
		if m, ok := readKeyValues(text); !ok || m["is_valid"] != want {
			t.Errorf("%q: got %q, %v", text, m, ok)
		}
	}
	for _, text := range []string{"", "\n", "is_valid\n", "a:b\n\n", "a:b\na:c\n"} {
		if m, ok := readKeyValues(text); ok {
			t.Errorf("%q: got %q", text, m)
		}
	}
}

// Whatever a callback's query says, it logs nobody in whom the provider has not
// vouched for.
func FuzzCallback(f *testing.F) {
	f.Add("openid.ns=http%3A%2F%2Fspecs.openid.net%2Fauth%2F2.0&openid.mode=id_res&openid.signed=a,b&openid.sig=x")
	f.Add("openid.mode=cancel&openid.ns=&openid.=&=&openid.ns.x=http://openid.net/srv/ax/1.0&openid.x.type.a=b")
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		b := &web{}
		err = b.asks(t, func(r *guest.Request) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		p := guest.New("asks", "1.0.0")
		p.Family("/", nil).GET("/", func(w *guest.Response, r *guest.Request) error {
			a := &attempt{claimed: bobID, local: bobID, endpoint: opEndpoint}
			who, err := finishOpenID(r, a, "state")
			if err == nil {
				t.Errorf("%q: got %+v", query, who)
			}
			m := response{}
			for name := range values {
				m[strings.TrimPrefix(name, "openid.")] = values.Get(name)
			}
			m.profile()
			return err
		}, guest.Writes)
		c := guesttest.New(t, p)
		c.Host.Web = b.fetch
		if r := c.Do(guesttest.Request{Path: "/?" + values.Encode()}); r.Err == nil || r.Status >= 500 && r.Err.Code == "internal" {
			t.Fatalf("%q: %v", query, r)
		}
	})
}

func FuzzKeyValues(f *testing.F) {
	f.Add("ns:x\nis_valid:true\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, ok := readKeyValues(text)
		if !ok {
			return
		}
		for key, value := range m {
			if !strings.Contains("\n"+text+"\n", "\n"+key+":"+value+"\n") {
				t.Fatalf("%q: got %q", text, m)
			}
		}
	})
}

// Another site that has a visitor of its own sign in could show us, under its
// name, what the provider has told it.
func TestLoginsAreForAServerThatHasAName(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	at := func(host, path string) *guesttest.Response {
		r := b.send(guesttest.Request{Path: path, AnyHost: true, BaseURL: "http://" + host, Headers: map[string]string{"Cookie": v.cookies()}})
		if c := r.Headers["Set-Cookie"]; c != "" {
			name, value, _ := strings.Cut(strings.SplitN(c, ";", 2)[0], "=")
			v.jar[name] = value
		}
		return r
	}
	for _, host := range []string{"edge.test", "evil.example:8080", "192.0.2.1", "[2001:db8::1]:80", "localhost.evil.example", "127.0.0.1.evil.example"} {
		b.refused(at(host, "/1.0/login/bob.example"), 403, "any_host")
	}
	for _, host := range []string{"localhost:8080", "127.0.0.1:8080", "[::1]:8080", "127.9.9.9"} {
		r := at(host, "/1.0/login/bob.example")
		if r.Status != 302 || r.Err != nil {
			t.Fatalf("%s: %v", host, r)
		}
		a := p.assertion(r.Headers["Location"])
		back, ok := strings.CutPrefix(a.Get("openid.return_to"), "http://"+host)
		if !ok {
			t.Fatalf("return_to %q", a.Get("openid.return_to"))
		}
		// What was begun under one name is not finished under another.
		evil := url.Values{}
		for name := range a {
			evil.Set(name, strings.ReplaceAll(a.Get(name), "http://"+host, "http://evil.example"))
		}
		p.sign(evil)
		b.refused(at("evil.example", back+"&"+evil.Encode()), 403, "any_host")
	}
}
