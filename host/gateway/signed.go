package gateway

import (
	"errors"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// A request that is its own credential, such as one that is signed, is checked
// within its own transaction, before its plugin runs. So the check can write: that
// it has seen a signature is committed together with what the request changes, in
// one commit, and of two copies that arrive at once one conflicts with the other,
// runs again, and is found out.

// isSigned tells whether the request is its own credential.
func (x *exchange) isSigned() bool { return x.signed.Kind != "" }

// writeCheckFrame writes what the check is told: all that was sent, credentials
// included, but of the body only the fields of a form. The rest it knows by its
// digest.
func (x *exchange) writeCheckFrame() {
	q := x.ask
	q.Kind, q.Route, q.Params = abi.CallAuthenticate, 0, nil
	q.Method = string(x.ctx.Method())
	q.Target = unsafeString(x.ctx.RequestURI())
	q.Credential = x.signed
	q.Query = abi.Pairs(x.query)
	x.pairs.Reset(x.allHeaders)
	x.pairs.Array()
	for name, value := range x.ctx.Request.Header.All() {
		x.pairs.TextBytes(name)
		x.pairs.TextBytes(value)
	}
	x.pairs.End()
	x.allHeaders = x.pairs.Value()
	q.Headers = abi.Pairs(x.allHeaders)
	if q.BodyKind != abi.BodyForm {
		q.Body = nil
	}
	x.writer.Reset(x.checkFrame)
	q.Append(&x.writer)
	x.checkFrame = x.writer.Value()
}

// checkSigned finds out who makes the request, in its transaction.
func (x *exchange) checkSigned(txn store.Txn) error {
	a := x.site.authenticator
	if a.plugin == x.route.plugin {
		if err := x.lease(true); err != nil {
			return err
		}
	}
	lease, err := a.instance(x)
	if err != nil {
		return err
	}
	defer a.release(x, lease)
	x.check.Start(&x.life, a.plugin.Edge, unsafeString(x.id))
	x.check.TrackWrites = true
	x.giveBody(&x.check)
	x.check.Begin(txn)
	if x.caller, err = a.call(x, lease, x.checkFrame); err != nil {
		return err
	}
	if x.counted {
		return nil
	}
	x.counted = true
	return x.countCaller(&x.caller)
}

// keepCheck commits what the check of a request wrote that its plugin refused and
// that was rolled back: its signature has been seen all the same. One that failed
// for reasons that are not the client's leaves no trace, and may be sent again as
// it is. A check that now comes to another result has the last word.
func (x *exchange) keepCheck(space string) error {
	if len(x.check.Writes) == 0 && x.check.Dispatched == 0 || x.answer.Status >= 500 {
		return nil
	}
	runs := 0
	err := store.Repeat(&x.life, x.gateway.store, space, func(txn store.Txn) error {
		runs++
		return x.checkSigned(txn)
	})
	x.retries += max(0, runs-1)
	if err == nil || errors.Is(err, store.ErrCommitUnknown) {
		x.forget(x.check.Writes)
		x.check.Delivered()
	}
	return err
}

// parameter returns a parameter of the query or of a form in the body.
func (x *exchange) parameter(name string) (value []byte, err error) {
	if value = x.ctx.QueryArgs().Peek(name); len(value) > 0 {
		return value, nil
	}
	if !x.takesForm() {
		return nil, nil
	}
	if err := x.readBody(); err != nil {
		return nil, err
	}
	if x.ask.BodyKind == abi.BodyForm {
		abi.Pairs(x.ask.Body).Each(func(n, v []byte) bool {
			if string(n) == name {
				value = v
			}
			return value == nil
		})
	}
	return value, nil
}
