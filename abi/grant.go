package abi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Grants that a plugin may ask for. What it was not granted is denied.
const (
	GrantKV        = "kv"        // a key space of its own
	GrantPasswords = "passwords" // HashPassword and VerifyPassword
	GrantEvents    = "events"    // sockets, streams, and Publish
	GrantBlobs     = "blobs"     // files that are uploaded, pictures, and blobs

	// GrantRead and the name of another plugin of the deployment, "read:status":
	// GetShared and ScanShared of its key space.
	GrantRead = "read:"
	// GrantMail: Dispatch of mails.
	GrantMail = "mail"
	// GrantWebhook and the name that the manifest gives to a webhook, "webhook:sms":
	// Dispatch to it.
	GrantWebhook = "webhook:"
	// GrantEgress and a host, "egress:api.example.com": Fetch from there.
	GrantEgress = "egress:"
)

// Bounds of what a description asks for.
const (
	maxGrants = 64
	maxGrant  = 300 // bytes: a prefix, and a name of DNS with its port
)

// checkGrants checks the form of the grants. A grant that the host does not know may
// be one of a newer contract: it is not given, and then the plugin is refused.
func (d *Description) checkGrants() error {
	if n := len(d.Grants) + len(d.Wants); n > maxGrants {
		return fmt.Errorf("description: %d grants: want at most %d", n, maxGrants)
	}
	for _, g := range slices.Concat(d.Grants, d.Wants) {
		name, reads := strings.CutPrefix(g, GrantRead)
		host, calls := strings.CutPrefix(g, GrantEgress)
		switch {
		case len(g) > maxGrant:
			return fmt.Errorf("description: a grant of %d bytes: want at most %d", len(g), maxGrant)
		case reads && !validName(name):
			return fmt.Errorf("description: grant %q: want %q and the name of a plugin", g, GrantRead)
		case reads && name == d.Name:
			return fmt.Errorf("description: grant %q: its own key space is %q", g, GrantKV)
		case strings.HasPrefix(g, GrantWebhook) && !isWebhook(g):
			return fmt.Errorf("description: grant %q: want %q and a name of a-z, 0-9 and '-'", g, GrantWebhook)
		case calls && !validHost(host):
			return fmt.Errorf("description: grant %q: want %q and a host, such as \"api.example.com\", \"*.example.com\" or \"api.example.com:8443\"", g, GrantEgress)
		}
	}
	return nil
}

// isWebhook tells whether g is a grant of a webhook.
func isWebhook(g string) bool {
	name, ok := strings.CutPrefix(g, GrantWebhook)
	return ok && validName(name)
}

// validHost tells whether s has the form of what a manifest lets a plugin reach: a
// name or an IPv4 address in small letters, a name behind "*.", either of them with a
// port, or "*" for all. Whether an address is a private one is up to the manifest.
func validHost(s string) bool {
	if s == "*" {
		return true
	}
	name, port, found := strings.Cut(s, ":")
	if n, err := strconv.ParseUint(port, 10, 16); found && (err != nil || n == 0) {
		return false
	}
	name = strings.TrimPrefix(name, "*.")
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}
