// Package mail delivers what plugins dispatch by SMTP, to one server that takes it from
// here: a relay, or the mail service of the operator.
package mail

import (
	"context"
	netmail "net/mail"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
)

// attemptTime bounds an attempt, whatever its context allows. It is generous: who gives
// up on a server that has the whole message but has not said so yet sends it twice.
const attemptTime = 2 * time.Minute

// A Transport delivers mails through one server. It keeps connections for a while.
type Transport struct {
	pool *pool
	from *netmail.Address
	own  bool // the pool ends with it
}

var _ outbox.Transport = (*Transport)(nil)

// New makes a transport. It does not connect yet.
func New(c Config) (*Transport, error) {
	from, err := parseFrom(c.From)
	if err != nil {
		return nil, err
	}
	pool, err := newPool(c)
	if err != nil {
		return nil, err
	}
	return &Transport{pool: pool, from: from, own: true}, nil
}

// From returns a transport for mails from another address, "Name <address@example.com>"
// or an address alone, that goes through the connections of t. Closing it leaves t as it
// is; with t, it is closed.
func (t *Transport) From(address string) (outbox.Transport, error) {
	from, err := parseFrom(address)
	if err != nil {
		return nil, err
	}
	return &Transport{pool: t.pool, from: from}, nil
}

// Deliver implements outbox.Transport.
func (t *Transport) Deliver(ctx context.Context, m *outbox.Message) error {
	to, err := parseRecipient(m.To)
	if err != nil {
		return outbox.Refused("mail: %v", err)
	}
	mail, err := compose(t.from, to, m)
	if err != nil {
		return outbox.Refused("mail: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	return t.pool.send(ctx, t.from.Address, to, mail)
}

// Close implements outbox.Transport.
func (t *Transport) Close() error {
	if t.own {
		t.pool.close()
	}
	return nil
}
