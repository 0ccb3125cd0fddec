package gateway

import (
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
)

// errRefused rolls a transaction back whose plugin answered with an error. The
// answer is kept.
var errRefused = errors.New("gateway: the plugin refused")

// commit runs the plugin in a transaction until it is committed.
func (x *exchange) commit() error {
	r := x.route
	space := x.site.deployment.Spec.Name
	x.call.Start(&x.life, r.plugin.Edge, unsafeString(x.id))
	x.call.At = x.at
	if x.stream != nil {
		x.call.Connection, x.call.Subscription = x.stream.id, x.stream.offer
	}
	x.call.TrackWrites, x.call.ReadOnly = x.isRestedOn(r.plugin.Spec.Name), !r.Write
	x.giveBody(&x.call)
	x.call.Upload(x.files)
	for run := 1; ; run++ {
		var err error
		if r.Write || x.isSigned() {
			err = x.update(space, run)
		} else {
			err = x.view(space)
		}
		if err == nil || errors.Is(err, store.ErrCommitUnknown) {
			x.forget(x.call.Writes)
			if x.isSigned() {
				x.forget(x.check.Writes)
				x.check.Delivered()
			}
			x.call.Delivered()
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errRefused):
			if x.isSigned() {
				return x.keepCheck(space)
			}
			return nil
		case errors.Is(err, edge.ErrUnprepared):
			if err := x.call.Prepare(); err != nil {
				return err
			}
			run-- // it has met nobody
		case errors.Is(err, store.ErrConflict) && run < store.MaxRuns:
			x.retries++
			if err := store.BackOff(&x.life, run); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// isRestedOn tells whether answers that any of the versions remembers may rest on what
// the plugin writes: that of the request, and those that serve by now.
func (x *exchange) isRestedOn(plugin string) bool {
	if x.site.authenticator.restsOn(plugin) {
		return true
	}
	svc := x.gateway.table.Load().byName(x.site.deployment.Spec.Name)
	return svc != nil && (svc.authenticator.restsOn(plugin) || svc.canary != nil && svc.canary.authenticator.restsOn(plugin))
}

// forget drops the cached answers that rest on keys that were just committed:
// those of the site that the request came to, and those of the sites that serve by
// now. One that serves later has asked nothing before the commit.
func (x *exchange) forget(keys [][]byte) {
	if len(keys) > 0 {
		if a := x.site.authenticator; a != nil {
			a.cache.forget(keys)
		}
		x.gateway.Written(x.site.deployment.Spec.Name, keys)
	}
}

// view makes one run that only reads.
func (x *exchange) view(space string) error {
	if err := x.lease(true); err != nil {
		return err
	}
	return x.gateway.store.View(&x.life, space, x.run)
}

// update makes one run that may write, in its turn.
func (x *exchange) update(space string, run int) error {
	share := int64(beside)
	if run > patience {
		share = alone
	}
	turn, err := x.turn(share)
	if err != nil {
		return err
	}
	defer turn.done()
	if err := x.lease(true); err != nil {
		return err
	}
	return x.gateway.store.Update(&x.life, space, x.run)
}

// transact is one run.
func (x *exchange) transact(txn store.Txn) error {
	var err error
	if x.settle != nil {
		if err = x.settle(txn); err != nil {
			return err
		}
	}
	if x.isSigned() {
		if err = x.checkSigned(txn); err != nil {
			return err
		}
		x.writeFrame()
	}
	x.call.Begin(txn)
	if x.route.function != "" {
		x.reply, err = x.invokeExtism()
	} else {
		var fuel uint64
		x.reply, fuel, err = x.leased.Call(&x.life, &x.call, x.frame, x.reply[:0])
		x.release() // the commit may take longer than the call
		x.spend(fuel, &x.route.metrics.fuel)
	}
	// A plugin may have overlooked, or may hide, that the store failed.
	if failure := x.call.Failure(); failure != nil {
		return failure
	}
	if err != nil {
		return err
	}
	if err := abi.ReadReply(x.reply, &x.answer); err != nil {
		return err
	}
	if err := x.checkAnswer(); err != nil {
		return err
	}
	switch x.answer.BodyKind {
	case abi.BodyError:
		return errRefused
	case abi.BodyBlob:
		return x.findBlob()
	}
	return nil
}

// spend counts fuel that a plugin has spent on the request.
func (x *exchange) spend(fuel uint64, counter interface{ Add(float64) }) {
	x.fuel += fuel
	counter.Add(float64(fuel))
}

// maxHeaders bounds the headers of an answer, in bytes of its frame: proxies and
// clients take little more.
const maxHeaders = 64 << 10

// checkAnswer finds what is wrong with an answer before its transaction is
// committed: what cannot be told to the client is not done either.
func (x *exchange) checkAnswer() error {
	a, name := &x.answer, x.route.plugin.Spec.Name
	if len(a.Headers) > maxHeaders {
		return fmt.Errorf("gateway: plugin %q answered with headers of %d bytes: at most %d are sent", name, len(a.Headers), maxHeaders)
	}
	switch a.BodyKind {
	case abi.BodyError, abi.BodyRefusal:
		if _, err := abi.ReadError(a.Status, a.Body); err != nil {
			return fmt.Errorf("gateway: plugin %q answered with an error: %w", name, err)
		}
		return nil // refuse puts the status right
	case abi.BodyCaller:
		return fmt.Errorf("gateway: plugin %q answered with a caller: %w", name, abi.ErrFrame)
	case abi.BodyEvents:
		if !x.route.Stream {
			return fmt.Errorf("gateway: plugin %q answered with events, and its route is no stream", name)
		}
	}
	if a.Status < 200 || a.Status > 599 {
		return fmt.Errorf("gateway: plugin %q answered with status %d: want 200 to 599", name, a.Status)
	}
	return nil
}
