// Package deploy turns an operator's manifest into deployments: the plugins
// that serve a set of hosts, each compiled, described, checked against what it
// was granted, and ready for calls.
package deploy

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
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
	FuelPerSecond int64   `toml:"fuel_per_second"`
	Cores         float64 `toml:"cores"`  // that its plugins may use at a time; 0: no limit of its own
	Memory        Size    `toml:"memory"` // of all instances of its plugins; 0: no limit of its own
	// Mail, Webhooks and Outbox say how what its plugins dispatch is delivered.
	Mail     MailSpec      `toml:"mail"`
	Webhooks []WebhookSpec `toml:"webhook"`
	Outbox   OutboxSpec    `toml:"outbox"`
	Canary   CanaryRule    `toml:"canary"` // the zero value is as good as DefaultCanary
	Probes   []ProbeSpec   `toml:"probe"`
	Plugins  []PluginSpec  `toml:"plugin"`
}

// A MailSpec says how mail goes. The zero MailSpec is as the host's own does, if it has
// a way at all.
type MailSpec struct {
	Server   string `toml:"server"`   // "smtp://host:587", "smtps://host:465"
	User     string `toml:"user"`     // none: without logging in
	Password string `toml:"password"` // the name of a secret of the outbox
	From     string `toml:"from"`     // "Name <address@example.com>", or an address alone
}

// A WebhookSpec is a webhook that plugins may dispatch to.
type WebhookSpec struct {
	Name   string `toml:"name"` // a-z, 0-9 and '-': what follows "webhook:" in grants
	URL    string `toml:"url"`
	Secret string `toml:"secret"` // the name of a secret of the outbox, by which calls are signed
}

// An OutboxSpec bounds what is delivered. What is 0 has its default.
type OutboxSpec struct {
	Rate         float64  `toml:"rate"`          // attempts a second, in the long run; default 50
	PerRecipient int      `toml:"per_recipient"` // dispatches to one recipient within an hour; default 20
	Queue        int      `toml:"queue"`         // entries that wait; default 100,000
	GiveUp       Duration `toml:"give_up"`       // how long an entry is tried; default 48h
}

// A ProbeSpec is a GET that a version has to answer before it serves.
type ProbeSpec struct {
	Path     string `toml:"path"`     // with its query
	Status   int    `toml:"status"`   // default 200
	Contains string `toml:"contains"` // what stands in the answer
}

// A CanaryRule says when a canary is taken back by itself.
type CanaryRule struct {
	MinRequests int     `toml:"min_requests"` // of the canary, before it is judged; default 100
	MaxErrors   float64 `toml:"max_errors"`   // by which its share of 5xx may be above the current version's; default 0.01
	MaxP99      float64 `toml:"max_p99"`      // times the current version's p99, and 5 ms more, once both have answered 10 times MinRequests; default 2
}

// DefaultCanary is the rule for a deployment whose manifest has none.
func DefaultCanary() CanaryRule { return CanaryRule{MinRequests: 100, MaxErrors: 0.01, MaxP99: 2} }

// A PluginSpec describes one plugin of a deployment.
type PluginSpec struct {
	Name    string            `toml:"name"`    // as the plugin describes itself
	Source  string            `toml:"source"`  // "embedded:sharing", "oci://registry/repository:tag", or a file
	Digest  string            `toml:"digest"`  // "sha256:…": what the source must be
	Mount   string            `toml:"mount"`   // prefix of all its paths: "/eu"
	Grants  []string          `toml:"grants"`  // "kv", "passwords", "events", "blobs", "mail"; "read:NAME": the key space of that plugin; "webhook:NAME"
	Egress  []string          `toml:"egress"`  // hosts it may call, "*" for any; "private:" before one allows private addresses
	Secrets []string          `toml:"secrets"` // settings whose values are kept apart
	Config  map[string]string `toml:"config"`

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

const ociScheme = "oci://" // of a source in a registry

// The values of PluginSpec.Isolation.
const (
	perInstance = "instance"
	perRequest  = "request"
)

// Size is a number of bytes, written as "64MiB" or a plain number.
type Size int64

// A sizeUnit is what a size can be counted in.
type sizeUnit struct {
	name  string
	bytes int64
}

// sizeUnits are the units of sizes, the largest first.
func sizeUnits() []sizeUnit { return []sizeUnit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	t, unit := string(text), int64(1)
	for _, u := range sizeUnits() {
		if rest, ok := strings.CutSuffix(t, u.name); ok {
			t, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || n <= 0 || n > (1<<40)/unit {
		return fmt.Errorf("%s: want a size such as \"64MiB\"", quote(string(text)))
	}
	*s = Size(n * unit)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) {
	for _, u := range sizeUnits() {
		if s != 0 && int64(s)%u.bytes == 0 {
			return append(strconv.AppendInt(nil, int64(s)/u.bytes, 10), u.name...), nil
		}
	}
	return strconv.AppendInt(nil, int64(s), 10), nil
}

// Duration is a time.Duration, written as "5s".
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v <= 0 {
		return fmt.Errorf("%s: want a duration such as \"5s\"", quote(string(text)))
	}
	*d = Duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) {
	s := time.Duration(d).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return []byte(s), nil
}

// DefaultManifest is what serves if the operator says nothing: the plugins that
// ship with edgeset, for all hosts.
func DefaultManifest(plugins ...string) *Manifest {
	spec := Spec{Name: "default", Hosts: []string{"*"}, Origins: []string{"*"}, Canary: DefaultCanary()}
	for _, name := range plugins {
		p := PluginSpec{Name: name, Source: EmbeddedScheme + name, Grants: []string{abi.GrantKV, abi.GrantPasswords, abi.GrantEvents, abi.GrantBlobs}}
		switch name {
		case "signing":
			p.Egress = []string{"*"} // people sign in with an OpenID of wherever
		case "sharing":
			p.Grants = append(p.Grants, abi.GrantMail) // its invites
		}
		spec.Plugins = append(spec.Plugins, p)
	}
	return &Manifest{Deployments: []Spec{spec}}
}

// ReadManifest reads and checks a manifest.
func ReadManifest(file string) (*Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("deploy: %w", err)
	}
	return ParseManifest(file, string(text))
}

// ParseManifest checks a manifest's text as a whole, and tells all that is wrong with
// it: the error joins one for each fault, with its line. file is for messages.
func ParseManifest(file, text string) (*Manifest, error) {
	f := &faults{file: file}
	if len(text) > maxManifest {
		f.add(1, "it is larger than 1 MiB; want several manifests, which are deployed one by one")
		return nil, f.err()
	}
	root := parseDocument(text, f)
	if root == nil {
		return nil, f.err()
	}
	m := readDeployments(place{faults: f, table: root})
	if err := f.err(); err != nil {
		return nil, err
	}
	return m, nil
}
