// Package rollout changes what a host serves while it serves: it makes numbered
// versions of deployments, has them built, checked and warmed beside the ones that
// run, swaps them in one step, tries them on a part of the traffic, and takes them
// back. What serves is kept in the store, so that after the end of the process, at
// any point, one whole version serves again.
package rollout

import (
	"time"

	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/migrate"
)

// A Version is one numbered state of a deployment. It never changes.
type Version struct {
	Deployment string `json:"deployment"`
	Number     int    `json:"version"`
	// Manifest is the deployment's part of the manifest, in the canonical form, with
	// the digest of each plugin.
	Manifest string   `json:"manifest"`
	Plugins  []Plugin `json:"plugins"`
	// Origin is where it comes from: "default", "config", "deploy" or "rollback".
	Origin  string    `json:"origin"`
	By      string    `json:"by,omitempty"` // who, as they say of themselves
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at"`
	// Secrets are the revisions of the secrets that it was given, by plugin, or
	// secret.Outbox, and name.
	Secrets map[string]int `json:"secrets,omitempty"`
}

// A Plugin is what a Version says of one of its plugins.
type Plugin struct {
	Name      string `json:"name"`
	Source    string `json:"source"`
	Digest    string `json:"digest"`            // "sha256:…"
	Size      int64  `json:"size"`              // of its Wasm, in bytes
	Version   string `json:"version,omitempty"` // as it says of itself
	Schema    int    `json:"schema,omitempty"`  // version of its data; 0: it does not say
	Signer    string `json:"signer,omitempty"`  // id of the key that has signed it
	Signature string `json:"signature,omitempty"`
}

// The origins of a version.
const (
	FromDefault  = "default"  // the plugins that ship with the host, as nothing else was said
	FromConfig   = "config"   // the manifest that the host was started with
	FromDeploy   = "deploy"   // the admin API
	FromRollback = "rollback" // an older version, made the current one again
)

// A Status tells what of a deployment serves now.
type Status struct {
	Name     string   `json:"name"`
	Hosts    []string `json:"hosts"`
	Revision int64    `json:"revision"` // rises with each change
	Current  int      `json:"current"`
	Previous int      `json:"previous,omitempty"` // that served before; 0: none
	// Serving are the versions that answer requests: the current one first, then the
	// canary, if there is one.
	Serving []Serving `json:"serving"`
	Canary  *Canary   `json:"canary,omitempty"`
	// Ended says how the last canary ended, if there was one: "version 4 was promoted",
	// or "version 4 was taken back: " and why.
	Ended string `json:"ended,omitempty"`
	// Migrations are those that are under way, or have yet to be finished.
	Migrations []migrate.Status `json:"migrations,omitempty"`
}

// Serving is a version that answers requests, and how it does.
type Serving struct {
	Version int       `json:"version"`
	Since   time.Time `json:"since"`
	gateway.VersionStats
}

// A Canary is a version that gets a part of the traffic.
type Canary struct {
	Version int       `json:"version"`
	Share   float64   `json:"share"`           // of the clients, 0 to 1
	Steps   []float64 `json:"steps,omitempty"` // shares that it goes through by itself; the last is 1. None: an operator promotes it
	Every   Duration  `json:"every,omitempty"` // the time of a step
	Next    time.Time `json:"next,omitzero"`   // when the next step is due
}

// Duration is a time.Duration that JSON has as "10m0s".
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// A Change says who wants something changed, and what was seen of it before.
type Change struct {
	By       string      // who, as they say of themselves
	Remote   string      // address they call from
	Message  string      // why
	Expect   int64       // revision that must be the current one; 0: any
	Insist   bool        // also where it cannot be undone: see migrate
	Progress func(Event) // nil: nobody wants to know. Called by one goroutine at a time
}

// A Request asks for the deployments of a manifest.
type Request struct {
	Change
	File     string // name of the manifest, for messages
	Manifest string // its text
	// Uploads are the plugins whose source is a file, by source: what was put into
	// the library for them.
	Uploads map[string]Upload
	Check   bool // do everything but serve it
	// Canary has the new versions get a part of the traffic, instead of all of it.
	// Only Share, Steps and Every are looked at.
	Canary *Canary
}

// An Upload is a plugin that was put into the library before it was asked for.
type Upload struct {
	Digest    string `json:"digest"`
	Signature string `json:"signature,omitempty"` // the text of its .minisig
}

// A Result tells what came out of a change.
type Result struct {
	// Deployments are those that were asked for, in the order of the manifest.
	Deployments []Outcome `json:"deployments"`
	Revision    int64     `json:"revision"` // of the host
}

// An Outcome is what became of one deployment.
type Outcome struct {
	Name    string `json:"name"`
	Version int    `json:"version"` // that was made, or that serves, if there was nothing to change; 0: only checked
	Before  int    `json:"before"`  // that served before; 0: none
	// Action is "created", "swapped", "canary", "unchanged", "checked", "promoted",
	// "shifted", "taken back" or "removed".
	Action string `json:"action"`
	Swap   string `json:"swap,omitempty"` // how long the step took in which the new version took over
	Diff   string `json:"diff,omitempty"` // between the two, as a unified diff of their manifests
}

// An Event tells how far a change has come.
type Event struct {
	// Stage is "resolve", "pull", "load", "check", "probe", "migrate", "record", "swap"
	// or "done".
	Stage      string `json:"stage"`
	Deployment string `json:"deployment,omitempty"`
	Plugin     string `json:"plugin,omitempty"`
	Done       int64  `json:"done,omitempty"` // of Total: bytes of a pull, entries of a migration
	Total      int64  `json:"total,omitempty"`
	Text       string `json:"text,omitempty"`
}

// An Entry is one line of the audit log.
type Entry struct {
	ID         string    `json:"id"` // rises with time
	At         time.Time `json:"at"`
	By         string    `json:"by,omitempty"`
	Remote     string    `json:"remote,omitempty"`
	Action     string    `json:"action"` // "deploy", "rollback", "promote", "abort", "remove", "secret set", …
	Deployment string    `json:"deployment,omitempty"`
	Version    int       `json:"version,omitempty"`
	Message    string    `json:"message,omitempty"`
	Error      string    `json:"error,omitempty"` // why it was not done
}
