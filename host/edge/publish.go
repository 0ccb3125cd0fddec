package edge

import "github.com/edgeset/edgeset/abi"

// A Publication is a message as it is handed to the store: whose it is, and, of a
// message that subscribes, the subscription that it makes.
type Publication struct {
	Plugin       string
	Subscription string
	Message      *abi.Message
}

// Publish implements abi.Host.
func (c *Call) Publish(message abi.Value) error {
	switch {
	case c.txn == nil || !c.plugin.granted(abi.GrantEvents):
		return abi.ErrDenied
	case c.ReadOnly:
		return abi.ErrReadOnly
	}
	if c.said++; c.said > abi.MaxMessages {
		return abi.ErrTooLarge
	}
	if c.saidB += len(message); c.saidB > abi.MaxMessageSize {
		return abi.ErrTooLarge
	}
	m, err := abi.ReadMessage(message)
	if err != nil {
		return abi.ErrArgument
	}
	if m.Op == abi.OpSubscribe {
		// The caller's credential vouches for this connection and no other.
		if c.Connection == "" || c.Subscribed || len(m.To) != 1 || m.To[0] != c.Connection {
			return abi.ErrArgument
		}
		c.Subscribed = true
	}
	var w abi.Writer
	w.Reset(make([]byte, 0, len(message)+len(c.plugin.Name)+len(c.Subscription)+16))
	w.FixedArray(3)
	w.Text(c.plugin.Name)
	w.Text(c.Subscription)
	w.Raw(message)
	return c.storeError(c.txn.Publish(w.Value()))
}

// ReadPublication reads what Publish has handed to the store. Its texts share the
// memory of record.
func ReadPublication(record []byte) (p Publication, err error) {
	r := abi.Value(record).Read()
	if r.Array() != 3 {
		return p, abi.ErrFrame
	}
	p.Plugin, p.Subscription = r.TextShared(), r.TextShared()
	if message := r.Value(); r.Done() {
		p.Message, err = abi.ReadMessage(message)
		return p, err
	}
	return p, abi.ErrFrame
}
