package main

import (
	"net/netip"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi/guest"
)

// maxIdentifier bounds every URL of a login, in bytes.
const maxIdentifier = 2000

// normalize makes the URL of an OpenID from what a person writes, by section 7.2
// of OpenID Authentication 2.0 and section 6.2.2 of RFC 3986. What redirects lead
// to is for the discovery.
func normalize(written string) (string, error) {
	s := strings.TrimSpace(written)
	if len(s) > len("xri://") && strings.EqualFold(s[:len("xri://")], "xri://") {
		s = s[len("xri://"):]
	}
	if s == "" {
		return "", badOpenID("is empty")
	}
	if strings.IndexByte("=@+$!(", s[0]) >= 0 {
		return "", badOpenID("is an i-name; only URLs are supported")
	}
	if scheme, _, ok := strings.Cut(s, "://"); !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		s = "http://" + s
	}
	s, _, _ = strings.Cut(s, "#")
	return normalizeURL(s)
}

// normalizeURL checks a URL of HTTP and returns the form in which such are
// compared.
func normalizeURL(s string) (string, error) {
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
		return "", badOpenID("has characters that no URL has")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" {
		return "", badOpenID("is not a URL")
	}
	if u.User != nil {
		return "", badOpenID("has a user name in its URL")
	}
	host, err := normalizeHost(u.Hostname())
	if err != nil {
		return "", err
	}
	switch port := u.Port(); {
	case port == "" || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443":
	default:
		host += ":" + port
	}
	s = u.Scheme + "://" + host + normalizePath(u.EscapedPath())
	if u.RawQuery != "" || u.ForceQuery {
		s += "?" + normalizeEscapes(u.RawQuery)
	}
	if u.Fragment != "" {
		s += "#" + u.EscapedFragment()
	}
	if len(s) > maxIdentifier {
		return "", badOpenID("is too long")
	}
	return s, nil
}

// normalizeHost refuses what cannot be a host that everybody may reach: a name has
// a dot. An operator may have a provider on the machine itself.
func normalizeHost(host string) (string, error) {
	if a, err := netip.ParseAddr(host); err == nil && a.Zone() == "" {
		if a.Is4() {
			return a.String(), nil
		}
		return "[" + a.String() + "]", nil
	}
	if strings.ContainsFunc(host, func(c rune) bool { return c >= utf8.RuneSelf }) {
		return "", badOpenID("has a host name with letters outside ASCII; write it as in the DNS (xn--…)")
	}
	if host = strings.ToLower(host); host == "localhost" {
		return host, nil
	}
	ok := len(host) <= 253 && strings.Contains(host, ".")
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		ok = ok && label != "" && len(label) <= 63
	}
	ok = ok && !strings.ContainsFunc(host, func(c rune) bool {
		return !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '.' || c == '_')
	})
	if !ok {
		return "", badOpenID("has no host name that is in the DNS")
	}
	return host, nil
}

// normalizePath takes dot segments out of a path, which is never empty then.
func normalizePath(s string) string {
	s = normalizeEscapes(s)
	if s == "" {
		return "/"
	}
	var out []string
	segments := strings.Split(s[1:], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		switch segment {
		case ".", "..":
			if segment == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		default:
			out = append(out, segment)
		}
	}
	return "/" + strings.Join(out, "/")
}

// normalizeEscapes writes as they are the characters that need no escape, and
// escapes those that do, in capitals.
func normalizeEscapes(s string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		escaped := c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
		if escaped {
			c = unhex(s[i+1])<<4 | unhex(s[i+2])
			i += 2
		}
		switch {
		case isUnreserved(c), !escaped && c > ' ' && c < 0x7f && strings.IndexByte(`"<>\^`+"`{|}%", c) < 0:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}

func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func badOpenID(why string) *guest.Error {
	return guest.Errorf(400, "bad_openid", "The OpenID %s.", why)
}

// fromPath puts right an identifier that stood in the path of a request, where
// servers make one slash of two.
func fromPath(s string) string {
	for _, scheme := range []string{"https:/", "http:/", "xri:/"} {
		if n := len(scheme); len(s) > n && strings.EqualFold(s[:n], scheme) && s[n] != '/' {
			return s[:n] + "/" + s[n:]
		}
	}
	return s
}

// localPath checks where a browser is to go after a login: to a path of this
// server and nowhere else. It returns the path as it stands in a header.
func localPath(s string) (string, error) {
	if s == "" {
		return "", nil
	}
	ok := s[0] == '/' && len(s) <= maxIdentifier && !strings.Contains(s, "//") && !strings.Contains(s, `\`) &&
		utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
	if ok {
		if _, err := url.Parse(s); err == nil {
			return normalizeEscapes(s), nil
		}
	}
	return "", guest.Errorf(400, "bad_parameter", "return: want a path on this server, such as /photos.")
}
