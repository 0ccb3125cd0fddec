package main

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// A recipe is a way of making an MD5 signature: the right one, until a mistake
// changes it.
type recipe struct {
	list   []param // as they were sent
	order  func(a, b param) int
	value  func(string) string
	names  bool   // are signed, too
	equals string // between name and value
	and    string // between one and the next
	secret string
	first  bool // the secret stands in front
	keyed  bool // HMAC
}

// A mistake is one that clients make; text completes "The signature matches if".
type mistake struct {
	text  string
	apply func(*recipe)
}

func (c *recipe) sum() []byte {
	list := c.list
	if c.order != nil {
		list = slices.Clone(list)
		slices.SortStableFunc(list, c.order)
	}
	var b strings.Builder
	for i, f := range list {
		if i > 0 {
			b.WriteString(c.and)
		}
		if c.names {
			b.Write(f.name)
			b.WriteString(c.equals)
		}
		b.WriteString(c.value(string(f.value)))
	}
	text := b.String()
	switch {
	case c.keyed:
		mac := hmac.New(md5.New, []byte(c.secret))
		mac.Write([]byte(text))
		return mac.Sum(nil)
	case c.first:
		text = c.secret + text
	default:
		text += c.secret
	}
	sum := md5.Sum([]byte(text))
	return sum[:]
}

func byName(a, b param) int { return bytes.Compare(a.name, b.name) }

func byNameFold(a, b param) int {
	return cmp.Compare(strings.ToLower(string(a.name)), strings.ToLower(string(b.name)))
}

// Bounds of the search for mistakes: how many parameters are tried to be left
// out, and how long values may be, in all, for a search, and for one for two
// mistakes at once. That tries more than a thousand ways, and puts the parameters
// in order for each of them: so there may not be many, however short they are.
const (
	maxOmitted   = 40
	maxSingle    = 64 << 10
	maxPairs     = 4 << 10
	maxPairNames = 60
)

// mistakes are those that the request gives room for.
func (p *parameters) mistakes(s *signature) []mistake {
	value := func(text string, fn func(string) string) mistake {
		return mistake{text, func(c *recipe) {
			before := c.value
			c.value = func(s string) string { return fn(before(s)) }
		}}
	}
	style := func(text, equals, and string) mistake {
		return mistake{text, func(c *recipe) { c.names, c.equals, c.and = true, equals, and }}
	}
	secret := func(text, secret string) mistake {
		return mistake{text, func(c *recipe) { c.secret = secret }}
	}
	list := []mistake{
		{"the parameters are taken in the order in which they were sent; they must be sorted by their names", func(c *recipe) { c.order = nil }},
		{"the names are sorted without regard to case; capitals come before all small letters", func(c *recipe) { c.order = byNameFold }},
		style("names are signed as well, as name=value joined by &; only values are", "=", "&"),
		style("names are signed as well, as name=value run together; only values are", "=", ""),
		style("names are signed as well, run together with the values; only values are", "", ""),
		{"the values are joined by &; nothing stands between them", func(c *recipe) { c.and = "&" }},
		{"the field of the signature itself is signed, still empty; it must be left out", func(c *recipe) {
			c.list = append(slices.Clone(c.list), param{name: []byte(p.signatureName(s.r))})
		}},
		value("values are signed as they are escaped in a form (+ for a space); they must be signed as they are", url.QueryEscape),
		value("values are signed as they are escaped in a URL (%20 for a space); they must be signed as they are", func(s string) string {
			return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
		}),
		value("values are signed in Latin-1; they must be signed in UTF-8", latin1),
		value("values are signed with line ends of one character; browsers send two, CR and LF", func(s string) string {
			return strings.ReplaceAll(s, "\r\n", "\n")
		}),
		value("values are signed without the space around them; they must be signed as they are sent", strings.TrimSpace),
		{"the secret stands in front; it must stand at the end", func(c *recipe) { c.first = true }},
		secret("the secret is left out", ""),
		secret("the public id is taken for the secret", string(p.identity)),
		{"the secret is the key of an HMAC; it must just stand at the end", func(c *recipe) { c.keyed = true }},
	}
	if s.app.oldSecret != "" {
		list = append(list, secret("the secret is the one from before the last rotation, which is no longer good", s.app.oldSecret))
	}
	var last string
	omitted := 0
	for _, f := range p.list {
		name := string(f.name)
		if name == last || omitted == maxOmitted {
			continue
		}
		last, omitted = name, omitted+1
		list = append(list, mistake{`the parameter "` + name + `" is left out`, func(c *recipe) {
			c.list = slices.DeleteFunc(slices.Clone(c.list), func(f param) bool { return string(f.name) == name })
		}})
	}
	return list
}

// signatureName is the name of the parameter that the signature is in.
func (p *parameters) signatureName(r *guest.Request) string {
	if s, _ := r.Value(hashParam); s != "" {
		return hashParam
	}
	return authtokenParam
}

func (p *parameters) hints(s *signature) (hints []string) {
	hint := func(text string) { hints = append(hints, text) }
	size := 0
	for _, f := range p.list {
		size += len(f.value)
		if s.app.secret != "" && bytes.Contains(f.value, []byte(s.app.secret)) {
			hint(`The secret itself is sent, in the parameter "` + string(f.name) + `". Nobody must see it: leave it out, and have it replaced.`)
		}
	}
	if strings.HasPrefix(strings.ToLower(s.r.Header("Content-Type")), "multipart/") {
		hint("Files are not signed, neither their names nor what is in them.")
	}
	if s.sum == nil {
		switch _, err := hex.DecodeString(string(p.signature)); {
		case err == nil && len(p.signature) == 40:
			hint("The signature is as long as a SHA-1; it must be an MD5.")
		case err == nil && len(p.signature) == 64:
			hint("The signature is as long as a SHA-256; it must be an MD5.")
		case len(p.signature) == 22 || len(p.signature) == 24:
			hint("The signature is as long as an MD5 in base64; it must be in hexadecimal digits.")
		}
		return hints
	}
	if size > maxSingle || p.match(s) == nil {
		return hints
	}
	var sent []param
	collect := func(name, value []byte) bool {
		if n := string(name); n != hashParam && n != authtokenParam && n != tokenParam {
			sent = append(sent, param{name, value})
		}
		return true
	}
	query, form := s.r.QueryPairs(), s.r.Form()
	query.Each(collect)
	fromQuery := len(sent)
	form.Each(collect)

	right := recipe{list: sent, order: byName, value: func(s string) string { return s }, secret: s.app.secret}
	list := p.mistakes(s)
	if fromQuery > 0 && fromQuery < len(sent) {
		list = append(list, mistake{"the parameters of the query are left out", func(c *recipe) { c.list = sent[fromQuery:] }})
	}
	matches := func(made ...mistake) bool {
		c := right
		for _, m := range made {
			m.apply(&c)
		}
		return subtle.ConstantTimeCompare(c.sum(), s.sum) == 1
	}
	for _, m := range list {
		if matches(m) {
			hint("The signature matches if " + m.text + ".")
			return hints
		}
	}
	if size > maxPairs || len(sent) > maxPairNames {
		return hints
	}
	for i, one := range list {
		for _, two := range list[i+1:] {
			if matches(one, two) {
				hint("The signature matches if " + one.text + ", and " + two.text + ".")
				return hints
			}
		}
	}
	hint("None of the common mistakes explains the signature. Compare what you sign with what is shown as signed, and the secret with the one that you were given.")
	return hints
}

// latin1 returns a text in the encoding that has one byte for each character.
func latin1(s string) string {
	var b []byte
	for _, c := range s {
		if c > 0xff {
			return s
		}
		b = append(b, byte(c))
	}
	return string(b)
}

func (m *message) hints(s *signature) (hints []string) {
	hint := func(text string) { hints = append(hints, text) }
	if m.base == nil || m.verify(s, m.base) == nil {
		return nil
	}
	base := string(m.base)
	other := map[string]string{"http": "https", "https": "http"}[m.parts.scheme]
	head, params, _ := strings.Cut(base, "\"@signature-params\": ")
	sent, _ := fieldValues(s.r.Headers(), "signature-input")
	_, asSent, _ := strings.Cut(strings.Join(sent, ", "), m.label+"=")
	for _, try := range []struct{ text, base string }{
		{"a line end follows the last line of the signature base; there must be none", base + "\n"},
		{"the lines of the signature base end in CR and LF; they must end in LF", strings.ReplaceAll(base, "\n", "\r\n")},
		{"@signature-params is signed as it was sent; it must be signed as RFC 9421 writes it, which is " + params, head + `"@signature-params": ` + asSent},
		{"the scheme of the URL is " + other + "; the server takes it for " + m.parts.scheme, strings.NewReplacer(
			`"@target-uri": `+m.parts.scheme, `"@target-uri": `+other, `"@scheme": `+m.parts.scheme, `"@scheme": `+other).Replace(base)},
		{"@query has no question mark; it must begin with one", strings.Replace(base, `"@query": ?`, `"@query": `, 1)},
		{"@method is in small letters; it must be as in the request", strings.Replace(base, `"@method": `+m.parts.method, `"@method": `+strings.ToLower(m.parts.method), 1)},
		{"the line @signature-params is left out", strings.TrimSuffix(head, "\n")},
	} {
		if try.base != base && m.verify(s, []byte(try.base)) == nil {
			hint("The signature matches if " + try.text + ".")
			return hints
		}
	}
	if s.scheme == schemeHMAC {
		if key, err := base64.StdEncoding.DecodeString(s.app.secret); err == nil && m.madeWith(s, string(key)) {
			hint("The signature matches if the secret is decoded as base64; its characters are the key.")
			return hints
		}
		if sum, err := hex.DecodeString(string(s.sum)); err == nil {
			inner := *s
			inner.sum = sum
			if m.verify(&inner, m.base) == nil {
				hint("The signature matches if it is written in hexadecimal digits before it is encoded; its bytes must be encoded.")
				return hints
			}
		}
	}
	hint("Compare what you sign with what is shown as signed, line by line. It must be signed for this URL.")
	return hints
}

// madeWith tells whether another key would make the signature.
func (m *message) madeWith(s *signature, key string) bool {
	other := *s
	other.app.secret, other.app.secretUntil = key, 0
	return m.verify(&other, m.base) == nil
}
