package artifact

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// Scheme begins the source of a plugin that is in a registry.
const Scheme = "oci://"

// A Reference says where in a registry a plugin is.
type Reference struct {
	Host       string // of the registry, and perhaps its port
	Repository string
	Tag        string // ""
	Digest     Digest // of the manifest; wins over the tag. "": whatever the tag stands for
}

// The forms of a repository and a tag are those of the OCI distribution
// specification.
var (
	hostForm       = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	repositoryForm = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagForm        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

const (
	maxRepository = 255
	maxHost       = 255
	latest        = "latest" // the tag that is meant if none is given
)

// ParseReference reads "oci://host[:port]/repository[:tag][@sha256:…]".
func ParseReference(s string) (Reference, error) {
	bad := func(format string, args ...any) (Reference, error) {
		return Reference{}, fmt.Errorf("reference %.300q: %s; want \"oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]\"", s, fmt.Sprintf(format, args...))
	}
	rest, ok := strings.CutPrefix(s, Scheme)
	if !ok {
		return bad("it does not begin with %q", Scheme)
	}
	host, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return bad("it has no repository")
	}
	r := Reference{Host: strings.ToLower(host)}
	if !validHost(r.Host) {
		return bad("host %.100q is no name or address", host)
	}
	rest, digest, pinned := strings.Cut(rest, "@")
	if pinned {
		var err error
		if r.Digest, err = ParseDigest(digest); err != nil {
			return bad("%v", err)
		}
	}
	repository, tag, tagged := strings.Cut(rest, ":")
	if tagged {
		if r.Tag = tag; !tagForm.MatchString(tag) {
			return bad("tag %.150q has characters that tags do not have, or too many", tag)
		}
	}
	if r.Repository = repository; len(repository) > maxRepository || !repositoryForm.MatchString(repository) {
		return bad("repository %.260q: want words of a-z and 0-9, joined by '/', '.', '_' or '-', of at most %d bytes", repository, maxRepository)
	}
	return r, nil
}

func validHost(hostport string) bool {
	host := hostport
	if h, port, err := net.SplitHostPort(hostport); err == nil {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			return false
		}
		host = h
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return ok && err == nil && a.Is6() && a.Zone() == ""
	}
	return len(host) <= maxHost && hostForm.MatchString(host) && !strings.Contains(host, "..")
}

// String is what ParseReference reads.
func (r Reference) String() string {
	s := Scheme + r.Host + "/" + r.Repository
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

// version is what the registry is asked for: a digest, or a tag.
func (r Reference) version() string {
	switch {
	case r.Digest != "":
		return string(r.Digest)
	case r.Tag != "":
		return r.Tag
	}
	return latest
}

// local tells whether the registry is on this machine.
func (r Reference) local() bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return loopback(strings.Trim(host, "[]"))
}

// leadsHere tells whether a host, without a port, may be this machine: also by a name or
// an address that is none of its own.
func leadsHere(host string) bool {
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	a, err := netip.ParseAddr(host)
	return loopback(name) || strings.HasSuffix(name, ".localhost") || err == nil && a.Unmap().IsUnspecified()
}

// loopback tells whether a host, without a port, is this machine.
func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}
