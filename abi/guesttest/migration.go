package guesttest

import (
	"bytes"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// batchLimit is how many entries a batch is to look at: few, so that a test with some
// entries needs a number of batches.
const batchLimit = 3

// Migrate has p bring what h keeps, of which the oldest data are of the version from,
// into its own format, batch by batch to the end. It returns how many entries p has
// looked at, and how many batches it took. What the batches before an error have
// written is kept.
func (h *Host) Migrate(p *guest.Plugin, from int) (done, batches int, err error) {
	call := p.NewCall()
	q := abi.Migration{From: from, To: p.Description().Schema.Version, Limit: batchLimit}
	for {
		b, err := h.batch(call, &q)
		if err != nil {
			return done, batches, fmt.Errorf("guesttest: batch behind cursor %q: %w", q.Cursor, err)
		}
		done, batches = done+b.Done, batches+1
		if b.Cursor == nil {
			return done, batches, nil
		}
		if bytes.Compare(b.Cursor, q.Cursor) <= 0 {
			return done, batches, fmt.Errorf("guesttest: cursor %q behind %q: want it to rise", b.Cursor, q.Cursor)
		}
		q.Cursor = bytes.Clone(b.Cursor)
	}
}

// batch makes one call in a transaction.
func (h *Host) batch(call *guest.Call, q *abi.Migration) (abi.Batch, error) {
	var body, w abi.Writer
	q.Append(&body)
	(&abi.Request{Kind: abi.CallMigrate, BodyKind: abi.BodyValue, Body: body.Value(), Time: h.Now.UnixMicro(), ID: "test"}).Append(&w)
	txn := h.begin(false)
	frame, err := call.Do(txn, w.Value())
	if err != nil {
		return abi.Batch{}, err
	}
	var reply abi.Reply
	if err := abi.ReadReply(bytes.Clone(frame), &reply); err != nil {
		return abi.Batch{}, err
	}
	if reply.BodyKind == abi.BodyError {
		refusal, err := abi.ReadError(reply.Status, reply.Body)
		if err != nil {
			return abi.Batch{}, err
		}
		return abi.Batch{}, refusal
	}
	b, err := abi.ReadBatch(reply.Body)
	if err == nil {
		txn.commit()
	}
	return b, err
}
