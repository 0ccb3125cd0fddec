package guesttest

import "github.com/edgeset/edgeset/abi"

// Share lets the plugin of h read the key space of another plugin, which other keeps,
// as the grant "read:" and its name would.
func (h *Host) Share(plugin string, other *Host) {
	if h.shared == nil {
		h.shared = map[string]*Host{}
	}
	h.shared[plugin] = other
}

// GetShared implements abi.Host.
func (x *txn) GetShared(plugin string, key []byte) ([]byte, bool, error) {
	other := x.shared[plugin]
	if other == nil {
		return nil, false, abi.ErrDenied
	}
	if err := checkKey(key, 0); err != nil {
		return nil, false, err
	}
	e, ok := other.entries[string(key)]
	if !ok || !e.live(x.Now) {
		return nil, false, nil
	}
	return e.value, true, nil
}

// ScanShared implements abi.Host.
func (x *txn) ScanShared(plugin string, r abi.Range) (abi.Page, error) {
	other := x.shared[plugin]
	if other == nil {
		return abi.Page{}, abi.ErrDenied
	}
	return scan(other.entries, x.Now, r), nil
}
