package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// A table finds the site of a host and, in it, the route of a request. It is
// built whole and never changed; a new one takes its place in one step.
type table struct {
	services  []*service
	names     map[string]*service
	exact     map[string]*service
	wildcards []wildcard // longest first
	any       *service
}

type wildcard struct {
	suffix  string // ".example.com"
	service *service
}

// A site is a version of a deployment as requests see it.
type site struct {
	usage
	stats         versionStats
	since         time.Time
	deployment    *deploy.Deployment
	root          node
	operators     map[string]*node // by plugin: its routes for operators, which lie below its name
	families      []*family        // longest prefix first
	authenticator *authenticator
	origins       []string
	turns         *turns
	quota         *quota
	rates         *rates
	live          *live
	sockets       map[string]*socket // by path
	outcomes      map[string]*route  // by plugin: how it is told what became of dispatches
}

type family struct {
	*abi.Family
	plugin string
	prefix string // with that where the plugin is mounted
}

// A node is a segment of the patterns. Literal segments win over parameters, and
// these over a rest; if a literal leads nowhere, the parameter is tried, and then
// the rest.
type node struct {
	literal   map[string]*node
	parameter *node
	rest      *node    // what a "*name" leads to
	routes    []*route // of the patterns that end here, one a method
}

// maxParams bounds the parameters of a pattern.
const maxParams = 8

// A route is a method and a pattern, and what serves it.
type route struct {
	*abi.Route
	index    int
	plugin   *deploy.Plugin
	family   *family
	function string // of an Extism plugin
	operator bool   // served on the admin address alone
	field    string // of a socket's event: where the credential stands
	deadline time.Duration
	uploads  uploads // of its plugin, if the route takes any
	metrics  *routeMetrics
	refusals seldom // of those that are logged
}

// lasts tells whether a connection may go on on behalf of who calls the route.
func (r *route) lasts() bool { return r.Stream || r.Method == eventMethod }

// operatorKind is the kind of credential that only the admin API supplies.
const operatorKind = "operator"

// newTable builds the table of all deployments. Two plugins of a deployment
// that want the same route are an error, as are two deployments that want the same host.
func (g *Gateway) newTable(list []Serving) (*table, error) {
	t := &table{names: map[string]*service{}, exact: map[string]*service{}}
	for _, d := range list {
		s, err := g.newService(d)
		if err != nil {
			return nil, fmt.Errorf("gateway: deployment %q: %w", d.Current.Spec.Name, err)
		}
		t.services = append(t.services, s)
		t.names[d.Current.Spec.Name] = s
		for _, h := range d.Current.Spec.Hosts {
			if other := t.addHost(h, s); other != nil {
				return nil, fmt.Errorf("gateway: deployment %q: hosts: %q belongs to deployment %q already", d.Current.Spec.Name, h, other.deployment.Spec.Name)
			}
		}
	}
	sort.SliceStable(t.wildcards, func(i, j int) bool {
		return len(t.wildcards[i].suffix) > len(t.wildcards[j].suffix)
	})
	return t, nil
}

// addHost has a service answer for a host. It returns the one that does already.
func (t *table) addHost(host string, s *service) (other *service) {
	switch {
	case host == "*":
		if other = t.any; other == nil {
			t.any = s
		}
	case strings.HasPrefix(host, "*."):
		i := slices.IndexFunc(t.wildcards, func(w wildcard) bool { return w.suffix == host[1:] })
		if i >= 0 {
			return t.wildcards[i].service
		}
		t.wildcards = append(t.wildcards, wildcard{host[1:], s})
	default:
		if other = t.exact[host]; other == nil {
			t.exact[host] = s
		}
	}
	return other
}

// newService builds what answers for a deployment. The site of a version that serves
// already is kept, with all that it has counted and remembers.
func (g *Gateway) newService(d Serving) (*service, error) {
	old := g.table.Load().byName(d.Current.Spec.Name)
	find := func(d *deploy.Deployment, beside *site) (*site, error) {
		if old != nil {
			for _, s := range old.sites() {
				if s.deployment == d {
					return s, nil
				}
			}
			beside = old.site
		}
		return g.newSite(d, beside)
	}
	current, err := find(d.Current, nil)
	if err != nil || d.Canary == nil {
		return &service{site: current}, err
	}
	s := &service{site: current, beside: new(versionStats), share: uint64(min(max(d.Share, 0), 1) * shareUnit)}
	if old != nil && old.canary != nil && old.canary.deployment == d.Canary && old.site == current {
		s.beside = old.beside
	}
	s.canary, err = find(d.Canary, current)
	return s, err
}

// newSite builds the site of a version. It shares what is counted of the deployment
// with another one that serves already, if there is one.
func (g *Gateway) newSite(d *deploy.Deployment, other *site) (*site, error) {
	s := &site{deployment: d, origins: d.Spec.Origins, operators: map[string]*node{}, turns: newTurns(), quota: newQuota(d.Spec.FuelPerSecond), rates: newRates(), since: time.Now()}
	s.drained = make(chan struct{})
	if other != nil {
		s.quota.inherit(other.quota)
		s.rates, s.turns = other.rates, other.turns
	}
	s.live = g.lives.of(g, d.Spec.Name)
	for _, p := range d.Plugins {
		families := make([]*family, len(p.Desc.Families))
		for i := range p.Desc.Families {
			families[i] = mountedFamily(p, &p.Desc.Families[i])
		}
		s.families = append(s.families, families...)
		taken := newUploads(p)
		for i := range p.Desc.Routes {
			r := &route{
				Route: &p.Desc.Routes[i], index: i, plugin: p,
				family:   families[p.Desc.Routes[i].Family],
				operator: slices.Contains(p.Desc.Routes[i].Auth, operatorKind),
				deadline: p.Deadline(&p.Desc.Routes[i]),
			}
			if p.Spec.Mount != "" && !r.operator {
				below := *r.Route
				below.Pattern = mounted(p, below.Pattern)
				r.Route = &below
			}
			if r.Body == abi.UploadBody {
				r.uploads = taken
			}
			if p.Functions != nil {
				r.function = p.Functions[i]
			}
			if err := s.add(r); err != nil {
				return nil, fmt.Errorf("plugin %q: route %s %q: %w", p.Spec.Name, r.Method, r.Pattern, err)
			}
			r.metrics = g.metrics.route(d.Spec.Name, p.Spec.Name, r.Method, r.Pattern)
		}
		s.addOutcomes(g, p)
		if err := s.addSockets(g, p, families); err != nil {
			return nil, fmt.Errorf("plugin %q: %w", p.Spec.Name, err)
		}
		for _, src := range p.Desc.Credentials {
			if err := checkName("credential of kind", src.Kind); err != nil {
				return nil, fmt.Errorf("plugin %q: %w", p.Spec.Name, err)
			}
			if src.Kind == operatorKind {
				return nil, fmt.Errorf("plugin %q: credential of kind %q: only the admin API supplies that", p.Spec.Name, operatorKind)
			}
		}
		if p.Authenticates() {
			s.authenticator = newAuthenticator(g, d, p)
		}
	}
	routes := s.root.all(nil)
	for _, sock := range s.sockets {
		for _, r := range sock.events {
			routes = append(routes, r)
		}
	}
	for _, r := range routes {
		if err := s.authenticator.serves(r); err != nil {
			return nil, fmt.Errorf("plugin %q: route %s %s: %w", r.plugin.Spec.Name, r.Method, r.Pattern, err)
		}
	}
	sort.SliceStable(s.families, func(i, j int) bool {
		return len(s.families[i].prefix) > len(s.families[j].prefix)
	})
	return s, nil
}

func (s *site) add(r *route) error {
	if err := checkPattern(r.Pattern); err != nil {
		return err
	}
	n := &s.root
	if r.operator {
		if r.Stream {
			return errors.New("a stream on the admin address: want it for clients")
		}
		if len(r.Auth) > 1 {
			return fmt.Errorf("auth %q: a route for operators is for nobody else: want %q alone", r.Auth, operatorKind)
		}
		if s.operators[r.plugin.Spec.Name] == nil {
			s.operators[r.plugin.Spec.Name] = &node{}
		}
		n = s.operators[r.plugin.Spec.Name]
	}
	params := 0
	for segment := range strings.SplitSeq(strings.TrimPrefix(r.Pattern, "/"), "/") {
		if child := n.variable(segment); child != nil {
			if params++; params > maxParams {
				return fmt.Errorf("it has more than %d parameters", maxParams)
			}
			if *child == nil {
				*child = &node{}
			}
			n = *child
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*node{}
		}
		if n.literal[segment] == nil {
			n.literal[segment] = &node{}
		}
		n = n.literal[segment]
	}
	for _, other := range n.routes {
		if other.Method == r.Method {
			return fmt.Errorf("plugin %q serves %s %s already", other.plugin.Spec.Name, other.Method, other.Pattern)
		}
	}
	n.routes = append(n.routes, r)
	return nil
}

// variable returns where a segment leads that is not literal; nil if it is.
func (n *node) variable(segment string) **node {
	switch {
	case strings.HasPrefix(segment, ":"):
		return &n.parameter
	case strings.HasPrefix(segment, "*"):
		return &n.rest
	}
	return nil
}

// routes are all of a version: those for clients and for operators, and what stands for
// sockets and their events.
func (s *site) routes() []*route {
	list := s.root.all(nil)
	for _, n := range s.operators {
		list = n.all(list)
	}
	for _, sock := range s.sockets {
		list = append(list, sock.transport)
		for _, r := range sock.events {
			list = append(list, r)
		}
	}
	return list
}

func (n *node) all(list []*route) []*route {
	list = append(list, n.routes...)
	for _, child := range n.literal {
		list = child.all(list)
	}
	for _, child := range []*node{n.parameter, n.rest} {
		if child != nil {
			list = child.all(list)
		}
	}
	return list
}

// service finds the deployment of a Host header; nil if there is none. named tells
// that it is the manifest that gives it the name.
func (t *table) service(host []byte) (s *service, named bool) {
	host = trimPort(host)
	if s, ok := t.exact[string(host)]; ok {
		return s, true
	}
	if len(t.exact) > 0 || len(t.wildcards) > 0 {
		if lower := bytes.ToLower(host); len(lower) > 0 {
			if s, ok := t.exact[string(lower)]; ok {
				return s, true
			}
			for _, w := range t.wildcards {
				if len(lower) > len(w.suffix) && bytes.HasSuffix(lower, []byte(w.suffix)) {
					return w.service, true
				}
			}
		}
	}
	return t.any, false
}

// validHost tells whether a Host header is a name, or an address, and maybe a port.
// It becomes part of URLs, and of "api.example.com:@other.example" and
// "other.example/.example.com" a deployment's name is a part, but neither leads to
// it. There is none in requests of HTTP/1.0.
func validHost(host []byte) bool {
	name, port, others := host, []byte(nil), "-._"
	if i := bytes.IndexByte(host, ']'); i > 0 && host[0] == '[' {
		name, port, others = host[1:i], host[i+1:], ":."
	} else if i := bytes.IndexByte(host, ':'); i >= 0 {
		name, port = host[:i], host[i:]
	}
	if len(port) > 0 && (port[0] != ':' || len(bytes.Trim(port[1:], "0123456789")) > 0) {
		return false
	}
	for _, c := range name {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(others, c) >= 0) {
			return false
		}
	}
	return len(name) > 0 || len(host) == 0
}

// trimPort cuts ":8080" off, the brackets of an IPv6 address, and the dot at the
// end of a full name.
func trimPort(host []byte) []byte {
	if len(host) > 0 && host[0] == '[' {
		if end := bytes.IndexByte(host, ']'); end > 0 {
			return host[1:end]
		}
	}
	if i := bytes.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return bytes.TrimSuffix(host, []byte{'.'})
}

// byName finds a deployment by its name.
func (t *table) byName(name string) *service { return t.names[name] }

// find finds the node of a path, and what its parameters matched.
func (n *node) find(path []byte, params *[maxParams][]byte) (*node, int) {
	if len(path) == 0 || path[0] != '/' {
		return nil, 0
	}
	return n.match(path[1:], params, 0)
}

func (n *node) match(path []byte, params *[maxParams][]byte, count int) (*node, int) {
	segment, rest := path, []byte(nil)
	slash := bytes.IndexByte(path, '/')
	if slash >= 0 {
		segment, rest = path[:slash], path[slash+1:]
	}
	if child := n.literal[string(segment)]; child != nil {
		if found, m := child.next(slash >= 0, rest, params, count); found != nil {
			return found, m
		}
	}
	if child := n.parameter; child != nil && len(segment) > 0 && count < maxParams {
		params[count] = segment
		if found, m := child.next(slash >= 0, rest, params, count+1); found != nil {
			return found, m
		}
	}
	if child := n.rest; child != nil && len(path) > 0 && count < maxParams {
		params[count] = path
		return child, count + 1
	}
	return nil, 0
}

func (n *node) next(more bool, rest []byte, params *[maxParams][]byte, count int) (*node, int) {
	if more {
		return n.match(rest, params, count)
	}
	if len(n.routes) == 0 {
		return nil, 0
	}
	return n, count
}

// route returns the node's route of a method. HEAD is served by a GET that only
// reads: one that writes would do so for an answer that nobody sees.
func (n *node) route(method []byte) *route {
	for _, r := range n.routes {
		if r.Method == string(method) || r.Method == "GET" && !r.Write && string(method) == "HEAD" {
			return r
		}
	}
	return nil
}

// allow lists the methods of a node, as the header Allow has them.
func (n *node) allow() string {
	methods := []string{"OPTIONS"}
	for _, r := range n.routes {
		methods = append(methods, r.Method)
		if r.Method == "GET" && !r.Write {
			methods = append(methods, "HEAD")
		}
	}
	slices.Sort(methods)
	return strings.Join(slices.Compact(methods), ", ")
}

// family finds whose form an error under a path takes.
func (s *site) family(path []byte) *family {
	for _, f := range s.families {
		if bytes.HasPrefix(path, []byte(f.prefix)) &&
			(len(path) == len(f.prefix) || f.prefix == "/" || path[len(f.prefix)] == '/') {
			return f
		}
	}
	return noFamily
}

// noFamily is the form of errors where no plugin is concerned.
var noFamily = &family{Family: &abi.Family{Prefix: "/", Errors: abi.DefaultErrors()}, prefix: "/"}

// has tells whether a site is one of the table's.
func (t *table) has(s *site) bool {
	svc := t.byName(s.deployment.Spec.Name)
	return svc != nil && slices.Contains(svc.sites(), s)
}
