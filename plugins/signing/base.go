package main

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/dunglas/httpsfv"
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// parts are what of a request a signature by RFC 9421 can cover.
type parts struct {
	method    string
	scheme    string
	authority string // host, and port if it is not the scheme's own; in lower case
	target    string // path and query as the client sent them
	params    abi.Pairs
	headers   abi.Pairs
}

func partsOf(r *guest.Request) parts {
	p := parts{method: r.Method(), target: r.Target(), params: r.QueryPairs(), headers: r.Headers()}
	if p.target == "" {
		p.target = rebuilt(r)
	}
	scheme, rest, _ := strings.Cut(r.BaseURL(), "://")
	authority, below, _ := strings.Cut(rest, "/")
	p.scheme, p.authority = strings.ToLower(scheme), strings.ToLower(authority)
	switch p.scheme {
	case "http":
		p.authority = strings.TrimSuffix(p.authority, ":80")
	case "https":
		p.authority = strings.TrimSuffix(p.authority, ":443")
	}
	// A client that takes the server for a proxy sends the whole URL.
	if _, rest, ok := strings.Cut(p.target, "://"); ok && p.target[0] != '/' {
		slash := strings.IndexAny(rest, "/?")
		if slash < 0 {
			slash = len(rest)
		}
		p.target = rest[slash:]
	}
	if !strings.HasPrefix(p.target, "/") {
		p.target = "/" + p.target
	}
	if below != "" { // a proxy has taken it off
		p.target = "/" + below + p.target
	}
	return p
}

// rebuilt returns path and query as most clients send them, for a handler, which
// is told what they mean.
func rebuilt(r *guest.Request) string {
	target := (&url.URL{Path: r.Path()}).EscapedPath()
	and := "?"
	r.QueryPairs().Each(func(name, value []byte) bool {
		target += and + url.QueryEscape(string(name)) + "=" + url.QueryEscape(string(value))
		and = "&"
		return true
	})
	return target
}

func (p *parts) path() string {
	path, _, _ := strings.Cut(p.target, "?")
	return path
}

// query is "" if there is none.
func (p *parts) query() string {
	_, query, _ := strings.Cut(p.target, "?")
	return query
}

// signatureBase is what a signature of these parts is made of (RFC 9421, 2.5).
// The components are those of the input, as they are written.
func (p *parts) signatureBase(input httpsfv.InnerList, components []string) ([]byte, error) {
	base := make([]byte, 0, 1<<10)
	for i, item := range input.Items {
		base = append(append(base, components[i]...), ": "...)
		value, err := p.component(item, components[i])
		if err != nil {
			return nil, err
		}
		base = append(append(base, value...), '\n')
	}
	params, err := httpsfv.Marshal(input)
	if err != nil {
		return nil, badInput("Signature-Input: the parameters cannot be written: " + err.Error() + ".")
	}
	return append(append(base, `"@signature-params": `...), params...), nil
}

// component returns the value of a component.
func (p *parts) component(item httpsfv.Item, written string) (string, error) {
	name := item.Value.(string)
	if name == "@query-param" {
		return p.queryParam(item.Params, written)
	}
	if name[0] != '@' {
		return p.field(name, item.Params, written)
	}
	if len(item.Params.Names()) > 0 {
		return "", unsupported(written)
	}
	switch name {
	case "@method":
		return p.method, nil
	case "@target-uri":
		return p.scheme + "://" + p.authority + p.target, nil
	case "@authority":
		return p.authority, nil
	case "@scheme":
		return p.scheme, nil
	case "@request-target":
		return p.target, nil
	case "@path":
		return p.path(), nil
	case "@query":
		return "?" + p.query(), nil
	}
	return "", unsupported(written)
}

func unsupported(component string) error {
	return refusal("unsupported_component", "The signature covers "+component+", which is not supported here.")
}

func absent(component string) error {
	return refusal("component_missing", "The signature covers "+component+", which the request does not have, or has twice.")
}

// queryParam returns the value of a parameter of the query, which must be there
// once (RFC 9421, 2.2.8).
func (p *parts) queryParam(params *httpsfv.Params, written string) (value string, err error) {
	name, ok := textParam(params, "name")
	if !ok || len(params.Names()) > 1 {
		return "", unsupported(written)
	}
	found := 0
	p.params.Each(func(n, v []byte) bool {
		if percentEncode(string(n)) == name {
			found++
			value = percentEncode(string(v))
		}
		return true
	})
	if found != 1 {
		return "", absent(written)
	}
	return value, nil
}

// percentEncode writes a text with everything escaped that forms escape, and
// spaces like all the rest.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	plain := func(c byte) bool {
		return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '*' || c == '-' || c == '.' || c == '_'
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// field returns the value of a header field (RFC 9421, 2.1).
func (p *parts) field(name string, params *httpsfv.Params, written string) (string, error) {
	values, found := fieldValues(p.headers, name)
	if !found {
		return "", absent(written)
	}
	switch names := params.Names(); {
	case len(names) == 0:
		return strings.Join(values, ", "), nil
	case len(names) > 1:
		return "", unsupported(written)
	}
	if key, ok := textParam(params, "key"); ok {
		return fieldMember(values, key, written)
	}
	if binary, _ := params.Get("bs"); binary != true {
		return "", unsupported(written)
	}
	for i, v := range values {
		values[i] = ":" + base64.StdEncoding.EncodeToString([]byte(v)) + ":"
	}
	return strings.Join(values, ", "), nil
}

// fieldMember returns a member of a header field that is a dictionary.
func fieldMember(values []string, key, written string) (string, error) {
	d, err := httpsfv.UnmarshalDictionary(values)
	if err != nil {
		return "", absent(written)
	}
	member, ok := d.Get(key)
	if !ok {
		return "", absent(written)
	}
	return httpsfv.Marshal(member)
}
