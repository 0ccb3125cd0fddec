package main_test

import (
	"errors"
	"fmt"
	"time"
)

// A device uploads to a ticket.
type device struct {
	client *client // with the device's token
	ticket string
	trail  *trail
	// leaves says that an upload whose answer was lost is left at that. Otherwise
	// it is sent again, which must not store it twice.
	leaves bool
	// deferred counts uploads that the server was too busy for.
	deferred int
}

// errOffline says that the connection failed, which it does while a server is
// down.
var errOffline = errors.New("offline")

// send uploads a batch once.
func (d *device) send(b *batch, params ...string) (reply, error) {
	r, err := d.client.call("POST", "/v2/tickets/"+d.ticket+"/append_location", b.rows(), params...)
	if err != nil {
		return r, fmt.Errorf("%w: %w", errOffline, err)
	}
	if err := r.failure(); err != nil {
		return r, err
	}
	d.trail.acknowledge(b)
	return r, nil
}

// upload uploads n new points, and keeps at it while the server is down, or asks
// it to come back later.
func (d *device) upload(n int) error {
	b, lost := d.trail.draw(n), false
	for begin := time.Now(); time.Since(begin) < startTime+stopTime; {
		r, err := d.send(b)
		switch {
		case err == nil:
			if stored := r.int("response.stored"); stored != int64(n) && !(lost && stored == 0) {
				return fmt.Errorf("%v\nwant %d stored", r, n)
			}
			return nil
		case errors.Is(err, errOffline):
			if d.leaves {
				return nil
			}
			lost = true
			time.Sleep(20 * time.Millisecond)
		case r.refusal(503, "busy") == nil && r.header.Get("Retry-After") == "1":
			d.deferred++
			time.Sleep(time.Second)
		default:
			return err
		}
	}
	return fmt.Errorf("POST append_location: not stored within %v", startTime+stopTime)
}
