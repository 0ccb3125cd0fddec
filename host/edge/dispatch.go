package edge

import (
	"errors"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// An Outbox takes what plugins of a deployment dispatch.
type Outbox interface {
	// Add puts a dispatch of a plugin into the outbox, within its transaction, and tells
	// whether it was not there before. It fails with abi.ErrDenied if there is no way to
	// deliver it, with abi.ErrLimited, and with errors of the store.
	Add(txn store.Txn, plugin string, d *abi.Dispatch, at time.Time) (added bool, err error)
	// Added tells that so many were added by a transaction that was committed, or may
	// have been.
	Added(n int)
}

// Dispatch implements abi.Host.
func (c *Call) Dispatch(record abi.Value) error {
	if c.txn == nil || c.plugin.Outbox == nil {
		return abi.ErrDenied
	}
	if c.ReadOnly {
		return abi.ErrReadOnly
	}
	if c.dispatches++; c.dispatches > abi.MaxDispatches {
		return abi.ErrTooLarge
	}
	d, err := abi.ReadDispatch(record)
	switch {
	case err != nil:
		return abi.ErrArgument
	case !c.plugin.granted(d.Via):
		return abi.ErrDenied
	}
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	added, err := c.plugin.Outbox.Add(c.txn, c.plugin.Name, d, at)
	for _, refusal := range []error{abi.ErrDenied, abi.ErrLimited, abi.ErrArgument} {
		if errors.Is(err, refusal) {
			return refusal
		}
	}
	if err != nil {
		return c.storeError(err)
	}
	if added {
		c.Dispatched++
	}
	return nil
}

// Delivered tells the outbox that what the call has dispatched may be on its way: its
// transaction was committed, or may have been.
func (c *Call) Delivered() {
	if c.Dispatched > 0 {
		c.plugin.Outbox.Added(c.Dispatched)
		c.Dispatched = 0
	}
}
