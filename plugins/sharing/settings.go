package main

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Times and durations are in milliseconds throughout, as on the wire. What is
// a constant here is read on paths too hot to ask the host for a setting.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	maxAhead = minute      // how far a client's clock may be ahead
	maxEarly = 10 * minute // how old a point may be when its ticket begins

	// minRetention leaves viewers, who poll, the time to learn of the end; and
	// cursors are good for as long as the retention.
	minRetention = 10 * minute
)

// settings are what the operator may change. A ticket keeps those it was made
// under.
type settings struct {
	maxDuration int64 // of a ticket, from now
	maxLifetime int64 // of a ticket, however often it is extended
	retention   int64 // how long an expired ticket can still be looked at
}

func settingsOf(r *guest.Request) settings {
	return settings{
		maxDuration: setting(r, "max_duration", 4*hour),
		maxLifetime: setting(r, "max_lifetime", 7*day),
		retention:   max(setting(r, "retention", 48*hour), minRetention),
	}
}

// setting reads a number of milliseconds; nonsense in a manifest must not stop
// people from sharing, so the default stands in for it.
func setting(r *guest.Request, key string, def int64) int64 {
	n, err := strconv.ParseInt(r.Config(key, ""), 10, 64)
	if err != nil || n <= 0 {
		return def
	}
	return n
}

// linkBase returns what the codes in links stand behind.
func linkBase(r *guest.Request) string {
	return strings.TrimRight(r.Config("link_base", r.BaseURL()), "/")
}

// Bounds of what pages are told.
const (
	maxTilesURL    = 500 // bytes
	maxAttribution = 300 // characters
	maxAPIKey      = 128 // bytes
	maxZoom        = 24
	defaultZoom    = 19
)

// pageSettings are what a page is told when it is loaded.
type pageSettings struct {
	tiles   *tileServer // nil: the map that the pages bring along is all
	service string
	code    string
	apiKey  string
}

// A tileServer is where pages get a map in detail from.
type tileServer struct {
	url         string // with {z}, {x} and {y}
	origin      string // of it
	attribution string
	maxZoom     int64
}

func pageSettingsOf(r *guest.Request) pageSettings {
	set := pageSettings{service: newComposer(r).service}
	url := r.Config("tiles_url", "")
	if url == "" {
		return set
	}
	origin, ok := tilesOrigin(url)
	if !ok {
		r.Logf(abi.LogWarn, "setting tiles_url: %q is left out: want an https URL of at most %d bytes with {z}, {x} and {y}, such as \"https://tile.example.com/{z}/{x}/{y}.png\"", url, maxTilesURL)
		return set
	}
	set.tiles = &tileServer{
		url: url, origin: origin, attribution: oneLine(r.Config("tiles_attribution", ""), maxAttribution),
		maxZoom: min(setting(r, "tiles_max_zoom", defaultZoom), maxZoom),
	}
	return set
}

// tilesOrigin returns the origin of an URL of tiles, which becomes part of a header:
// it has nothing in it that a header, or a policy in it, would take for its end. What
// is not encrypted is for a server on the same machine.
func tilesOrigin(s string) (origin string, ok bool) {
	if len(s) > maxTilesURL || !strings.Contains(s, "{z}") || !strings.Contains(s, "{x}") || !strings.Contains(s, "{y}") && !strings.Contains(s, "{-y}") {
		return "", false
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'<>\\^`;,#", c) >= 0 {
			return "", false
		}
	}
	scheme, rest, _ := strings.Cut(s, "://")
	host, _, found := strings.Cut(rest, "/")
	if !found || !knownPlaces(s) {
		return "", false
	}
	host = strings.ToLower(host)
	name, port, hasPort := strings.Cut(host, ":")
	if rest, bracket := strings.CutPrefix(host, "[::1]"); bracket {
		name, hasPort = "[::1]", rest != ""
		if port, found = strings.CutPrefix(rest, ":"); hasPort && !found {
			return "", false
		}
	} else if !hostName(name) {
		return "", false
	}
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0) {
		return "", false
	}
	switch {
	case scheme == "https":
	case scheme == "http" && (name == "localhost" || name == "[::1]" || isLoopback(name)):
	default:
		return "", false
	}
	return scheme + "://" + host, true
}

// knownPlaces tells whether the map knows what to put in all braces of an URL of tiles: one
// that it does not know would keep the pages from starting.
func knownPlaces(s string) bool {
	for {
		_, rest, found := strings.Cut(s, "{")
		if !found {
			return true
		}
		name, after, _ := strings.Cut(rest, "}")
		switch name {
		case "z", "x", "y", "-y", "s", "r":
			s = after
		default:
			return false
		}
	}
}

// hostName tells whether s may be a name of DNS, or an IPv4 address, in small letters.
func hostName(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || label[0] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// appendJSON writes the settings as a page reads them.
func (s *pageSettings) appendJSON(b []byte) []byte {
	b = append(b, `{"tiles":`...)
	if t := s.tiles; t != nil {
		b = appendJSONText(append(b, `{"url":`...), t.url)
		b = appendJSONText(append(b, `,"attribution":`...), t.attribution)
		b = append(strconv.AppendInt(append(b, `,"max_zoom":`...), t.maxZoom, 10), '}')
	} else {
		b = append(b, "null"...)
	}
	b = appendJSONText(append(b, `,"service":`...), s.service)
	if s.code != "" {
		b = appendJSONText(append(b, `,"code":`...), s.code)
	}
	if s.apiKey != "" {
		b = appendJSONText(append(b, `,"api_key":`...), s.apiKey)
	}
	return append(b, '}')
}

// appendJSONText writes a string of JSON.
func appendJSONText(b []byte, s string) []byte {
	b = append(b, '"')
	for _, c := range strings.ToValidUTF8(s, "�") {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', byte(c))
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = utf8.AppendRune(b, c)
		}
	}
	return append(b, '"')
}
