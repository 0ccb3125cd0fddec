package guest

import (
	"errors"

	"github.com/edgeset/edgeset/abi"
)

// A Call is the room in which a plugin answers one call after the other: the
// request taken apart, and the buffers of the reply. It is reused, and serves
// one call at a time.
type Call struct {
	plugin *Plugin
	req    Request
	resp   Response
	body   abi.Writer
	out    abi.Writer
	bodyB  []byte
	outB   []byte
}

// NewCall makes the room for calls of p. It is for hosts that run a plugin
// natively; in a Wasm plugin, Serve does it.
func (p *Plugin) NewCall() *Call { return &Call{plugin: p} }

// Do answers one request frame with a reply frame, which is valid until the
// next Do. It fails only if the frame is not what the contract says.
func (c *Call) Do(host abi.Host, frame []byte) ([]byte, error) {
	q := &c.req
	if err := abi.ReadRequest(frame, &q.raw); err != nil {
		return nil, err
	}
	q.kv.host, q.host = host, host
	q.plugin = c.plugin
	q.caller = abi.Caller{}
	c.body.Reset(c.bodyB)
	c.resp.reset(&c.body)

	var err error
	switch q.raw.Kind {
	case abi.CallDescribe:
		c.plugin.desc.Append(&c.body)
		c.resp.kind = abi.BodyValue
	case abi.CallAuthenticate:
		err = c.authenticate()
	case abi.CallMigrate:
		err = c.migrate()
	case abi.CallOutcome:
		err = c.tell()
	case abi.CallRequest, abi.CallEvent:
		handle := c.plugin.handler(q.raw.Kind, q.raw.Route)
		if handle == nil {
			return nil, abi.ErrFrame
		}
		if q.caller, err = abi.ReadCaller(q.raw.Caller); err == nil {
			err = handle(&c.resp, q)
		}
	default:
		return nil, abi.ErrFrame
	}
	if c.resp.kind == abi.BodyEvents {
		c.body.EndAll()
	}
	if err != nil {
		c.refuse(err)
	}
	c.bodyB = c.body.Value()
	return c.reply(), nil
}

func (c *Call) authenticate() error {
	if c.plugin.auth == nil {
		return abi.ErrFrame
	}
	cred, err := abi.ReadCredential(c.req.raw.Credential)
	if err != nil {
		return err
	}
	caller, err := c.plugin.auth(&c.req, cred)
	if err != nil {
		return err
	}
	abi.AppendCaller(&c.body, &caller)
	c.resp.kind = abi.BodyCaller
	return nil
}

// refuse makes the reply an error.
func (c *Call) refuse(err error) {
	var e *Error
	if !errors.As(err, &e) {
		c.req.Logf(abi.LogError, "%s %s: %v", c.req.raw.Method, c.req.raw.Path, err)
		e = &Error{Status: 500, Code: "internal", Message: "The plugin failed to answer; the operator's log says why."}
	}
	c.body.Reset(c.body.Value())
	e.Append(&c.body)
	c.resp.status, c.resp.kind = e.Status, abi.BodyError
}

func (c *Call) reply() []byte {
	c.out.Reset(c.outB)
	r := abi.Reply{Status: c.resp.status, BodyKind: c.resp.kind, Body: c.body.Value()}
	if r.Status == 0 {
		r.Status = 200
	}
	if c.resp.headers.Len() > 0 {
		c.resp.headers.EndAll()
		r.Headers = abi.Pairs(c.resp.headers.Value())
	}
	if r.BodyKind == abi.BodyNone {
		r.Body = nil
	}
	r.Append(&c.out)
	c.outB = c.out.Value()
	return c.outB
}
