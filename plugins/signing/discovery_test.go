package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A page is what a web has at a URL.
type page struct {
	kind   string // Content-Type; "": text/html
	xrds   string // X-XRDS-Location
	body   string
	to     string // another URL of the web, which it redirects to
	status int    // 0: 200
	denied bool
	failed string
}

// A web answers outbound requests.
type web struct {
	pages map[string]page
	asked []string
}

func (b *web) fetch(f *abi.Fetch) *abi.FetchReply {
	b.asked = append(b.asked, f.URL)
	address := f.URL
	p, ok := b.pages[address]
	for ; ok && f.Follow && p.to != ""; p, ok = b.pages[address] {
		address = p.to
	}
	if p.denied || p.failed != "" {
		return &abi.FetchReply{Error: fmt.Sprintf("egress: %q: %s", address, p.failed), Denied: p.denied}
	}
	if f.MaxReply > 0 && len(p.body) > f.MaxReply {
		return &abi.FetchReply{Error: "reply is too large"}
	}
	reply := &abi.FetchReply{Status: 200, URL: address, Body: []byte(p.body)}
	if !ok {
		reply.Status = 404
	} else if p.status != 0 {
		reply.Status = p.status
	}
	var headers abi.Writer
	headers.Array()
	headers.Text("content-type")
	if p.kind == "" {
		p.kind = "Text/HTML; charset=utf-8"
	}
	headers.Text(p.kind)
	if p.xrds != "" {
		headers.Text("x-xrds-location")
		headers.Text(p.xrds)
	}
	headers.End()
	reply.Headers = abi.Pairs(headers.Value())
	return reply
}

// asks runs fn as a request that may reach the web.
func (b *web) asks(t *testing.T, fn func(r *guest.Request) error) error {
	t.Helper()
	p := guest.New("asks", "1.0.0")
	p.Family("/", nil).GET("/", func(w *guest.Response, r *guest.Request) error { return fn(r) })
	c := guesttest.New(t, p)
	c.Host.Web = b.fetch
	r := c.Do(guesttest.Request{Path: "/"})
	if r.Err != nil {
		return r.Err
	}
	return nil
}

const xrdsType = "application/xrds+xml"

// xrds makes a document of Service elements.
func xrds(services ...string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<xrds:XRDS xmlns:xrds="xri://$xrds" xmlns="xri://$xrd*($v=2.0)"><XRD>` + strings.Join(services, "\n") + `</XRD></xrds:XRDS>`
}

func signon(attr, rest string) string {
	return `<Service ` + attr + `><Type>` + typeSignon + `</Type>` + rest + `</Service>`
}

const links = `<link rel="openid2.provider" href="https://op.example/auth"><link rel="openid2.local_id" href="https://op.example/bob">`

func TestDiscovery(t *testing.T) {
	const me, op = "http://bob.example/", "https://op.example/auth"
	one := []service{{endpoint: op}}
	delegated := []service{{endpoint: op, local: "https://op.example/bob"}}
	for _, c := range []struct {
		name    string
		pages   map[string]page
		claimed string
		want    []service
	}{
		{"an XRDS document itself", map[string]page{me: {kind: xrdsType, body: xrds(signon("", "<URI>"+op+"</URI>"))}}, me, one},
		{"with a parameter of its type", map[string]page{me: {kind: "Application/XRDS+XML; charset=UTF-8", body: xrds(signon("", "<URI> "+op+"\n</URI>"))}}, me, one},
		{"by a header", map[string]page{
			me: {xrds: "http://bob.example/x", body: links}, "http://bob.example/x": {kind: xrdsType, body: xrds(signon("", "<URI>"+op+"</URI>"))},
		}, me, one},
		{"by a header on a page of any type", map[string]page{
			me: {kind: "text/plain", xrds: "/x"}, "http://bob.example/x": {kind: "text/xml", body: xrds(signon("", "<URI>"+op+"</URI>"))},
		}, me, one},
		{"by meta", map[string]page{
			me: {body: `<head><META content="http://bob.example/x?a=1&amp;b=2" HTTP-EQUIV="x-xrds-location">`}, "http://bob.example/x?a=1&b=2": {kind: xrdsType, body: xrds(signon("", "<URI>"+op+"</URI>"))},
		}, me, one},
		{"the header before meta", map[string]page{
			me:                     {xrds: "http://bob.example/x", body: `<meta http-equiv="X-XRDS-Location" content="http://bob.example/y">`},
			"http://bob.example/x": {kind: xrdsType, body: xrds(signon("", "<URI>"+op+"</URI>"))},
		}, me, one},
		{"links where the XRDS document is not there", map[string]page{me: {xrds: "http://bob.example/x", body: links}}, me, delegated},
		{"links where it names no OpenID", map[string]page{
			me: {xrds: "http://bob.example/x", body: links}, "http://bob.example/x": {kind: xrdsType, body: xrds()},
		}, me, delegated},
		{"links", map[string]page{me: {body: "\ufeff<!doctype html><!-- x --><html>\n<head><title>Bob & <link> \n</title><script>'<body>'</script>" + links + "</head><body>"}}, me, delegated},
		{"links without a head", map[string]page{me: {body: links}}, me, delegated},
		{"links of more than one kind", map[string]page{me: {body: `<link REL="openid.server  OpenID2.Provider" HREF=" https://op.example/auth ">`}}, me, one},
		{"links in XHTML", map[string]page{me: {kind: "application/xhtml+xml", body: `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><link rel="openid2.provider" href="https://op.example/auth"/></head></html>`}}, me, one},
		{"redirects", map[string]page{me: {to: "https://bob.example"}, "https://bob.example": {to: "https://bob.example/me#now"}, "https://bob.example/me#now": {body: links}}, "https://bob.example/me", delegated},
		{"the provider's own identifier", map[string]page{me: {kind: xrdsType, body: xrds(
			signon(`priority="0"`, "<URI>https://op.example/user</URI>"),
			`<Service priority="9"><Type>`+typeServer+`</Type><URI>`+op+`</URI><LocalID>no</LocalID></Service>`)}}, me,
			[]service{{endpoint: op, server: true}, {endpoint: "https://op.example/user"}}},
		{"priorities", map[string]page{me: {kind: xrdsType, body: xrds(
			signon("", "<URI>http://8.example/</URI>"),
			signon(`priority="20"`, `<URI priority="2">http://6.example/</URI><URI>http://7.example/</URI><URI priority="1">http://5.example/</URI>`),
			signon(`priority="10"`, "<URI>http://3.example/</URI><URI>http://4.example/</URI><LocalID>bob</LocalID>"),
			signon(`priority="0"`, "<URI>http://1.example/</URI>"),
			signon(`priority="0"`, "<URI>http://2.example/</URI>"),
			signon(`priority="-1"`, "<URI>http://9.example/</URI>"),
		)}}, me, []service{
			{endpoint: "http://1.example/"}, {endpoint: "http://2.example/"},
			{endpoint: "http://3.example/", local: "bob"}, {endpoint: "http://4.example/", local: "bob"},
			{endpoint: "http://5.example/"}, {endpoint: "http://6.example/"}, {endpoint: "http://7.example/"},
			{endpoint: "http://8.example/"}, {endpoint: "http://9.example/"},
		}},
		{"the last XRD", map[string]page{me: {kind: xrdsType, body: strings.Replace(xrds(signon("", "<URI>https://old.example/</URI>"), "</XRD><XRD>", signon("", "<URI>"+op+"</URI>")), "\n", "", -1)}}, me, one},
		{"among other services", map[string]page{me: {kind: xrdsType, body: xrds(
			"<Service><Type>http://openid.net/signon/1.1</Type><URI>https://one.example/</URI></Service>",
			"<Service><URI>https://two.example/</URI></Service>",
			signon("", "<URI>javascript:alert(1)</URI><URI>/relative</URI><URI>https://op.example/#x</URI><URI>"+op+"</URI>"),
			signon("", "<Extra><URI>https://three.example/</URI></Extra>"))}}, me, one},
	} {
		b := &web{pages: c.pages}
		err := b.asks(t, func(r *guest.Request) error {
			d, err := discover(r, me)
			if err == nil && (d.claimed != c.claimed || !slices.Equal(d.services, c.want)) {
				t.Errorf("%s: got %+v, want %s, %+v", c.name, d, c.claimed, c.want)
			}
			return err
		})
		if err != nil || len(b.asked) > 2 {
			t.Errorf("%s: %v after %q", c.name, err, b.asked)
		}
	}
}

func TestNothingDiscovered(t *testing.T) {
	const me = "http://bob.example/"
	deep := strings.Repeat("<a>", 100_000)
	for _, c := range []struct {
		name   string
		page   page
		status int
		code   string
	}{
		{"no page", page{status: 404}, 502, "provider_unreachable"},
		{"an error", page{status: 500, body: links}, 502, "provider_unreachable"},
		{"a redirect that was not followed", page{status: 302, body: links}, 502, "provider_unreachable"},
		{"no reply", page{failed: "dial tcp 10.0.0.7:80: connection refused"}, 502, "provider_unreachable"},
		{"a refused address", page{denied: true, failed: "at 10.0.0.7, a private address"}, 403, "provider_denied"},
		{"a redirect to a refused address", page{to: "http://inner.example/"}, 403, "provider_denied"},
		{"a redirect to no OpenID", page{to: "http://user@bob.example/"}, 400, "bad_openid"},
		{"a huge page", page{body: links + strings.Repeat(" ", maxPage)}, 502, "provider_unreachable"},
		{"nothing", page{}, 400, "no_openid"},
		{"a page", page{body: "<html><head><title>Bob</title></head><body>Hello"}, 400, "no_openid"},
		{"links below the head", page{body: "<html><head></head>" + links}, 400, "no_openid"},
		{"links in the body", page{body: "<html><body>" + links}, 400, "no_openid"},
		{"links behind text", page{body: "<html><title>x</title>Hello" + links}, 400, "no_openid"},
		{"links behind another element", page{body: "<head><div>" + links}, 400, "no_openid"},
		{"links in a comment", page{body: "<head><!--" + links + "-->"}, 400, "no_openid"},
		{"links in a script", page{body: "<head><script>" + links + "</script>"}, 400, "no_openid"},
		{"links in a title", page{body: "<head><title>" + links}, 400, "no_openid"},
		{"links in a template", page{body: "<head><template>" + links}, 400, "no_openid"},
		{"links behind a stray end", page{body: "</html>" + links}, 400, "no_openid"},
		{"links in plain text", page{kind: "text/plain", body: links}, 400, "no_openid"},
		{"links in a picture", page{kind: "image/svg+xml", body: links}, 400, "no_openid"},
		{"a link to a script", page{body: `<link rel="openid2.provider" href="javascript:alert(1)">`}, 400, "no_openid"},
		{"a relative link", page{body: `<link rel="openid2.provider" href="/auth">`}, 400, "no_openid"},
		{"a link with letters outside ASCII", page{body: `<link rel="openid2.provider" href="https://op.example/é">`}, 400, "no_openid"},
		{"a link with a fragment", page{body: `<link rel="openid2.provider" href="https://op.example/#x">`}, 400, "no_openid"},
		{"a long link", page{body: `<link rel="openid2.provider" href="https://op.example/` + strings.Repeat("x", maxIdentifier) + `">`}, 400, "no_openid"},
		{"a long local identifier", page{body: `<link rel="openid2.provider" href="https://op.example/"><link rel="openid2.local_id" href="` + strings.Repeat("x", maxIdentifier+1) + `">`}, 400, "no_openid"},
		{"a long LocalID", page{kind: xrdsType, body: xrds(signon("", "<URI>https://op.example/</URI><LocalID>"+strings.Repeat("x", maxIdentifier+1)+"</LocalID>"))}, 400, "no_openid"},
		{"OpenID 1", page{body: `<link rel="openid.server" href="https://op.example/auth"><link rel="openid.delegate" href="https://op.example/bob">`}, 400, "old_openid"},
		{"a location that is no URL", page{xrds: "http://bob.example:x/"}, 400, "no_openid"},
		{"a location elsewhere", page{xrds: "file:///etc/passwd"}, 400, "bad_openid"},
		{"a location without a page", page{xrds: "http://bob.example/none"}, 502, "provider_unreachable"},
		{"a location at a refused address", page{xrds: "http://inner.example/"}, 403, "provider_denied"},
		{"an XRDS document without services", page{kind: xrdsType, body: xrds()}, 400, "no_openid"},
		{"an XRDS document of other services", page{kind: xrdsType, body: xrds("<Service><Type>http://openid.net/signon/1.1</Type><URI>https://op.example/</URI></Service>")}, 400, "no_openid"},
		{"an XRDS document without namespaces", page{kind: xrdsType, body: "<XRDS><XRD>" + signon("", "<URI>https://op.example/</URI>") + "</XRD></XRDS>"}, 400, "no_openid"},
		{"half of an XRDS document", page{kind: xrdsType, body: strings.TrimSuffix(xrds(signon("", "<URI>https://op.example/</URI>")), "</xrds:XRDS>")}, 400, "no_openid"},
		{"an XRDS document and more", page{kind: xrdsType, body: xrds(signon("", "<URI>https://op.example/</URI>")) + "<"}, 400, "no_openid"},
		{"a deep XRDS document", page{kind: xrdsType, body: xrds(deep)}, 400, "no_openid"},
		{"a deep XRDS document that ends", page{kind: xrdsType, body: xrds(strings.Repeat("<a>", 20), strings.Repeat("</a>", 20), signon("", "<URI>https://op.example/</URI>"))}, 400, "no_openid"},
		{"an XRDS document with entities", page{kind: xrdsType, body: `<!DOCTYPE x [<!ENTITY a "https://op.example/"><!ENTITY b "&a;&a;">]>` + xrds(signon("", "<URI>&a;</URI>"))}, 400, "no_openid"},
		{"an XRDS document that is HTML", page{kind: xrdsType, body: links}, 400, "no_openid"},
	} {
		b := &web{pages: map[string]page{me: c.page, "http://inner.example/": {denied: true}, "http://user@bob.example/": {body: links}}}
		err := b.asks(t, func(r *guest.Request) error {
			d, err := discover(r, me)
			if err == nil {
				t.Errorf("%s: got %+v", c.name, d)
			}
			return err
		})
		e, ok := err.(*abi.Error)
		if !ok || e.Status != c.status || e.Code != c.code || strings.Contains(e.Message, "10.0.0.7") {
			t.Errorf("%s: got %v, want %d %s", c.name, err, c.status, c.code)
		}
	}
}

func TestDiscoveryWithoutEgress(t *testing.T) {
	p := guest.New("asks", "1.0.0")
	p.Family("/", nil).GET("/", func(w *guest.Response, r *guest.Request) error {
		_, err := discover(r, "http://bob.example/")
		return err
	})
	r := guesttest.New(t, p).Do(guesttest.Request{Path: "/"})
	if r.Err == nil || r.Err.Code != "provider_denied" {
		t.Fatal(r)
	}
}

func FuzzHead(f *testing.F) {
	for _, s := range []string{links, "<html><head><title>x</title>" + links + "</head>", `<meta http-equiv=X-XRDS-Location content=x>`, "<script>", "</head>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := readHead(b)
		if s, ok := h.service(); ok {
			if _, err := normalizeURL(s.endpoint); err != nil {
				t.Fatalf("%q: %v", s.endpoint, err)
			}
		}
		if h := readHead(append([]byte("<body>"), b...)); h != (head{}) {
			t.Fatalf("%+v is found in a body", h)
		}
	})
}

func FuzzXRDS(f *testing.F) {
	f.Add([]byte(xrds(signon(`priority="1"`, `<URI priority="2">https://op.example/</URI><LocalID>x</LocalID>`))))
	f.Add([]byte(xrds(`</XRD><XRD>`, `<Service><Type>`+typeServer+`</Type><URI>http://x.example/</URI></Service>`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := readXRDS(b)
		if len(list) > maxServices {
			t.Fatalf("%d services", len(list))
		}
		for i, s := range list {
			if !isEndpoint(s.endpoint) || s.server && (s.local != "" || i > 0 && !list[i-1].server) {
				t.Fatalf("got %+v", list)
			}
		}
	})
}
