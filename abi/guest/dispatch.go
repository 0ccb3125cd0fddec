package guest

import "github.com/edgeset/edgeset/abi"

// Dispatch has what d says delivered, once the transaction of this request is
// committed. See abi.Host for what it fails with.
func (r *Request) Dispatch(d *abi.Dispatch) error {
	r.out.Reset(r.out.Value())
	d.Append(&r.out)
	return r.host.Dispatch(r.out.Value())
}

// An OutcomeHandler is told what became of a dispatch. Of the Request there are the
// key space, settings, the time, the log, and what else a handler of a request may do:
// it can publish, and dispatch more. What it writes is kept if it returns no error;
// otherwise it is told again later.
type OutcomeHandler func(r *Request, o *abi.Outcome) error

// Outcomes has the plugin told what became of what it has dispatched.
func (p *Plugin) Outcomes(fn OutcomeHandler) { p.outcome, p.desc.Outcomes = fn, true }

// tell tells the plugin of an outcome.
func (c *Call) tell() error {
	if c.plugin.outcome == nil {
		return abi.ErrFrame
	}
	o, err := abi.ReadOutcome(c.req.Body())
	if err != nil {
		return err
	}
	return c.plugin.outcome(&c.req, o)
}
