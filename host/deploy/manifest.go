// Package deploy turns an operator's manifest into deployments: the plugins
// that serve a set of hosts, each compiled, described, checked against what it
// was granted, and ready for calls.
package deploy

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// A Manifest is what an operator writes: the deployments of one host.
type Manifest struct {
	Deployments []Spec `toml:"deployment"`
}

// A Spec describes one deployment: a set of plugins with a space of state of
// their own.
type Spec struct {
	Name    string   `toml:"name"`
	Hosts   []string `toml:"hosts"`    // host names without port; "*" is any, "*.example.com" any below
	BaseURL string   `toml:"base_url"` // of links that plugins make; default: as the client asked
	Origins []string `toml:"origins"`  // web origins that may call (CORS); "*" is any
	// FuelPerSecond is how much its plugins may compute in the long run, in units
	// of about one WebAssembly instruction; 0: no limit.
	FuelPerSecond int64        `toml:"fuel_per_second"`
	Plugins       []PluginSpec `toml:"plugin"`
}

// A PluginSpec describes one plugin of a deployment.
type PluginSpec struct {
	Name   string            `toml:"name"`   // as the plugin describes itself
	Source string            `toml:"source"` // "embedded:sharing", or a file
	Grants []string          `toml:"grants"` // "kv", "passwords", "events", "blobs"
	Egress []string          `toml:"egress"` // hosts it may call, "*" for any; "private:" before one allows private addresses
	Config map[string]string `toml:"config"`

	Memory    Size     `toml:"memory"`    // of an instance; default 64MiB
	Instances int      `toml:"instances"` // at most; default 4 per core
	Waiting   int      `toml:"waiting"`   // callers that may wait for one; default 256 per instance
	MaxWait   Duration `toml:"max_wait"`  // for how long; default 1s
	Deadline  Duration `toml:"deadline"`  // of a whole request; default 10s

	// Isolation is "instance", the default, or "request": then nothing that a
	// call leaves in the plugin's memory is there for the next.
	Isolation string `toml:"isolation"`
	// Snapshot is false for a plugin each instance of which has to be initialised
	// on its own; default true.
	Snapshot *bool `toml:"snapshot"`

	// Routes of a plugin that knows only extism:host/env, and so cannot
	// describe itself.
	Routes []RouteSpec `toml:"route"`
}

// A RouteSpec routes requests to a function of an Extism plugin.
type RouteSpec struct {
	Method   string   `toml:"method"`
	Pattern  string   `toml:"pattern"`
	Function string   `toml:"function"`
	ReadOnly bool     `toml:"read_only"`
	Auth     []string `toml:"auth"`
	Body     string   `toml:"body"`     // "json", "form", "raw", "any" or nothing
	Deadline Duration `toml:"deadline"` // if it is smaller than the plugin's
}

// The values of PluginSpec.Isolation.
const (
	perInstance = "instance"
	perRequest  = "request"
)

// Size is a number of bytes, written as "64MiB" or a plain number.
type Size int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	t, unit := string(text), int64(1)
	for suffix, u := range map[string]int64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(t, suffix); ok {
			t, unit = strings.TrimSpace(rest), u
		}
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n <= 0 || n > (1<<40)/unit {
		return fmt.Errorf("%q: want a size such as \"64MiB\"", text)
	}
	*s = Size(n * unit)
	return nil
}

// Duration is a time.Duration, written as "5s".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("%q: want a duration such as \"5s\"", text)
	}
	*d = Duration(v)
	return nil
}

// DefaultManifest is what serves if the operator says nothing: the plugins that
// ship with edgeset, for all hosts.
func DefaultManifest(plugins ...string) *Manifest {
	spec := Spec{Name: "default", Hosts: []string{"*"}, Origins: []string{"*"}}
	for _, name := range plugins {
		p := PluginSpec{Name: name, Source: embeddedScheme + name, Grants: slices.Clone(grants)}
		if name == "signing" {
			p.Egress = []string{"*"} // people sign in with an OpenID of wherever
		}
		spec.Plugins = append(spec.Plugins, p)
	}
	return &Manifest{Deployments: []Spec{spec}}
}

// ReadManifest reads and checks a manifest.
func ReadManifest(file string) (*Manifest, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	return ParseManifest(file, string(text))
}

// ParseManifest checks a manifest's text as a whole. file is for messages.
func ParseManifest(file, text string) (*Manifest, error) {
	var m Manifest
	meta, err := toml.Decode(text, &m)
	if err != nil {
		return nil, fmt.Errorf("deploy: %s%s", file, place(err))
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		return nil, fmt.Errorf("deploy: %s: unknown key %q: it is misspelt, or stands in the wrong table", file, unknown[0].String())
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("deploy: %s: %w", file, err)
	}
	return &m, nil
}

// place puts an error of the decoder into the form ":line: key: message". Some of
// them say where they are in their text only.
func place(err error) string {
	var at toml.ParseError
	if errors.As(err, &at) {
		if at.LastKey == "" {
			return fmt.Sprintf(":%d: %s", at.Position.Line, at.Message)
		}
		return fmt.Sprintf(":%d: %s: %s", at.Position.Line, at.LastKey, at.Message)
	}
	text := strings.TrimPrefix(err.Error(), "toml: ")
	var line int
	var key string
	if n, _ := fmt.Sscanf(text, "line %d (last key %q):", &line, &key); n == 2 {
		_, message, _ := strings.Cut(text, "): ")
		return fmt.Sprintf(":%d: %s: %s", line, key, message)
	}
	return ": " + text
}

func (m *Manifest) check() error {
	if len(m.Deployments) == 0 {
		return errors.New("no [[deployment]]: want at least one")
	}
	names, hosts := map[string]bool{}, map[string]string{}
	for i := range m.Deployments {
		s := &m.Deployments[i]
		if !validName(s.Name) {
			return fmt.Errorf("deployment %q: name: want 1 to 63 of a-z, 0-9 and '-', a letter first", s.Name)
		}
		if names[s.Name] {
			return fmt.Errorf("deployment %q: name: there are two of that name", s.Name)
		}
		names[s.Name] = true
		if len(s.Hosts) == 0 {
			return fmt.Errorf("deployment %q: hosts: want at least one, \"*\" for all", s.Name)
		}
		for j, h := range s.Hosts {
			h = canonicalHost(h)
			s.Hosts[j] = h
			if !validHost(h) {
				return fmt.Errorf("deployment %q: hosts: %q: want a name without port, \"*.name\" or \"*\"", s.Name, h)
			}
			if other, taken := hosts[h]; taken {
				return fmt.Errorf("deployment %q: hosts: %q belongs to deployment %q already", s.Name, h, other)
			}
			hosts[h] = s.Name
		}
		if s.FuelPerSecond < 0 {
			return fmt.Errorf("deployment %q: fuel_per_second = %d: want a positive number, or none for no limit", s.Name, s.FuelPerSecond)
		}
		if err := s.checkURLs(); err != nil {
			return fmt.Errorf("deployment %q: %w", s.Name, err)
		}
		if err := s.checkPlugins(); err != nil {
			return fmt.Errorf("deployment %q: %w", s.Name, err)
		}
	}
	return nil
}

// checkURLs checks what has to look like the origin of a URL.
func (s *Spec) checkURLs() error {
	if s.BaseURL != "" && !validOrigin(s.BaseURL, true) {
		return fmt.Errorf("base_url %q: want a URL without a slash at its end, such as \"https://api.example.com\"", s.BaseURL)
	}
	for _, o := range s.Origins {
		if o != "*" && !validOrigin(o, false) {
			return fmt.Errorf("origins: %q: want scheme and host, such as \"https://app.example.com\", or \"*\"", o)
		}
	}
	return nil
}

func validOrigin(s string, path bool) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == "" && !strings.HasSuffix(s, "/") && !strings.HasSuffix(s, "?") &&
		!strings.HasSuffix(s, "#") && (path || u.Path == "")
}

func (s *Spec) checkPlugins() error {
	if len(s.Plugins) == 0 {
		return errors.New("no [[deployment.plugin]]: want at least one")
	}
	seen := map[string]bool{}
	for _, p := range s.Plugins {
		switch {
		case !validName(p.Name) || len(p.Name) > 23:
			return fmt.Errorf("plugin %q: name: want 1 to 23 of a-z, 0-9 and '-', a letter first", p.Name)
		case seen[p.Name]:
			return fmt.Errorf("plugin %q: name: there are two of that name", p.Name)
		case p.Source == "":
			return fmt.Errorf("plugin %q: source: want \"embedded:%s\" or a file", p.Name, p.Name)
		case p.Instances < 0, p.Waiting < 0:
			return fmt.Errorf("plugin %q: instances = %d, waiting = %d: want positive numbers, or none for the default", p.Name, p.Instances, p.Waiting)
		case p.Isolation != "" && p.Isolation != perInstance && p.Isolation != perRequest:
			return fmt.Errorf("plugin %q: isolation: %q: want %q or %q", p.Name, p.Isolation, perInstance, perRequest)
		case len(p.Routes) > maxRoutes:
			return fmt.Errorf("plugin %q: %d routes: want at most %d", p.Name, len(p.Routes), maxRoutes)
		}
		seen[p.Name] = true
		for _, g := range p.Grants {
			if !slices.Contains(grants, g) {
				return fmt.Errorf("plugin %q: grants: %q: want one of %s", p.Name, g, strings.Join(grants, ", "))
			}
		}
	}
	return nil
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

// canonicalHost is the form in which hosts are compared.
func canonicalHost(h string) string {
	if addr, err := netip.ParseAddr(h); err == nil {
		return addr.String()
	}
	return strings.TrimSuffix(strings.ToLower(h), ".")
}

func validHost(h string) bool {
	if h == "*" {
		return true
	}
	if _, err := netip.ParseAddr(h); err == nil {
		return true
	}
	h = strings.TrimPrefix(h, "*.")
	return h != "" && len(h) <= 253 && !strings.ContainsAny(h, ":/* \t@?#") && h[0] != '.'
}
