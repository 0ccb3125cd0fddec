package main_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestOpenID(t *testing.T) {
	t.Parallel()
	op := newOpenIDProvider(t)
	s := newServer(t, openIDManifest(strings.TrimPrefix(op, "http://")))
	bob := s.browser()
	account := bob.isSignedIn(bob.signIn(op+"/xrds/bob"), "bob")

	t.Run("the session", func(t *testing.T) {
		r, _ := bob.visit("/1.0/session")
		if bob.isSignedIn(r, "bob") != account || r.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%v\nwant account %s", r, account)
		}
		r, _ = bob.visit("/1.0/sessions")
		if len(r.items("items")) != 1 || r.text("items.0.current") != "true" || r.text("items.0.kind") != "session" {
			t.Errorf("%v\nwant one session", r)
		}
		if r, _ := s.browser().visit("/1.0/session"); r.status != 401 {
			t.Errorf("%v\nwant 401", r)
		}
	})
	t.Run("the cookies", func(t *testing.T) {
		resp, err := bob.http.Get(bob.answer(op + "/xrds/bob").String())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		set := strings.Join(resp.Header.Values("Set-Cookie"), "\n")
		for _, want := range []string{
			"edgeset_login=; Path=/1.0/login; Max-Age=0; HttpOnly; SameSite=Lax",
			"edgeset_session=" + bob.sessionToken() + "; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax",
		} {
			if !strings.Contains(set, want) {
				t.Errorf("got %s\nwant %s", set, want)
			}
		}
	})
	t.Run("back to a page", func(t *testing.T) {
		b := s.browser()
		if r := b.signIn(op+"/xrds/bob", "return", "/1.0/session"); b.isSignedIn(r, "bob") != account || !strings.HasSuffix(b.seen[len(b.seen)-1], "/1.0/session") {
			t.Errorf("%v at %q", r, b.seen)
		}
	})
	t.Run("every kind of page", func(t *testing.T) {
		for _, c := range [][2]string{
			{op + "/xrds/ann#now", "ann"}, {op + "/header/ann", "ann"}, {op + "/html/ann", "ann"}, {strings.TrimPrefix(op, "http://") + "/html/bob", "bob"},
			{op, "chosen"}, {op + "/", "chosen"}, {op + "/xrds/attrs", "attrs"},
		} {
			b := s.browser()
			page, _ := b.visit("/1.0/login?openid_identifier=" + url.QueryEscape(c[0]))
			b.isSignedIn(page, c[1])
			if c[0] != op {
				page, _ = b.visit("/1.0/login/" + url.PathEscape(c[0]))
				b.isSignedIn(page, c[1])
			}
		}
	})
	t.Run("a page that has moved", func(t *testing.T) {
		b := s.browser()
		page, _ := b.visit("/1.0/login?openid=" + url.QueryEscape(op+"/redirect?to="+url.QueryEscape(op+"/xrds/bob")))
		if b.isSignedIn(page, "bob") != account {
			t.Errorf("%v\nwant account %s: the OpenID is where the redirect leads", page, account)
		}
	})
	t.Run("an answer that is posted", func(t *testing.T) {
		b := s.browser()
		page := b.signIn(op + "/xrds/long")
		action := regexp.MustCompile(`action="([^"]+)"`).FindSubmatch(page.raw)
		if action == nil {
			b.fatalf("%v\nwant a form", page)
		}
		fields := url.Values{}
		for _, m := range regexp.MustCompile(`name="([^"]+)" value="([^"]*)"`).FindAllSubmatch(page.raw, -1) {
			fields.Set(html.UnescapeString(string(m[1])), html.UnescapeString(string(m[2])))
		}
		// A browser sends no cookies with it, since it is another site's form.
		bare := &http.Client{Timeout: callTime, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := bare.PostForm(html.UnescapeString(string(action[1])), fields)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 303 {
			t.Fatalf("%v, want a redirect", resp.Status)
		}
		page, _ = b.visit(resp.Header.Get("Location"))
		b.isSignedIn(page, "long")
	})
	t.Run("logout", func(t *testing.T) {
		for _, method := range []string{"GET", "POST"} {
			b := s.browser()
			b.isSignedIn(b.signIn(op+"/xrds/ann"), "ann")
			token := b.sessionToken()
			if r := s.withCookie("GET", "/1.0/session", token); r.status != 200 {
				t.Fatal(r)
			}
			var first reply
			if method == "GET" {
				first, _ = b.visit("/1.0/logout")
			} else {
				first, _ = b.visit("/1.0/logout", "x", "y")
			}
			if r := s.withCookie("GET", "/1.0/session", token); first.status != 200 || r.status != 401 || r.text("error.code") != "session_unknown" {
				t.Errorf("%v\n%v\nwant the session to be over", first, r)
			}
			if b.sessionToken() != "" {
				t.Error("the browser has its cookie still")
			}
			if again, _ := b.visit("/1.0/logout"); string(again.raw) != string(first.raw) {
				t.Errorf("%v\nwant the same without a session", again)
			}
		}
	})
	t.Run("a second login ends the session of the first", func(t *testing.T) {
		b := s.browser()
		b.isSignedIn(b.signIn(op+"/xrds/ann"), "ann")
		first := b.sessionToken()
		b.isSignedIn(b.signIn(op+"/xrds/bob"), "bob")
		if b.sessionToken() == first {
			t.Error("the token is the same")
		}
		if r := s.withCookie("GET", "/1.0/session", first); r.text("error.code") != "session_unknown" {
			t.Errorf("%v\nwant the first session to be over", r)
		}
	})
	t.Run("sessions are ended from elsewhere", func(t *testing.T) {
		b, other := s.browser(), s.browser()
		b.isSignedIn(b.signIn(op+"/xrds/eve"), "eve")
		other.isSignedIn(other.signIn(op+"/xrds/eve"), "eve")
		r, _ := other.visit("/1.0/sessions")
		id := r.text("items.1.id")
		if len(r.items("items")) != 2 || r.text("items.1.current") != "false" {
			t.Fatal(r)
		}
		// Another site cannot have the browser do it.
		r = s.withCookie("DELETE", "/1.0/sessions/"+id, other.sessionToken(), "Origin", "https://evil.example")
		b.turnedAway(r, 403, "cross_origin")
		if r, _ := b.visit("/1.0/session"); r.status != 200 {
			t.Errorf("%v\nwant the session", r)
		}
		if r := s.withCookie("DELETE", "/1.0/sessions/"+id, other.sessionToken()); r.text("id") != id {
			t.Error(r)
		}
		if r, _ := b.visit("/1.0/session"); r.text("error.code") != "session_unknown" {
			t.Errorf("%v\nwant it over", r)
		}
	})
	t.Run("a session is no token", func(t *testing.T) {
		for _, path := range []string{"/1.0/sessions", "/v2/users/self"} {
			if r := s.client().as(bob.sessionToken()).do("GET", path, nil); r.status != 401 {
				t.Errorf("%v\nwant 401", r)
			}
		}
		key := s.newApp()
		ann := s.client().newUser(key)
		if r := s.withCookie("GET", "/1.0/session", ann.token); r.text("error.code") != "session_unknown" {
			t.Errorf("%v\nwant session_unknown", r)
		}
	})
	t.Run("a profile that lacks something", func(t *testing.T) {
		b := s.browser()
		r := b.signIn(op + "/xrds/nameless")
		b.turnedAway(r, 403, "profile_incomplete")
		if !strings.HasSuffix(r.text("error.message"), "missing: nickname.") || b.sessionToken() != "" {
			t.Error(r)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		b := s.browser()
		b.turnedAway(b.signIn(op+"/xrds/cancel"), 403, "login_cancelled")
		if b.sessionToken() != "" {
			t.Error("there is a session")
		}
	})
	t.Run("answers that were changed", func(t *testing.T) {
		change := func(name, value string) func(q url.Values) {
			return func(q url.Values) { q.Set("openid."+name, value) }
		}
		for name, c := range map[string]struct {
			edit   func(q url.Values)
			status int
			code   string
		}{
			"claimed_id":     {change("claimed_id", op+"/xrds/ann"), 403, "bad_assertion"},
			"both":           {func(q url.Values) { change("claimed_id", op+"/xrds/ann")(q); change("identity", op+"/xrds/ann")(q) }, 403, "bad_assertion"},
			"identity":       {change("identity", op+"/xrds/ann"), 403, "bad_assertion"},
			"fragment":       {change("claimed_id", op+"/xrds/bob#1"), 403, "bad_assertion"},
			"profile":        {change("sreg.email", "mallory@example.org"), 403, "bad_assertion"},
			"nonce":          {change("response_nonce", time.Now().UTC().Format("2006-01-02T15:04:05Z")+"x"), 403, "bad_assertion"},
			"return_to":      {change("return_to", "http://"+s.listen+"/1.0/login/callback?state=x"), 403, "bad_assertion"},
			"another server": {change("return_to", "http://other.example/1.0/login/callback"), 403, "bad_assertion"},
			"op_endpoint":    {change("op_endpoint", op+"/other"), 403, "bad_assertion"},
			"unsigned":       {func(q url.Values) { q.Del("openid.sig") }, 403, "bad_assertion"},
			"less signed": {func(q url.Values) {
				q.Set("openid.signed", strings.Replace(q.Get("openid.signed"), "claimed_id,", "", 1))
			}, 403, "bad_assertion"},
			"twice":       {func(q url.Values) { q.Add("openid.identity", op+"/xrds/ann") }, 403, "bad_assertion"},
			"version":     {func(q url.Values) { q.Del("openid.ns") }, 403, "bad_assertion"},
			"no state":    {func(q url.Values) { q.Del("state") }, 400, "missing_parameter"},
			"wrong state": {func(q url.Values) { q.Set("state", "x") }, 400, "login_unknown"},
		} {
			b := s.browser()
			u := b.answer(op + "/xrds/bob")
			q := u.Query()
			c.edit(q)
			u.RawQuery = q.Encode()
			r, _ := b.visit(u.String())
			if r.status != c.status || r.text("error.code") != c.code || b.sessionToken() != "" {
				t.Errorf("%s: %v, want %d %s", name, r, c.status, c.code)
			}
		}
	})
	t.Run("an answer is taken once", func(t *testing.T) {
		b := s.browser()
		u := b.answer(op + "/xrds/bob").String()
		r, _ := b.visit(u)
		b.isSignedIn(r, "bob")
		r, _ = b.visit(u)
		b.turnedAway(r, 400, "login_unknown")
	})
	t.Run("an answer that comes more than once at a time", func(t *testing.T) {
		b := s.browser()
		u := b.answer(op + "/xrds/bob").String()
		got := make(chan int)
		for range 4 {
			go func() {
				resp, err := b.http.Get(u)
				if err != nil {
					t.Error(err)
					got <- 0
					return
				}
				resp.Body.Close()
				got <- resp.StatusCode
			}()
		}
		statuses := map[int]int{}
		for range 4 {
			statuses[<-got]++
		}
		// The provider, too, vouches for it once. Whichever request is told so may
		// be the one that is not committed first.
		if statuses[200] > 1 || statuses[200]+statuses[400]+statuses[403]+statuses[502] != 4 {
			t.Errorf("got %v, want at most one 200", statuses)
		}
	})
	t.Run("an answer is for the browser that asked", func(t *testing.T) {
		thief, victim := s.browser(), s.browser()
		u := thief.answer(op + "/xrds/eve").String()
		victim.answer(op + "/xrds/bob")
		for _, b := range []*browser{victim, s.browser()} {
			r, _ := b.visit(u)
			b.turnedAway(r, 403, "login_mismatch")
			if b.sessionToken() != "" {
				t.Error("somebody was logged in by another")
			}
		}
	})
	t.Run("not an OpenID", func(t *testing.T) {
		for openid, code := range map[string]string{
			"=bob": "bad_openid", "bob": "bad_openid", op + "/old/bob": "old_openid", op + "/none/bob": "provider_unreachable",
		} {
			if r := s.browser().signIn(openid); r.text("error.code") != code {
				t.Errorf("%s: %v, want %s", openid, r, code)
			}
		}
		r := s.browser().signIn(op+"/xrds/bob", "return", "//evil.example/")
		if r.status != 400 || r.text("error.code") != "bad_parameter" {
			t.Error(r)
		}
	})
	t.Run("where the plugin may not go", func(t *testing.T) {
		var reached atomic.Int64
		inner := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			reached.Add(1)
			fmt.Fprintf(w, `<link rel="openid2.provider" href="%s/endpoint">`, op)
		}))
		defer inner.Close()
		for _, place := range []string{
			inner.URL, op + "/redirect?to=" + inner.URL, op + "/lead?to=" + inner.URL, "http://localhost:" + strings.Split(inner.URL, ":")[2],
			"http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://10.0.0.1/",
			op + "/redirect?to=http://169.254.169.254/", op + "/redirect?to=file:///etc/passwd",
		} {
			b := s.browser()
			r, _ := b.visit("/1.0/login?openid=" + url.QueryEscape(place))
			if r.status != 403 || r.text("error.code") != "provider_denied" ||
				strings.Contains(r.text("error.message"), "127.0.0.1") {
				t.Errorf("%s: %v\nwant it refused", place, r)
			}
		}
		if n := reached.Load(); n != 0 {
			t.Errorf("the inner server was reached %d times", n)
		}
	})
	t.Run("behind a proxy", func(t *testing.T) {
		get := func(place string, cookies ...*http.Cookie) *http.Response {
			req, err := http.NewRequest("GET", place, nil)
			if err != nil {
				t.Fatal(err)
			}
			if req.URL.Host == s.listen {
				req.Host = "inside.example"
			}
			for _, c := range cookies {
				req.AddCookie(c)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			io.Copy(io.Discard, resp.Body)
			return resp
		}
		inside := "http://" + s.listen
		begun := get(inside + "/1.0/login?openid=" + url.QueryEscape(op+"/xrds/bob"))
		const attributes = "; Max-Age=600; HttpOnly; SameSite=Lax; Secure"
		if set := begun.Header.Get("Set-Cookie"); begun.StatusCode != 302 || !strings.HasSuffix(set, "; Path=/below/1.0/login"+attributes) {
			t.Fatalf("%v with the cookie %s", begun.Status, set)
		}
		sent := get(begun.Header.Get("Location"))
		path, ok := strings.CutPrefix(sent.Header.Get("Location"), "https://edge.example/below")
		if !ok {
			t.Fatalf("the provider sends the browser to %s", sent.Header.Get("Location"))
		}
		done := get(inside+path, begun.Cookies()...)
		session := done.Cookies()[len(done.Cookies())-1]
		if done.StatusCode != 200 || session.Name != "edgeset_session" || !session.Secure || session.Path != "/" {
			t.Fatalf("%v with the cookies %v", done.Status, done.Cookies())
		}
		if r := get(inside+"/1.0/session", session); r.StatusCode != 200 {
			t.Errorf("%v, want the session", r.Status)
		}
		// It is one of this deployment.
		if r := s.withCookie("GET", "/1.0/session", session.Value); r.text("error.code") != "session_unknown" {
			t.Errorf("%v\nwant session_unknown", r)
		}
	})
	t.Run("a restart", func(t *testing.T) {
		s.restart()
		r, _ := bob.visit("/1.0/session")
		if bob.isSignedIn(r, "bob") != account {
			t.Errorf("%v\nwant account %s", r, account)
		}
	})
}

// A provider that never answers is given up in time, and keeps nobody else waiting
// meanwhile.
func TestOpenIDProviderNeverAnswers(t *testing.T) {
	t.Parallel()
	op, quiet := newOpenIDProvider(t), newSilent(t)
	s := newServer(t, openIDManifest(strings.TrimPrefix(op, "http://"), quiet.listen()))
	bob := s.browser()
	bob.isSignedIn(bob.signIn(op+"/xrds/bob"), "bob")

	ended := make(chan reply, 1)
	begin := time.Now()
	waiting := s.browser()
	go func() { ended <- waiting.signIn(quiet.URL) }()
	quiet.await(1)
	checks := 0
	for {
		select {
		case r := <-ended:
			if r.status != 502 || time.Since(begin) > 20*time.Second {
				t.Errorf("%v after %v, want 502 within 20 s", r, time.Since(begin))
			}
			if checks < 20 {
				t.Errorf("%d checks of credentials meanwhile", checks)
			}
			bob.isSignedIn(bob.signIn(op+"/xrds/bob"), "bob")
			return
		case <-time.After(50 * time.Millisecond):
		}
		began := time.Now()
		// Of a session that the host has kept the answer of, and of one that it has to ask for.
		known, _ := bob.visit("/1.0/session")
		unknown := s.withCookie("GET", "/1.0/session", fmt.Sprintf("%040d", checks))
		if took := time.Since(began); known.status != 200 || unknown.status != 401 || took > 3*time.Second {
			t.Fatalf("%v\n%v\nafter %v, while somebody waits for a provider", known, unknown, took)
		}
		checks++
	}
}
