package abi

// A Reply is the frame that a guest returns: [status, headers, kind, body].
// Status and headers of BodyError, BodyRefusal and BodyCaller replies
// count as well.
type Reply struct {
	Status   int
	Headers  Pairs // nil: none
	BodyKind BodyKind
	Body     Value // BodyRaw, BodyBlob: a byte string; BodyError and BodyRefusal: [code, message, detail]; BodyCaller: a Caller
}

const replyFields = 4

// Append writes the frame.
func (p *Reply) Append(w *Writer) {
	w.FixedArray(replyFields)
	w.Int(int64(p.Status))
	w.Raw(Value(p.Headers))
	w.Int(int64(p.BodyKind))
	w.Raw(p.Body)
}

// ReadReply takes a frame apart and checks it: it comes from an untrusted
// guest. The body is known to be well-formed afterwards.
func ReadReply(frame []byte, p *Reply) error {
	r := Value(frame).Read()
	n := r.Array()
	if n < replyFields {
		return ErrFrame
	}
	p.Status = int(r.Int())
	p.Headers = nil
	if h := r.Value(); !h.IsNil() {
		pairs := h.Read()
		n := pairs.Array()
		for range n {
			pairs.TextBytes()
		}
		if n%2 != 0 || !pairs.Done() {
			return ErrFrame
		}
		p.Headers = Pairs(h)
	}
	p.BodyKind = BodyKind(r.byte())
	body, rest := splitValue(r.rest())
	if r.failed || body == nil {
		return ErrFrame
	}
	p.Body = body
	r.pos = len(r.buf) - len(rest)
	r.Skip(n - replyFields)
	if !r.Done() || p.Status < 0 || p.Status > 999 {
		return ErrFrame
	}
	switch p.BodyKind {
	case BodyNone, BodyValue, BodyCaller, BodyError, BodyRefusal, BodyPlist, BodyXML:
	case BodyBlob:
		if id, _ := body.Bytes(); len(id) != len(BlobID{}) {
			return ErrFrame
		}
	case BodyEvents:
		if !validEvents(body) {
			return ErrFrame
		}
	case BodyRaw:
		if body.Kind() != Bytes {
			return ErrFrame
		}
	default:
		return ErrFrame
	}
	return nil
}

// validEvents tells whether a body is an array of records [event, id, data].
func validEvents(body Value) bool {
	if body.Kind() != Array {
		return false
	}
	for it := body.Items(); it.Next(); {
		r := it.Value().Read()
		n := r.Array()
		name, id := r.TextShared(), r.TextShared()
		r.Skip(n - 2)
		if n < 3 || !r.Done() || !ValidEventName(name) || !validEventID(id) {
			return false
		}
	}
	return true
}

func splitValue(b []byte) (Value, []byte) {
	rest, ok := valid(b, MaxDepth)
	if !ok {
		return nil, nil
	}
	return b[:len(b)-len(rest)], rest
}

// An Error is a refusal in a form that every API family can render as its own.
type Error struct {
	Status  int    // HTTP status
	Code    string // stable, for programs
	Message string // for people
	Detail  Value  // where it applies, or more of what is known; may be absent
}

const errorFields = 3

// Error makes *Error an error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Append writes the error as the body of a reply.
func (e *Error) Append(w *Writer) {
	w.FixedArray(errorFields)
	w.Text(e.Code)
	w.Text(e.Message)
	w.Raw(e.Detail)
}

// ReadError reads the body of a BodyError or BodyRefusal reply.
func ReadError(status int, body Value) (*Error, error) {
	r := body.Read()
	n := r.Array()
	if n < errorFields {
		return nil, ErrFrame
	}
	e := &Error{Status: status, Code: r.Text(), Message: r.Text(), Detail: r.Value()}
	r.Skip(n - errorFields)
	if !r.Done() {
		return nil, ErrFrame
	}
	return e, nil
}

// AppendCaller writes a caller as the body of a BodyCaller reply.
func AppendCaller(w *Writer, c *Caller) { c.append(w) }
