package edge

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// A published is a transaction that keeps what is published; nothing else of it is
// called.
type published struct {
	store.Txn
	records [][]byte
}

func (p *published) Publish(record []byte) error {
	p.records = append(p.records, bytes.Clone(record))
	return nil
}

func encoded(m abi.Message) abi.Value {
	var w abi.Writer
	m.Append(&w)
	return w.Value()
}

func TestPublishCarriesWhoseMessageItIs(t *testing.T) {
	var c Call
	var txn published
	p := &Plugin{Name: "chat", Grants: []string{abi.GrantEvents}, Log: slog.New(slog.DiscardHandler)}
	c.Start(context.Background(), p, "r1")
	c.Connection, c.Subscription = "conn", "offer"
	c.Begin(&txn)
	if err := c.Publish(encoded(abi.Message{Op: abi.OpJoin, To: []string{"a"}, Rooms: []string{"b"}})); err != nil || c.Subscribed {
		t.Fatal(err, c.Subscribed)
	}
	if err := c.Publish(encoded(abi.Message{Op: abi.OpSubscribe, To: []string{"conn"}})); err != nil || !c.Subscribed {
		t.Fatal(err, c.Subscribed)
	}
	if err := c.Publish(encoded(abi.Message{Op: abi.OpSubscribe, To: []string{"conn"}})); !errors.Is(err, abi.ErrArgument) {
		t.Fatal("a call subscribes twice:", err)
	}
	if len(txn.records) != 2 {
		t.Fatalf("%d records", len(txn.records))
	}
	got, err := ReadPublication(txn.records[0])
	if err != nil || got.Plugin != "chat" || got.Subscription != "offer" || got.Message.Op != abi.OpJoin || got.Message.Rooms[0] != "b" {
		t.Fatalf("%+v, %v", got, err)
	}
	// A second run has subscribed nobody yet.
	c.Begin(&txn)
	if c.Subscribed {
		t.Error("the subscription of the run before is left")
	}
}

func TestPublishIsRefused(t *testing.T) {
	emit := encoded(abi.Message{Op: abi.OpEmit, To: []string{"a"}})
	for name, c := range map[string]struct {
		message abi.Value
		grants  []string
		change  func(*Call)
		want    error
	}{
		"without the grant":              {message: emit, grants: []string{abi.GrantKV}, want: abi.ErrDenied},
		"in a call that only reads":      {message: emit, change: func(c *Call) { c.ReadOnly = true }, want: abi.ErrReadOnly},
		"of what is no message":          {message: abi.Value{0x01}, want: abi.ErrArgument},
		"for another's connection":       {message: encoded(abi.Message{Op: abi.OpSubscribe, To: []string{"other"}}), want: abi.ErrArgument},
		"for one's own and another's":    {message: encoded(abi.Message{Op: abi.OpSubscribe, To: []string{"conn", "other"}}), want: abi.ErrArgument},
		"for a connection without a one": {message: encoded(abi.Message{Op: abi.OpSubscribe, To: []string{"conn"}}), change: func(c *Call) { c.Connection = "" }, want: abi.ErrArgument},
		"of too many": {message: emit, change: func(c *Call) {
			for range abi.MaxMessages {
				if err := c.Publish(emit); err != nil {
					t.Fatal(err)
				}
			}
		}, want: abi.ErrTooLarge},
		"of too much": {message: make(abi.Value, abi.MaxMessageSize+1), want: abi.ErrTooLarge},
	} {
		var call Call
		if c.grants == nil {
			c.grants = []string{abi.GrantEvents}
		}
		call.Start(context.Background(), &Plugin{Name: "chat", Grants: c.grants, Log: slog.New(slog.DiscardHandler)}, "r1")
		call.Connection = "conn"
		call.Begin(new(published))
		if c.change != nil {
			c.change(&call)
		}
		if err := call.Publish(c.message); !errors.Is(err, c.want) {
			t.Errorf("publish %s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := ReadPublication([]byte{0x91, 0x01}); err == nil {
		t.Error("what is no publication is read")
	}
}
