package guesttest

import (
	"bytes"
	"slices"

	"github.com/edgeset/edgeset/abi"
)

// Dispatch implements abi.Host.
func (x *txn) Dispatch(record abi.Value) error {
	if x.readOnly {
		return abi.ErrReadOnly
	}
	d, err := abi.ReadDispatch(bytes.Clone(record))
	known := func(o *abi.Dispatch) bool { return o.Key == d.Key }
	switch {
	case err != nil:
		return abi.ErrArgument
	case slices.Contains(x.Undelivered, d.Via):
		return abi.ErrDenied
	case slices.Contains(x.Limited, d.To):
		return abi.ErrLimited
	case len(x.dispatched) == abi.MaxDispatches:
		return abi.ErrTooLarge
	case slices.ContainsFunc(x.Outbox, known) || slices.ContainsFunc(x.dispatched, known):
		return nil
	}
	x.dispatched = append(x.dispatched, d)
	return nil
}

// Tell tells the plugin what became of a dispatch. What it writes is kept if it returns
// no error.
func (c *Client) Tell(o abi.Outcome) error {
	c.t.Helper()
	var body, w abi.Writer
	o.Append(&body)
	(&abi.Request{Kind: abi.CallOutcome, BodyKind: abi.BodyValue, Body: body.Value(), Time: c.Host.Now.UnixMicro(), ID: "test"}).Append(&w)
	txn := c.Host.begin(false)
	frame, err := c.call.Do(txn, w.Value())
	if err != nil {
		return err
	}
	var reply abi.Reply
	if err := abi.ReadReply(bytes.Clone(frame), &reply); err != nil {
		return err
	}
	if reply.BodyKind == abi.BodyError {
		refusal, err := abi.ReadError(reply.Status, reply.Body)
		if err != nil {
			return err
		}
		return refusal
	}
	txn.commit()
	return nil
}
