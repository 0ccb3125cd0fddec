package edge

import (
	"strings"

	"github.com/edgeset/edgeset/abi"
)

// What a plugin reads of others. A read is a part of the transaction like any other:
// it conflicts with the other plugin's writes, and is tracked under its full key.

// GetShared implements abi.Host.
func (c *Call) GetShared(plugin string, key []byte) ([]byte, bool, error) {
	switch {
	case c.txn == nil || !c.plugin.reads(plugin):
		return nil, false, abi.ErrDenied
	case len(key) == 0 || len(key) > maxKey:
		return nil, false, abi.ErrKey
	}
	c.key = appendKey(c.key[:0], plugin, key)
	return c.get(c.key)
}

// ScanShared implements abi.Host.
func (c *Call) ScanShared(plugin string, r abi.Range) (abi.Page, error) {
	if c.txn == nil || !c.plugin.reads(plugin) {
		return abi.Page{}, abi.ErrDenied
	}
	return c.scan(plugin, r)
}

// reads tells whether the plugin may read the key space of another one. In front of
// the keys of a plugin without a name would be those of the host.
func (p *Plugin) reads(other string) bool {
	if other == "" {
		return false
	}
	for _, g := range p.Grants {
		if name, ok := strings.CutPrefix(g, abi.GrantRead); ok && name == other {
			return true
		}
	}
	return false
}

// appendKey appends the full key of an entry of a plugin.
func appendKey(dst []byte, plugin string, key []byte) []byte {
	return append(append(append(dst, plugin...), 0), key...)
}
