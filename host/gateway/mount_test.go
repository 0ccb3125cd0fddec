package gateway

import (
	"strings"
	"testing"
)

func TestAMountedPluginKnowsNothingOfIt(t *testing.T) {
	spec := trial("*")
	spec.Plugins[1].Mount = "/eu"
	r := start(t, Config{}, spec)
	p := r.do("GET /eu/t/echo/x/y?q=1", "").wants(200)
	if p.field("path") != "/t/echo/x/y" || p.field("a") != "x" || p.field("b") != "y" || p.field("base") != "http://"+r.addr+"/eu" || p.field("query") != `["q=1"]` {
		t.Errorf("%s", p.body)
	}
	if p := r.do("GET /eu/t/rest/x/y/z", "").wants(200); p.field("path") != "/t/rest/x/y/z" || p.field("b") != "x/y/z" {
		t.Errorf("%s", p.body)
	}
	// Its errors have its form, below the mount alone.
	for path, form := range map[string]bool{"/eu/t/nothing": true, "/eu/t": true, "/t/echo": false, "/eu": false, "/eu/other": false, "/eut/echo": false, "/eu/eu/t/echo": false} {
		if p := r.do("GET "+path, "").wants(404); strings.Contains(p.body, `"fault":"gone"`) != form {
			t.Errorf("%s: %s", path, p.body)
		}
	}
	if p := r.do("PATCH /eu/t/echo", "").wants(405); p.field("fault") != "verb" || p.header.Get("Allow") == "" {
		t.Errorf("%s, Allow %q", p.body, p.header.Get("Allow"))
	}
	// The guard is not mounted, and lets in.
	r.do("POST /g/grant/ann", "").wants(204)
	if p := r.do("GET /eu/t/private", "", "Authorization", "Bearer ann").wants(200); p.field("account") != "ann" {
		t.Errorf("%s", p.body)
	}
	r.do("PUT /eu/t/kv/x", "1").wants(204)
	r.do("GET /eu/t/kv/x", "").wants(200)
	// Operators call a plugin by its name.
	if p := r.operate("POST", "trial", "/t/operated", "").wants(200); p.field("path") != "/t/operated" {
		t.Errorf("%s", p.body)
	}
	r.operate("POST", "trial", "/eu/t/operated", "").wants(404)
	if n := r.metric("edgeset_requests_total", "route", "GET /eu/t/echo/:a/:b"); n != 1 {
		t.Errorf("%v requests are counted of the mounted route", n)
	}
}

func TestAMountAndABaseURL(t *testing.T) {
	spec := trial("*")
	spec.BaseURL = "https://api.example"
	spec.Plugins[1].Mount = "/eu/v1"
	r := start(t, Config{}, spec)
	if got := r.do("GET /eu/v1/t/echo", "").wants(200).field("base"); got != "https://api.example/eu/v1" {
		t.Errorf("%s", got)
	}
}

func TestASocketOfAMountedPlugin(t *testing.T) {
	spec := chat()
	spec.Plugins[1].Mount = "/eu"
	r := start(t, Config{}, spec)
	c := r.connect("/eu/chat/socket/")
	c.silent()
	r.do("GET /chat/socket/?EIO=4&transport=polling", "").wants(404)
	// It survives a swap to where it is still mounted, and is answered by that.
	next := load(t, spec)
	r.swap(Serving{Current: next})
	c.silent()
	eventually(t, "the next version has answered", func() bool { s, _ := r.gateway.Stats(next); return s.Requests == 1 })
	// And it ends where there is none at its path any more.
	spec.Plugins[1].Mount = "/us"
	r.swap(Serving{Current: load(t, spec)})
	if got := c.next(); !strings.HasPrefix(got.name, "end") {
		t.Errorf("heard %+v", got)
	}
	r.connect("/us/chat/socket/").silent()
}
