package main_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// A browser keeps cookies and follows redirects, as people's do.
type browser struct {
	*client
	http *http.Client
	seen []string // URLs that it was redirected to
}

func (s *server) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := &browser{client: s.client()}
	b.http = &http.Client{Jar: jar, Timeout: callTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		b.seen = append(b.seen, r.URL.String())
		if len(via) > 20 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// in has the browser report to a subtest.
func (b *browser) in(t testing.TB) *browser {
	b.client = b.client.in(t)
	return b
}

// visit gets a URL or, with fields, posts a form, and returns the page that the
// browser comes to.
func (b *browser) visit(place string, fields ...string) (page reply, at *url.URL) {
	b.t.Helper()
	method, body := "GET", io.Reader(nil)
	if len(fields) > 0 {
		form := url.Values{}
		for i := 0; i < len(fields); i += 2 {
			form.Set(fields[i], fields[i+1])
		}
		method, body = "POST", strings.NewReader(form.Encode())
	}
	if strings.HasPrefix(place, "/") {
		place = "http://" + b.server.listen + place
	}
	req, err := http.NewRequest(method, place, body)
	if err != nil {
		b.fatalf("%v", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.http.Do(req)
	if err != nil {
		b.fatalf("%s %s: %v", method, place, err)
	}
	defer resp.Body.Close()
	page = reply{what: method + " " + place, status: resp.StatusCode, header: resp.Header}
	if page.raw, err = io.ReadAll(resp.Body); err != nil {
		b.fatalf("%s %s: %v", method, place, err)
	}
	if json.Unmarshal(page.raw, &page.doc) != nil {
		page.doc = nil
	}
	return page, resp.Request.URL
}

// Of the provider's pages.
var (
	pageForm   = regexp.MustCompile(`<form[^>]* action="([^"]*)"`)
	pagePrompt = regexp.MustCompile(`name="prompt" value="(\w+)"`)
	pageCancel = regexp.MustCompile(`href="([^"]*/abort)"`)
)

// login logs in with a provider, as somebody, and returns the page that this ends
// at. At the provider it answers what it is asked; with cancel it does so at the
// prompt of that name.
func (b *browser) login(provider, who, cancel string) reply {
	b.t.Helper()
	b.seen = nil
	page, at := b.visit("/1.0/login/" + provider + "?return=/1.0/session")
	for range 5 {
		if at.Host == b.server.listen {
			return page
		}
		form, prompt, abort := pageForm.FindSubmatch(page.raw), pagePrompt.FindSubmatch(page.raw), pageCancel.FindSubmatch(page.raw)
		if form == nil || prompt == nil || abort == nil {
			b.fatalf("%v\nwant a page of the provider that asks for something", page)
		}
		if string(prompt[1]) == cancel {
			page, at = b.visit(string(abort[1]))
		} else {
			page, at = b.visit(string(form[1]), "prompt", string(prompt[1]), "login", who, "password", "x")
		}
	}
	b.fatalf("%v\nwant the login to end", page)
	return page
}

// callback is the last URL with which a provider sent the browser back.
func (b *browser) callback() string {
	b.t.Helper()
	for i := len(b.seen) - 1; i >= 0; i-- {
		if strings.Contains(b.seen[i], "/1.0/login/callback?") {
			return b.seen[i]
		}
	}
	b.fatalf("the browser was at %q, and never sent back", b.seen)
	return ""
}
