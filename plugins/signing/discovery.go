package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Types of services, and what is sent in place of an identifier by who has the
// provider choose it.
const (
	typeServer = "http://specs.openid.net/auth/2.0/server"
	typeSignon = "http://specs.openid.net/auth/2.0/signon"

	identifierSelect = "http://specs.openid.net/auth/2.0/identifier_select"
)

// maxPage bounds a page that an OpenID leads to, in bytes.
const maxPage = 512 << 10

// A service is a place where an OpenID can be proven.
type service struct {
	endpoint string
	local    string // what the provider calls the user; "": as everybody does
	server   bool   // the identifier is the provider's own: there the user says who it is
}

// A discovery is what the page of an OpenID says.
type discovery struct {
	claimed  string // the identifier after redirects, without a fragment
	services []service
}

// Why a page is no OpenID.
var (
	errNoOpenID  = guest.Errorf(400, "no_openid", "The page at this address names no OpenID provider.")
	errOldOpenID = guest.Errorf(400, "old_openid", "The page at this address names a provider of OpenID 1 only; version 2.0 is needed.")
)

// discover finds out where an OpenID can be proven, by section 7.3 of OpenID
// Authentication 2.0: from an XRDS document, which the page is or leads to, or
// from links in the page's head.
func discover(r *guest.Request, identifier string) (*discovery, error) {
	reply, err := getPage(r, identifier)
	if err != nil {
		return nil, err
	}
	d := &discovery{}
	last, _, _ := strings.Cut(reply.URL, "#")
	if d.claimed, err = normalizeURL(last); err != nil {
		return nil, err
	}
	if isXRDS(reply) {
		d.services = readXRDS(reply.Body)
		return d, d.check(false)
	}
	var page head
	if isHTML(reply) {
		page = readHead(reply.Body)
	}
	location, ok := reply.Headers.GetFold("X-XRDS-Location")
	if !ok {
		location = page.xrds
	}
	if location != "" {
		if location, err = resolve(last, location); err != nil {
			return nil, err
		}
		if reply, err = getPage(r, location); err == nil {
			d.services = readXRDS(reply.Body)
		}
	}
	if s, ok := page.service(); ok && len(d.services) == 0 {
		return &discovery{d.claimed, []service{s}}, nil
	}
	if err != nil {
		return nil, err
	}
	return d, d.check(page.old)
}

// check refuses what leads nowhere.
func (d *discovery) check(old bool) error {
	switch {
	case len(d.services) > 0:
		return nil
	case old:
		return errOldOpenID
	}
	return errNoOpenID
}

func getPage(r *guest.Request, address string) (*abi.FetchReply, error) {
	var headers abi.Writer
	headers.Array()
	headers.Text("Accept")
	headers.Text("application/xrds+xml, text/html;q=0.9, application/xhtml+xml;q=0.9")
	headers.End()
	reply, err := ask(r, &abi.Fetch{URL: address, Headers: abi.Pairs(headers.Value()), Follow: true, MaxReply: maxPage})
	if err != nil {
		return nil, err
	}
	if reply.Status != 200 {
		r.Logf(abi.LogInfo, "login: %q: status %d", address, reply.Status)
		return nil, errUnreachable
	}
	return reply, nil
}

// resolve makes a URL of one that is relative to a page.
func resolve(page, to string) (string, error) {
	base, err := url.Parse(page)
	if err != nil {
		return "", errNoOpenID
	}
	u, err := base.Parse(to)
	if err != nil {
		return "", errNoOpenID
	}
	return normalizeURL(u.String())
}

func mediaType(reply *abi.FetchReply) string {
	s, _ := reply.Headers.GetFold("Content-Type")
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

func isXRDS(reply *abi.FetchReply) bool { return mediaType(reply) == "application/xrds+xml" }

// isHTML tells whether a page may name a provider in its head. Text and pictures
// may not: what looks like a head there was written by somebody else.
func isHTML(reply *abi.FetchReply) bool {
	switch mediaType(reply) {
	case "text/html", "application/xhtml+xml":
		return true
	}
	return false
}

// isEndpoint tells whether a URL can be that of a provider. It stays as it is
// written, since responses are compared with it.
func isEndpoint(s string) bool {
	if len(s) > maxIdentifier || strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
		return false
	}
	_, err := normalizeURL(s)
	return err == nil
}

// A head is what the head of a page says of OpenID.
type head struct {
	xrds     string
	provider string
	local    string
	old      bool // OpenID 1 is named
}

func (h *head) service() (service, bool) {
	return service{endpoint: h.provider, local: h.local}, isEndpoint(h.provider) && len(h.local) <= maxIdentifier
}

// readHead reads the head of a page and nothing behind it: below, there is what
// visitors have written. It ends where a browser would have the body begin.
func readHead(page []byte) (h head) {
	z := html.NewTokenizer(bytes.NewReader(bytes.TrimPrefix(page, []byte("\ufeff"))))
	raw := false // in an element whose text is its own
	for {
		switch z.Next() {
		case html.ErrorToken:
			return h
		case html.TextToken:
			if !raw && len(bytes.TrimSpace(z.Text())) > 0 {
				return h
			}
		case html.EndTagToken:
			raw = false
			name, _ := z.TagName()
			switch string(name) {
			case "head", "body", "html", "br":
				return h
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			switch string(name) {
			case "link":
				h.link(attributes(z, more))
			case "meta":
				h.meta(attributes(z, more))
			case "html", "head", "base":
			case "title", "style", "script", "noscript":
				raw = true
			default:
				return h
			}
		}
	}
}

func attributes(z *html.Tokenizer, more bool) map[string]string {
	m := map[string]string{}
	for more {
		var key, value []byte
		key, value, more = z.TagAttr()
		if _, ok := m[string(key)]; !ok {
			m[string(key)] = strings.TrimSpace(string(value))
		}
	}
	return m
}

// link takes the first link of each kind.
func (h *head) link(a map[string]string) {
	for rel := range strings.FieldsSeq(strings.ToLower(a["rel"])) {
		switch {
		case rel == "openid2.provider" && h.provider == "":
			h.provider = a["href"]
		case rel == "openid2.local_id" && h.local == "":
			h.local = a["href"]
		case rel == "openid.server":
			h.old = true
		}
	}
}

func (h *head) meta(a map[string]string) {
	if strings.EqualFold(a["http-equiv"], "X-XRDS-Location") && h.xrds == "" {
		h.xrds = a["content"]
	}
}

// Namespaces of XRDS, and how deep a document of that kind may be.
const (
	spaceXRDS = "xri://$xrds"
	spaceXRD  = "xri://$xrd*($v=2.0)"
	maxDepth  = 16

	maxServices = 20
)

// inService is where the elements of a service stand.
var inService = []string{"XRDS", "XRD", "Service"}

// An xrdService is a Service element.
type xrdService struct {
	service
	signon   bool
	priority int
	uris     []xrdURI
}

type xrdURI struct {
	uri      string
	priority int
}

// readXRDS returns the OpenID services of an XRDS document: those of a provider
// before those of a user, each by their priorities. A document that is not
// well-formed has none.
//
// The last XRD counts, which is the one of the resource itself. Of entities only
// the predefined ones are known, so that none can grow.
func readXRDS(document []byte) []service {
	d := xml.NewDecoder(bytes.NewReader(document))
	var path []string
	var found []xrdService
	var text strings.Builder
	var priority int
	for {
		token, err := d.Token()
		if err == io.EOF {
			return services(found)
		}
		if err != nil {
			return nil
		}
		switch t := token.(type) {
		case xml.StartElement:
			if len(path) == maxDepth {
				return nil
			}
			path = append(path, elementName(t.Name))
			text.Reset()
			priority = xrdPriority(t.Attr)
			switch {
			case slices.Equal(path, inService[:2]):
				found = nil
			case slices.Equal(path, inService):
				found = append(found, xrdService{priority: priority})
			}
		case xml.CharData:
			text.Write(t)
		case xml.EndElement:
			if len(path) == 4 && slices.Equal(path[:3], inService) {
				found[len(found)-1].add(path[3], strings.TrimSpace(text.String()), priority)
			}
			text.Reset()
			path = path[:len(path)-1]
		}
	}
}

// elementName is the name of an element that means something here, or "?".
func elementName(n xml.Name) string {
	if n.Local == "XRDS" && n.Space == spaceXRDS || n.Space == spaceXRD && n.Local != "XRDS" {
		return n.Local
	}
	return "?"
}

// unordered is the priority of what has none: it comes last.
const unordered = 1<<31 - 1

func xrdPriority(attrs []xml.Attr) int {
	for _, a := range attrs {
		if a.Name.Space == "" && a.Name.Local == "priority" {
			if n, err := strconv.Atoi(a.Value); err == nil && n >= 0 && n < unordered {
				return n
			}
		}
	}
	return unordered
}

func (s *xrdService) add(name, text string, priority int) {
	switch name {
	case "Type":
		s.server = s.server || text == typeServer
		s.signon = s.signon || text == typeSignon
	case "URI":
		if isEndpoint(text) {
			s.uris = append(s.uris, xrdURI{text, priority})
		}
	case "LocalID":
		if s.local == "" {
			s.local = text
		}
	}
}

func services(found []xrdService) (list []service) {
	slices.SortStableFunc(found, func(a, b xrdService) int {
		if a.server != b.server {
			if a.server {
				return -1
			}
			return 1
		}
		return a.priority - b.priority
	})
	for _, s := range found {
		if !s.server && !s.signon || len(s.local) > maxIdentifier {
			continue
		}
		if s.server {
			s.local = ""
		}
		slices.SortStableFunc(s.uris, func(a, b xrdURI) int { return a.priority - b.priority })
		for _, u := range s.uris {
			list = append(list, service{u.uri, s.local, s.server})
		}
	}
	return list[:min(len(list), maxServices)]
}

// Why a provider could not be asked. The log has more: what a client is told
// must not show it around the network that the host stands in.
var (
	errUnreachable = guest.Errorf(502, "provider_unreachable", "The OpenID provider, or the page of the OpenID, did not answer as it should.")
	errForbidden   = guest.Errorf(403, "provider_denied", "The OpenID stands where logins from here may not lead.")
)

// ask makes an outbound request of a login. If no reply came it returns the
// refusal for the client.
func ask(r *guest.Request, f *abi.Fetch) (*abi.FetchReply, error) {
	reply, err := r.Fetch(f)
	switch {
	case errors.Is(err, abi.ErrDenied):
		r.Logf(abi.LogInfo, "login: %q: no outbound requests are granted", f.URL)
		return nil, errForbidden
	case err != nil:
		return nil, err
	case reply.Denied:
		r.Logf(abi.LogInfo, "login: %s", reply.Error)
		return nil, errForbidden
	case reply.Error != "":
		r.Logf(abi.LogInfo, "login: %s", reply.Error)
		return nil, errUnreachable
	}
	return reply, nil
}
