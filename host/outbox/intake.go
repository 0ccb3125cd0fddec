package outbox

import (
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// An Intake takes what the plugins of a version of a deployment dispatch. It is an
// edge.Outbox.
type Intake struct {
	outbox     *Outbox
	deployment string
	ways       Channels
	limits     Limits
}

// For returns what takes the dispatches of a version of a deployment that delivers in
// these ways.
func (o *Outbox) For(deployment string, ways Channels, limits Limits) *Intake {
	return &Intake{outbox: o, deployment: deployment, ways: ways, limits: limits.withDefaults()}
}

// Add implements edge.Outbox. What is dispatched too late is taken, too: the plugin is
// told that it was.
func (in *Intake) Add(txn store.Txn, plugin string, d *abi.Dispatch, at time.Time) (added bool, err error) {
	key := makeID(in.deployment, plugin, d.Key)
	if _, found, err := txn.Get(entryKey(key)); err != nil || found {
		return false, err
	}
	if in.ways[d.Via] == nil {
		return false, abi.ErrDenied
	}
	if in.outbox.queued(in.deployment) >= int64(in.limits.Queue) {
		return false, abi.ErrLimited
	}
	if ok, err := admit(txn, d.Via, d.To, in.limits.PerRecipient, at); err != nil {
		return false, err
	} else if !ok {
		return false, abi.ErrLimited
	}
	var message abi.Writer
	d.Append(&message)
	r := &record{
		id: key, plugin: plugin, key: d.Key, via: d.Via, to: d.To, subject: d.Subject, state: StateQueued,
		created: at.UnixMicro(), due: time.Now().UnixMicro(), message: message.Value(),
	}
	r.until = r.created + micros(in.limits.GiveUp)
	if d.Until > 0 {
		r.until = min(r.until, d.Until)
	}
	return true, r.save(txn, nil, in.outbox.config.keep)
}

// Added implements edge.Outbox.
func (in *Intake) Added(n int) {
	in.outbox.count(in.deployment, int64(n))
	for via := range in.ways {
		in.outbox.wake(in.deployment, via, false)
	}
}
