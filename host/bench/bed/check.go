package bed

import (
	"errors"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
)

var errRollback = errors.New("bed: what was checked is not kept")

// Check returns a side that has the plugin signing check a credential, alone: an
// instance, a transaction, and the call. Nothing is committed, so that the same
// signature can be checked again.
func (b *Bed) Check(q *abi.Request) bench.Side {
	i := slices.IndexFunc(b.plugins, func(p *deploy.Plugin) bool { return p.Spec.Name == "signing" })
	plugin := b.plugins[i]
	var w abi.Writer
	q.Kind = abi.CallAuthenticate
	q.Append(&w)
	frame := w.Value()
	var call edge.Call
	var answer []byte
	ctx := b.tb.Context()
	call.Start(ctx, plugin.Edge, "check")
	return func(n int) {
		for range n {
			lease, err := plugin.Runner.Lease(ctx, true)
			must(b.tb, err)
			err = b.store.Update(ctx, space, func(txn store.Txn) (err error) {
				call.Begin(txn)
				if answer, _, err = lease.Call(ctx, &call, frame, answer[:0]); err != nil {
					return err
				}
				return errRollback
			})
			lease.Release()
			var reply abi.Reply
			if !errors.Is(err, errRollback) || abi.ReadReply(answer, &reply) != nil || reply.BodyKind != abi.BodyCaller {
				b.tb.Fatalf("check: %v, %q", err, answer)
			}
		}
	}
}
