package main

import (
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// newSite returns a desk whose plugin was built with a few small pages.
func newSite(t testing.TB, files ...string) *desk {
	built := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		built[pageDir+files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	p := guest.New("sharing", "1.0.0")
	api := p.Family("/v2", failure)
	api.POST("/v2/users/self/create_ticket", createTicket, guest.Auth("token"), guest.Form)
	api.POST("/v2/tickets/:id/create_invite", createInvite, guest.Auth("token"), guest.Form)
	api.POST("/v2/invites/:code/delete", deleteInvite, guest.Auth("token"), guest.Form)
	api.POST("/v2/tickets/:id/delete", deleteTicket, guest.Auth("token"), guest.Form)
	servePages(p, built)
	c := guesttest.New(t, p)
	c.Caller = ann
	return &desk{c, t}
}

func (d *desk) page(path string, headers ...string) *guesttest.Response {
	d.t.Helper()
	q := guesttest.Request{Path: path, Caller: &abi.Caller{}, Headers: map[string]string{}}
	for i := 0; i < len(headers); i += 2 {
		q.Headers[headers[i]] = headers[i+1]
	}
	return d.Do(q)
}

const smallPage = `<body data-config="{{config}}">view</body>`

// config reads what a page was told, as a browser does.
func config(t testing.TB, r *guesttest.Response) (c map[string]any) {
	t.Helper()
	m := regexp.MustCompile(`^<body data-config="([^"<>]*)">`).FindSubmatch(r.Raw)
	if m == nil {
		t.Fatalf("no settings in %s", r.Raw)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(string(m[1]))), &c); err != nil {
		t.Fatalf("%v in %s", err, m[1])
	}
	return c
}

func TestThePageBehindALink(t *testing.T) {
	d := newSite(t, "view.html", smallPage)
	ticket := d.ticket()
	code, other := d.invite(ticket), d.invite(ticket)
	for _, path := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), strings.ToLower(strings.ReplaceAll(code, "-", ""))} {
		r := d.page("/" + path)
		if r.Status != 200 || r.Headers["Content-Type"] != "text/html; charset=utf-8" {
			t.Fatalf("%s: %s", path, r)
		}
		if c := config(t, r); fmt.Sprint(c) != "map[code:"+code+" service:edgeset tiles:<nil>]" {
			t.Errorf("%s: settings %v", path, c)
		}
	}
	d.ok(d.post("invites/"+code+"/delete", ""))
	d.ok(d.post("tickets/"+ticket+"/delete", ""))
	for path, canonical := range map[string]string{
		code: code, other: other, "2222-2222": "2222-2222", "22222222": "2222-2222",
		"oops-0001": "OOPS-0001", "2222222": "2222222", "222-222": "222-222", "2222-22222": "2222-22222", "login1": "LOGIN1",
	} {
		r := d.page("/" + path)
		if r.Status != 404 || r.Headers["Content-Type"] != "text/html; charset=utf-8" || config(t, r)["code"] != canonical {
			t.Errorf("%s: %s", path, r)
		}
	}
	for _, path := range []string{"favicon.ico", "robots.txt", "x", "index", "2222-2222-222", "%C3%A9222-2222", "2222%202222", "2222_2222", "-", "a%22b%3Ccdef", "apple-touch-icon.png"} {
		r := d.page("/" + path)
		if r.Status != 404 || r.Headers["Content-Type"] != "text/plain; charset=utf-8" || len(r.Raw) > 100 || len(r.Raw) == 0 {
			t.Errorf("%s: %s", path, r)
		}
	}
}

func TestHeadersOfPages(t *testing.T) {
	d := newSite(t, "view.html", smallPage, "share.html", smallPage)
	code := d.invite(d.ticket())
	d.Host.Settings["tiles_url"] = "http://127.0.0.1:8090/{z}/{x}/{y}.png"
	for path, permissions := range map[string]string{"/" + code: "geolocation=()", "/2222-2222": "geolocation=()", "/share": "geolocation=(self)"} {
		r := d.page(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https: http://127.0.0.1:8090; " +
				"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"Permissions-Policy": permissions, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex",
			"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache",
		} {
			if got := r.Headers[name]; got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
	}
	for _, r := range plugin().Description().Routes {
		if page := r.Pattern == "/:code" || r.Pattern == "/share"; page != r.ETag || page && r.Write {
			t.Errorf("%s: an entity tag %v, writes %v", r.Pattern, r.ETag, r.Write)
		}
	}
}

func TestSettingsOfPages(t *testing.T) {
	d := newSite(t, "share.html", smallPage)
	settings := map[string]string{
		"tiles_url": "https://tile.example.com:8443/{z}/{x}/{y}.png?key=a&b=c", "tiles_attribution": "© \"A\" <b>&\u2028'", "tiles_max_zoom": "99",
		"service_name": "Ann's \\ \"maps\" </script>", "api_key": "key",
	}
	for name, value := range settings {
		d.Host.Settings[name] = value
	}
	c := config(t, d.page("/share"))
	tiles, _ := c["tiles"].(map[string]any)
	if tiles["url"] != settings["tiles_url"] || tiles["attribution"] == nil || tiles["max_zoom"] != 24.0 || c["service"] != settings["service_name"] || c["api_key"] != "key" || c["code"] != nil {
		t.Errorf("%v", c)
	}
	d.Host.Settings["tiles_max_zoom"] = "17"
	if c := config(t, d.page("/share")); c["tiles"].(map[string]any)["max_zoom"] != 17.0 {
		t.Errorf("%v", c)
	}
	d.Host.Settings["tiles_url"] = "https://tile.example.com/x.png"
	if r := d.page("/share"); config(t, r)["tiles"] != nil || strings.Contains(r.Headers["Content-Security-Policy"], "example") {
		t.Errorf("%s %v", r, r.Headers)
	}
}

func TestOriginsOfTiles(t *testing.T) {
	const path = "/{z}/{x}/{y}.png"
	for url, want := range map[string]string{
		"https://tile.example.com" + path:            "https://tile.example.com",
		"https://Tile.Example.com:443" + path:        "https://tile.example.com:443",
		"https://192.0.2.1/a/{x}/{-y}/{z}?k=v":       "https://192.0.2.1",
		"http://localhost:8080" + path:               "http://localhost:8080",
		"http://127.0.0.2" + path:                    "http://127.0.0.2",
		"http://[::1]:81" + path:                     "http://[::1]:81",
		"http://[::1]" + path:                        "http://[::1]",
		"http://tile.example.com" + path:             "",
		"http://127.0.0.1.example.com" + path:        "",
		"http://10.0.0.1" + path:                     "",
		"ftp://tile.example.com" + path:              "",
		"javascript://x/" + path:                     "",
		"//tile.example.com" + path:                  "",
		"https://" + path:                            "",
		"https:///" + path:                           "",
		"https://{s}.example.com" + path:             "",
		"https://a@example.com" + path:               "",
		"https://example.com:" + path:                "",
		"https://example.com:0" + path:               "",
		"https://example.com:65536" + path:           "",
		"https://example.com:8080:1" + path:          "",
		"https://[::1]x" + path:                      "",
		"https://[::1]:" + path:                      "",
		"https://[2001:db8::1]" + path:               "",
		"https://-a.example" + path:                  "",
		"https://a..example" + path:                  "",
		"https://*.example.com" + path:               "",
		"https://a.example;script-src" + path:        "",
		"https://a.example; script-src *" + path:     "",
		"https://a.example" + path + "\r\nX-A: b":    "",
		"https://a.example" + path + "\x00":          "",
		"https://é.example" + path:                   "",
		"https://a.example/{z}/{x}":                  "",
		"https://a.example/{z}/{y}":                  "",
		"https://a.example/{x}/{y}":                  "",
		"https://a.example{z}{x}{y}":                 "",
		"https://a.example/{s}/{z}/{x}/{y}{r}.png":   "https://a.example",
		"https://a.example/{z}/{x}/{y}?key={key}":    "",
		"https://a.example/{z}/{x}/{y}/{}":           "",
		"https://a.example/{z}/{x}/{y}/{ z }":        "",
		"https://a.example/'{z}{x}{y}":               "",
		"https://" + strings.Repeat("a", 500) + path: "",
		"": "",
	} {
		if got, ok := tilesOrigin(url); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", url, got, ok, want)
		}
	}
}

// Whatever an operator sets, it stays within its place of the header and the page.
func FuzzSettingsOfPages(f *testing.F) {
	f.Add("https://tile.example.com/{z}/{x}/{y}.png", "© OSM", "edgeset", "key")
	f.Add("https://a.example;/{z}/{x}/{y}", "\"><script>", "</body>\x00\xff", "{{config}}")
	f.Add("http://[::1]:80/{z}/{x}/{y}'", "\\", "\u2028", "\"")
	f.Fuzz(func(t *testing.T, url, attribution, service, key string) {
		d := newSite(t, "share.html", smallPage)
		d.Host.Settings = map[string]string{"tiles_url": url, "tiles_attribution": attribution, "service_name": service, "api_key": key}
		r := d.page("/share")
		policy := r.Headers["Content-Security-Policy"]
		origin, ok := tilesOrigin(url)
		want := "img-src 'self' data: https:"
		if ok {
			want += " " + origin
		}
		if !regexp.MustCompile(`^https?://[a-z0-9.:\[\]-]+$`).MatchString(origin) && ok {
			t.Errorf("%q: origin %q", url, origin)
		}
		if parts := strings.Split(policy, "; "); len(parts) != 9 || parts[3] != want {
			t.Errorf("%q: policy %q", url, policy)
		}
		c := config(t, r)
		if tiles, _ := c["tiles"].(map[string]any); ok && tiles["url"] != url {
			t.Errorf("tiles %v", tiles)
		}
		if c["service"] == "" || !strings.HasSuffix(string(r.Raw), `">view</body>`) {
			t.Errorf("%s", r.Raw)
		}
	})
}

func TestFilesOfPages(t *testing.T) {
	d := newSite(t, "view.html", smallPage, "view-1.js", "script", "view-1.js.gz", "packed", "a.css", "style", "world-1.json", "{}", "mark.svg", "<svg/>", ".gitkeep", "", "licences-1.txt", "MIT", "deep/x.js", "deep")
	get := func(name, accept, body, kind, encoding, vary string) {
		t.Helper()
		r := d.page("/pages/"+name, "Accept-Encoding", accept)
		if r.Status != 200 || string(r.Raw) != body || r.Headers["Content-Type"] != kind || r.Headers["Content-Encoding"] != encoding || r.Headers["Vary"] != vary ||
			r.Headers["Cache-Control"] != "public, max-age=31536000, immutable" || r.Headers["X-Content-Type-Options"] != "nosniff" {
			t.Errorf("%s: %s %v", name, r, r.Headers)
		}
	}
	const script = "text/javascript; charset=utf-8"
	get("view-1.js", "gzip, deflate, br", "packed", script, "gzip", "Accept-Encoding")
	get("view-1.js", "br;q=1, GZIP ; q=0.5", "packed", script, "gzip", "Accept-Encoding")
	for _, accept := range []string{"", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip", "*;q=0"} {
		get("view-1.js", accept, "script", script, "", "Accept-Encoding")
	}
	get("a.css", "gzip", "style", "text/css; charset=utf-8", "", "")
	get("world-1.json", "gzip", "{}", "application/json", "", "")
	get("mark.svg", "gzip", "<svg/>", "image/svg+xml", "", "")
	get("licences-1.txt", "gzip", "MIT", "text/plain; charset=utf-8", "", "")
	for _, name := range []string{"view.html", "view-1.js.gz", "views-1.js", "view-1.css", "view.js", "-1.js", ".gitkeep", ".js", "..", "deep", "deep%2Fx.js", "..%2F..%2Fmain.js", "a.css%00", "%2Fa.css"} {
		if r := d.page("/pages/" + name); r.Status != 404 || r.Headers["Cache-Control"] != "" {
			t.Errorf("%s: %s %v", name, r, r.Headers)
		}
	}
}

func TestAPageOfAnEarlierBuildGetsTheFilesOfThisOne(t *testing.T) {
	d := newSite(t, "view-NEW.js", "script", "view-NEW.js.gz", "packed", "view-NEW.css", "style", "world-110m-NEW.json", "coarse", "world-50m-NEW.json", "fine")
	for name, want := range map[string]string{
		"view-OLD.js": "script", "view-OLD.css": "style", "world-50m-OLD.json": "fine", "world-110m-OLD.json": "coarse",
	} {
		r := d.page("/pages/" + name)
		if r.Status != 200 || string(r.Raw) != want || r.Headers["Cache-Control"] != "no-store" || r.Headers["Content-Type"] != contentType(name) {
			t.Errorf("%s: %s %v", name, r, r.Headers)
		}
	}
	if r := d.page("/pages/view-OLD.js", "Accept-Encoding", "gzip"); string(r.Raw) != "packed" || r.Headers["Content-Encoding"] != "gzip" {
		t.Errorf("packed: %s %v", r, r.Headers)
	}
}

func TestAPluginThatWasBuiltWithoutPagesSaysSo(t *testing.T) {
	d := newSite(t, ".gitkeep", "")
	for _, path := range []string{"/share", "/" + d.invite(d.ticket()), "/2222-2222"} {
		if r := d.page(path); r.Status != 404 || !strings.Contains(string(r.Raw), "without its pages") || r.Headers["Content-Type"] != "text/plain; charset=utf-8" {
			t.Errorf("%s: %s", path, r)
		}
	}
}

// What is built refers to its files as they are, relative to where the plugin is
// mounted, and has nothing inline that the policy would keep from running.
func TestTheBuiltPages(t *testing.T) {
	d := newDesk(t)
	for _, page := range []string{"view.html", "share.html"} {
		text, err := fs.ReadFile(built, pageDir+page)
		if err != nil {
			t.Skipf("the plugin was built without its pages: %v", err)
		}
		if n := strings.Count(string(text), `data-config="{{config}}"`); n != 1 || strings.Count(string(text), "{{") != 1 {
			t.Errorf("%s has %d places for its settings", page, n)
		}
		files := regexp.MustCompile(`(?:src|href)="([^"#]*)"`).FindAllStringSubmatch(string(text), -1)
		for _, m := range files {
			name, ok := strings.CutPrefix(m[1], "pages/")
			if !ok && !strings.HasPrefix(m[1], "data:") && m[1] != "share" {
				t.Errorf("%s refers to %s: want pages/…", page, m[1])
			}
			if r := d.page("/pages/" + name); ok && r.Status != 200 {
				t.Errorf("%s refers to %s, which is not there", page, m[1])
			}
		}
		if len(files) == 0 {
			t.Errorf("%s refers to nothing", page)
		}
		if m := regexp.MustCompile(`(?i)<style|<script(?:[^>]*)>[^<]|\sstyle=|\son[a-z]+=`).Find(text); m != nil {
			t.Errorf("%s has %s inline", page, m)
		}
	}
}
