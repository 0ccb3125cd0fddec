// Package outbox delivers what plugins dispatch: mails, and calls of webhooks.
//
// An entry is written in the transaction of the plugin's call, so nothing is sent that
// was not committed, and nothing that was committed is forgotten. The courier delivers
// it, at least once: what has arrived without that being noted, because the process was
// killed in between, goes again, under the same id. What became of it is noted first
// and then told to the plugin, in one transaction with the note that it was told.
//
// The entries of a deployment stand in its own space, beside the keys of its plugins and
// out of their reach.
package outbox

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// A Transport takes what is dispatched to where it goes. It is used by several
// goroutines.
type Transport interface {
	// Deliver returns nil when somebody else has taken the responsibility for the
	// message, and otherwise why not: a *Failure, or any error that another attempt may
	// not meet. It ends with ctx.
	Deliver(ctx context.Context, m *Message) error
	// Close ends connections. Nothing is delivered any more.
	Close() error
}

// A Message is one attempt to deliver an entry.
type Message struct {
	abi.Dispatch
	// ID is the same in each attempt, and another one for each entry: whoever has seen
	// it already has had the message. It has letters, digits, '-' and '_', and begins with
	// the entry's.
	ID         string
	Deployment string
	Plugin     string
	Attempt    int       // 1 is the first
	Created    time.Time // when it was dispatched
}

// A Failure says more of why a message could not be delivered.
type Failure struct {
	// Reason is told to the plugin, and to whom it works for: a line that says nothing of
	// where the operator's servers are. Detail is the same for operators, without what is
	// secret; empty: Reason says all.
	Reason    string
	Detail    string
	Permanent bool          // another attempt is of no use
	After     time.Duration // how long to wait with it, at least; 0: as one likes
}

func (f *Failure) Error() string {
	why := cmp.Or(f.Detail, f.Reason)
	if f.Permanent {
		why += " (for good)"
	}
	return why
}

// Failed makes a Failure that another attempt may not meet.
func Failed(format string, args ...any) *Failure {
	return &Failure{Reason: fmt.Sprintf(format, args...)}
}

// Refused makes a Failure for good.
func Refused(format string, args ...any) *Failure {
	return &Failure{Reason: fmt.Sprintf(format, args...), Permanent: true}
}

// Channels are the ways in which a deployment delivers, by what a Dispatch calls them in
// Via: "mail", "webhook:sms".
type Channels map[string]Transport

// Limits bound what a deployment delivers. What is 0 has its default.
type Limits struct {
	Rate         float64       // attempts a second, in the long run
	PerRecipient int           // dispatches to one recipient within an hour
	Queue        int           // entries that wait
	GiveUp       time.Duration // how long an entry is tried
}

// Deployments are what the courier knows of those that the host serves. It is asked
// anew for each attempt, so what is swapped counts at once.
type Deployments interface {
	// Channels returns how a deployment delivers, and its limits; false if it is not
	// served. done has to be called when the channels are not used any more: nothing of
	// them is closed before.
	Channels(deployment string) (ways Channels, limits Limits, done func(), served bool)
	// Tell has a plugin of a deployment handle an outcome, in a transaction of the
	// deployment's space that begins with settle; if settle or the plugin fails, nothing
	// is kept. Where no plugin wants to know of it, only settle is done.
	Tell(ctx context.Context, deployment, plugin string, o *abi.Outcome, settle func(store.Txn) error) error
}
