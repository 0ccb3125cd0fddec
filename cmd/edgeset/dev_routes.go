package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/edgeset/edgeset/abi"
)

// A guide is what the author of a plugin needs to call its routes from a shell.
type guide struct {
	gateway, admin string // addresses
	data           string // folder with the admin token
	tokenEnv       string // the variable that has it instead; "": none has
	deployment     string
	host           string // to be sent as Host; "": any will do
	mount          string
	credentials    []abi.CredentialSource // that the deployment checks
}

// operatorRoute is the kind of credential of a route that only the admin API has.
const operatorRoute = "operator"

// lines are the routes of a plugin, each with a command that calls it.
func (g *guide) lines(d *abi.Description) []string {
	var lines []string
	wide := 0
	for _, r := range d.Routes {
		wide = max(wide, len(r.Pattern))
	}
	for _, r := range d.Routes {
		lines = append(lines, fmt.Sprintf("%-6s %-*s  %s", r.Method, min(wide, 40), r.Pattern, g.curl(d.Name, &r)))
	}
	for _, s := range d.Sockets {
		for _, e := range s.Events {
			lines = append(lines, fmt.Sprintf("socket %s  emit %q with io(%q, {path: %q})", s.Path, e.Name, "http://"+g.gateway, g.mount+s.Path))
		}
	}
	return lines
}

// curl is a command that calls a route.
func (g *guide) curl(plugin string, r *abi.Route) string {
	words := []string{"curl"}
	if r.Method != "GET" {
		words = append(words, "-X", r.Method)
	}
	if r.Stream {
		words = append(words, "-N")
	}
	target := "http://" + g.gateway + g.mount
	query := ""
	switch {
	case slices.Contains(r.Auth, operatorRoute):
		target = "http://" + g.admin + "/v1/deployments/" + g.deployment + "/plugins/" + plugin
		token := "$(cat " + shellQuoted(filepath.Join(g.data, "admin.token")) + ")"
		if g.tokenEnv != "" {
			token = "$" + g.tokenEnv
		}
		words = append(words, "-H", `"Authorization: Bearer `+token+`"`)
	default:
		if g.host != "" {
			words = append(words, "-H", shellQuoted("Host: "+g.host))
		}
		var flag []string
		flag, query = g.credential(r)
		words = append(words, flag...)
	}
	if r.Method != "GET" {
		switch r.Body {
		case abi.JSONBody, abi.AnyBody:
			words = append(words, "-H", "'Content-Type: application/json'", "-d", "'{}'")
		case abi.FormBody:
			words = append(words, "-d", "'name=value'")
		case abi.UploadBody:
			words = append(words, "-F", "'file=@FILE'")
		case abi.RawBody:
			words = append(words, "--data-binary", "@FILE")
		}
	}
	return strings.Join(append(words, shellQuoted(target+samplePath(r.Pattern))+query), " ")
}

// credential is how a request shows a credential that the route takes: flags, and
// what is added to the URL. In the shell it is in a variable of the kind's name.
func (g *guide) credential(r *abi.Route) (flags []string, query string) {
	for _, kind := range r.Auth {
		for _, s := range g.credentials {
			if s.Kind != kind || s.Request {
				continue
			}
			value := "$" + variable(kind)
			switch {
			case s.Header != "" && s.Scheme != "":
				return []string{"-H", `"` + s.Header + ": " + s.Scheme + " " + value + `"`}, ""
			case s.Header != "":
				return []string{"-H", `"` + s.Header + ": " + value + `"`}, ""
			case s.Query != "":
				return nil, `"?` + s.Query + "=" + value + `"`
			case s.Param != "":
				return nil, `"?` + s.Param + "=" + value + `"`
			case s.Cookie != "":
				return []string{"-b", `"` + s.Cookie + "=" + value + `"`}, ""
			}
		}
	}
	return nil, ""
}

// variable is the name of a shell variable for a kind of credential.
func variable(kind string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c - 'a' + 'A'
		}
		if 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return c
		}
		return '_'
	}, kind)
}

// samplePath is a path that a pattern matches: a parameter is its own name.
func samplePath(pattern string) string {
	segments := strings.Split(pattern, "/")
	for i, s := range segments {
		segments[i] = strings.TrimLeft(s, ":*")
	}
	return strings.Join(segments, "/")
}

// shellQuoted is a text as one word of a shell.
func shellQuoted(s string) string {
	special := func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_./:@%+,=", c))
	}
	if s != "" && !strings.ContainsFunc(s, special) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// asks tells whether a plugin wants credentials checked that it does not check itself.
func asks(d *abi.Description) bool {
	wants := func(kinds []string) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return kind != operatorRoute })
	}
	for _, r := range d.Routes {
		if wants(r.Auth) {
			return true
		}
	}
	for _, s := range d.Sockets {
		if slices.ContainsFunc(s.Events, func(e abi.SocketEvent) bool { return wants(e.Auth) }) {
			return true
		}
	}
	return false
}
