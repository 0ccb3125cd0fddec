package deploy

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
)

// Bounds of numbers.
const (
	maxFuel      = 1_000_000_000_000_000
	maxCores     = 1024
	maxInstances = 10_000
	maxWaiting   = 1_000_000
	maxMaxWait   = Duration(time.Minute)
	maxDeadline  = Duration(time.Hour)
	minMemory    = Size(64 << 10) // a page of WebAssembly
	maxMemory    = Size(4 << 30)  // all that an instance can address
	maxTotal     = Size(1 << 40)
	maxRequests  = 1_000_000_000
	maxP99       = 1000
)

// A hostOwner is the deployment that a host belongs to, and where that stands.
type hostOwner struct {
	deployment string
	line       int
}

// within checks the bounds of a number that the manifest has.
func within[T cmp.Ordered](p place, key string, v, least, most T, want string) {
	if p.has(key) && (v < least || v > most) {
		p.fault(key, "%s: want %s", written(v), want)
	}
}

// written is a number as a manifest has it.
func written(v any) string {
	if m, ok := v.(interface{ MarshalText() ([]byte, error) }); ok {
		if text, err := m.MarshalText(); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v)
}

// checkDeployment checks the keys of a deployment. names and hosts are those of the
// deployments before it.
func (p place) checkDeployment(s *Spec, names map[string]int, hosts map[string]hostOwner) {
	if other, taken := names[s.Name]; !validName(s.Name) {
		p.fault("name", "want 1 to 63 of a-z, 0-9 and '-', a letter first")
	} else if taken {
		p.fault("name", "there are two of that name, the other at line %d: want a name for each", other)
	} else {
		names[s.Name] = p.table.nameLine()
	}
	p.checkHosts(s, hosts)
	within(p, "fuel_per_second", s.FuelPerSecond, 0, maxFuel, "a positive number of at most 1e15, or none for no limit")
	if p.has("cores") && (s.Cores <= 0 || s.Cores > maxCores) {
		p.fault("cores", "%v: want a number above 0 and of at most 1024, such as 0.5, or none for no limit", s.Cores)
	}
	within(p, "memory", s.Memory, minMemory, maxTotal, "64KiB to 1024GiB, or none for no limit")
	if s.BaseURL != "" && !validOrigin(s.BaseURL, true) {
		p.fault("base_url", "%s: want a URL without a slash at its end, such as \"https://api.example.com\"", quote(s.BaseURL))
	}
	if p.has("origins") {
		for i, o := range s.Origins {
			if o != "*" && !validOrigin(o, false) {
				p.entryFault("origins", i, "%s: want scheme and host, such as \"https://app.example.com\", or \"*\"", quote(o))
			}
		}
	}
}

func (p place) checkHosts(s *Spec, hosts map[string]hostOwner) {
	if len(s.Hosts) == 0 {
		p.fault("hosts", "want at least one, \"*\" for all")
	}
	if !p.has("hosts") {
		return
	}
	for i, h := range s.Hosts {
		h = canonicalHost(h)
		s.Hosts[i] = h
		switch owner, taken := hosts[h]; {
		case !validHost(h):
			p.entryFault("hosts", i, "%s: want a name without port, \"*.name\" or \"*\"", quote(h))
		case taken:
			p.entryFault("hosts", i, "%q belongs to deployment %s already, at line %d: want each host once", h, quote(owner.deployment), owner.line)
		default:
			hosts[h] = hostOwner{s.Name, p.entryLine("hosts", i)}
		}
	}
}

func (p place) checkCanary(c CanaryRule) {
	within(p, "min_requests", c.MinRequests, 1, maxRequests, "1 to 1000000000")
	within(p, "max_errors", c.MaxErrors, 0, 1, "0 to 1, such as 0.01 for 1 %")
	within(p, "max_p99", c.MaxP99, 1, maxP99, "1 to 1000, such as 2.0 for twice that of the current version")
}

func (p place) checkProbe(s *ProbeSpec) {
	if !strings.HasPrefix(s.Path, "/") || len(s.Path) > maxPath || strings.ContainsFunc(s.Path, func(r rune) bool { return r <= ' ' || r == '#' || r >= 0x7f }) {
		p.fault("path", "want a path as it stands in a URL, with its query if there is one, such as \"/1.0/posts?count=1\"")
	}
	within(p, "status", s.Status, 200, 599, "200 to 599")
}

// checkPlugin checks the keys of a plugin. names are the plugins of the deployment, and
// webhooks what it may be granted to call.
func (p place) checkPlugin(s *PluginSpec, names map[string]*node, webhooks []WebhookSpec) {
	if !validName(s.Name) || len(s.Name) > 23 {
		p.fault("name", "want 1 to 23 of a-z, 0-9 and '-', a letter first")
	} else if first := names[s.Name]; first != p.table {
		p.fault("name", "there are two of that name, the other at line %d: want a name for each", first.nameLine())
	}
	p.checkSource(s)
	if p.has("mount") && !validMount(s.Mount) {
		p.fault("mount", "%s: want '/' and segments, without a slash at the end, \".\", \"..\", and any of ? # %% : *, such as \"/eu\"", quote(s.Mount))
	}
	p.checkGrants(s, names, webhooks)
	if p.has("egress") {
		for i, e := range s.Egress {
			p.checkEgress(i, e)
		}
	}
	p.checkSecrets(s)
	within(p, "memory", s.Memory, minMemory, maxMemory, "64KiB to 4GiB")
	within(p, "instances", s.Instances, 0, maxInstances, "a positive number of at most 10000, or none for the default")
	within(p, "waiting", s.Waiting, 0, maxWaiting, "a positive number of at most 1000000, or none for the default")
	within(p, "max_wait", s.MaxWait, 0, maxMaxWait, "at most 1m")
	within(p, "deadline", s.Deadline, 0, maxDeadline, "at most 1h")
	if s.Isolation != "" && s.Isolation != perInstance && s.Isolation != perRequest {
		p.fault("isolation", "%s: want %q or %q", quote(s.Isolation), perInstance, perRequest)
	}
}

// checkSource checks the form of a source and of its digest. Whether it can be had is
// for those who fetch it.
func (p place) checkSource(s *PluginSpec) {
	name, embedded := strings.CutPrefix(s.Source, EmbeddedScheme)
	rest, remote := strings.CutPrefix(s.Source, ociScheme)
	switch {
	case s.Source == "":
		own := s.Name
		if !validName(own) {
			own = "NAME"
		}
		p.fault("source", "want \"embedded:%s\", \"oci://registry/repository:tag\" or a file", own)
	case embedded && !validName(name):
		p.fault("source", "%s: want the name of a plugin behind \"embedded:\"", quote(s.Source))
	case remote && !validReference(rest):
		p.fault("source", "%s: want \"oci://registry/repository:tag\", \"oci://registry/repository@sha256:…\", or both tag and digest", quote(s.Source))
	case !remote && strings.Contains(s.Source, "://"):
		p.fault("source", "%s: want \"embedded:NAME\", \"oci://registry/repository:tag\" or a file", quote(s.Source))
	case len(s.Source) > 4096 || strings.ContainsFunc(s.Source, isControl):
		p.fault("source", "%s: want a name of at most 4096 bytes without control characters", quote(s.Source))
	}
	if p.has("digest") && !validDigest(s.Digest) {
		p.fault("digest", "%s: want \"sha256:\" and 64 of 0-9 and a-f", quote(s.Digest))
	}
}

// checkEgress lets those who use an entry judge it.
func (p place) checkEgress(i int, entry string) {
	if len(entry) > 300 || strings.ContainsFunc(entry, isControl) {
		p.entryFault("egress", i, "%s: want a host name or an address, with or without port", quote(entry))
		return
	}
	e, err := extism.NewEgress([]string{entry})
	if err != nil {
		p.entryFault("egress", i, "%s", strings.TrimPrefix(err.Error(), "egress: "))
		return
	}
	e.Close()
}

func (p place) checkGrants(s *PluginSpec, names map[string]*node, webhooks []WebhookSpec) {
	if !p.has("grants") {
		return
	}
	seen := map[string]bool{}
	for i, g := range s.Grants {
		other, read := strings.CutPrefix(g, abi.GrantRead)
		hook, calls := strings.CutPrefix(g, abi.GrantWebhook)
		switch {
		case seen[g]:
			p.entryFault("grants", i, "%s stands there twice: want it once", quote(g))
		case read && other == s.Name:
			p.entryFault("grants", i, "%s: want the name of another plugin; its own space is \"kv\"", quote(g))
		case read && (names[other] == nil || other == ""):
			p.entryFault("grants", i, "%s: want the name of another plugin of this deployment behind \"read:\"", quote(g))
		case calls && (hook == "" || !slices.ContainsFunc(webhooks, func(w WebhookSpec) bool { return w.Name == hook })):
			p.entryFault("grants", i, "%s: want the name of a [[deployment.webhook]] of this deployment behind \"webhook:\"", quote(g))
		case !read && !calls && !slices.Contains(grants, g):
			p.entryFault("grants", i, "%s: want one of %s, read:NAME, webhook:NAME", quote(g), strings.Join(grants, ", "))
		}
		seen[g] = true
	}
}

func (p place) checkSecrets(s *PluginSpec) {
	if !p.has("secrets") {
		return
	}
	seen := map[string]bool{}
	for i, name := range s.Secrets {
		_, open := s.Config[name]
		switch {
		case !validSecret(name):
			p.entryFault("secrets", i, "%s: want 1 to 64 of a-z, A-Z, 0-9, '_', '-' and '.'", quote(name))
		case seen[name]:
			p.entryFault("secrets", i, "%q stands there twice: want it once", name)
		case open:
			p.entryFault("secrets", i, "%q stands in config too, at line %d: want it in one of the two", name, p.table.keys["config"].keys[name].line)
		}
		seen[name] = true
	}
}

// checkRoute checks a route as abi.ReadDescription checks those of a plugin that
// describes itself.
func (p place) checkRoute(r *RouteSpec) {
	methods := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	if !slices.Contains(methods, r.Method) {
		p.fault("method", "%s: want %s", quote(r.Method), words(methods))
	}
	if !strings.HasPrefix(r.Pattern, "/") {
		p.fault("pattern", "%s: want a path that begins with '/'", quote(r.Pattern))
	}
	if r.Function == "" {
		p.fault("function", "want the name of an export of the plugin")
	}
	if bodies := []string{"json", "form", "raw", "any"}; r.Body != "" && !slices.Contains(bodies, r.Body) {
		p.fault("body", "%s: want %s, or none", quote(r.Body), words(bodies))
	}
	within(p, "deadline", r.Deadline, 0, maxDeadline, "at most 1h")
}

func validName(name string) bool {
	if len(name) == 0 || len(name) > 63 {
		return false
	}
	for i, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || i > 0 && ('0' <= c && c <= '9' || c == '-')) {
			return false
		}
	}
	return true
}

func validSecret(name string) bool {
	return len(name) >= 1 && len(name) <= 64 && only(name, "_-.")
}

// only tells whether s has no characters but letters and digits of ASCII, and those
// of more.
func only(s, more string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(more, c) >= 0) {
			return false
		}
	}
	return true
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func validDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// validReference checks the shape of what stands behind "oci://".
func validReference(s string) bool {
	s, digest, pinned := strings.Cut(s, "@")
	host, repository, ok := strings.Cut(s, "/")
	repository, tag, tagged := strings.Cut(repository, ":")
	return ok && len(s) <= 512 && (!pinned || validDigest(digest)) &&
		host != "" && only(host, ".-:[]") && repository != "" && only(repository, "/._-") &&
		!strings.HasPrefix(repository, "/") && !strings.HasSuffix(repository, "/") && !strings.Contains(repository, "//") &&
		(!tagged || tag != "" && len(tag) <= 128 && only(tag, "_.-") && tag[0] != '.' && tag[0] != '-')
}

func validMount(s string) bool {
	if len(s) < 2 || len(s) > 256 || s[0] != '/' || !only(s, "/-._~!$&'()+,;=@") {
		return false
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func validOrigin(s string, path bool) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == "" && !strings.HasSuffix(s, "/") && !strings.HasSuffix(s, "?") &&
		!strings.HasSuffix(s, "#") && (path || u.Path == "")
}

// canonicalHost is the form in which hosts are compared.
func canonicalHost(h string) string {
	if h != "*." {
		h = strings.TrimSuffix(strings.ToLower(h), ".")
	}
	if addr, err := netip.ParseAddr(h); err == nil {
		return addr.String()
	}
	return h
}

func validHost(h string) bool {
	if h == "*" {
		return true
	}
	if addr, err := netip.ParseAddr(h); err == nil {
		return addr.Zone() == ""
	}
	h = strings.TrimPrefix(h, "*.")
	if len(h) > 253 || !only(h, "-_.") {
		return false
	}
	for label := range strings.SplitSeq(h, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}
