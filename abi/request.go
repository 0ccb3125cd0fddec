package abi

import (
	"errors"
	"unsafe"
)

// BodyKind tells what the body of a frame holds.
type BodyKind uint8

const (
	BodyNone    BodyKind = iota
	BodyValue            // a value: parsed from JSON, or to be rendered as text by the host
	BodyRaw              // bytes as they are
	BodyForm             // pairs of form fields
	BodyError            // of a reply: an Error, to be rendered in the family's form
	BodyCaller           // of a reply to CallAuthenticate: a Caller
	BodyRefusal          // of a reply: like BodyError, but what the call wrote is committed
	BodyEvents           // of a reply on a stream: an array of records [event, id, data]
	BodyPlist            // of a reply: a value, to be rendered as a property list
	BodyXML              // of a reply: an element, to be rendered as an XML document
	BodyBlob             // of a reply: the id of a blob, which the host sends
)

// Pairs is a list of names and values, kept as the MessagePack array
// [name, value, name, value, …] and searched where it stands. It holds query
// parameters, form fields or headers, decoded, in the order in which they came.
type Pairs Value

// Get returns the first value under name, and whether there is one.
func (p Pairs) Get(name string) (string, bool) {
	r := Value(p).Read()
	for n := r.Array(); n >= 2; n -= 2 {
		k, v := r.TextBytes(), r.TextBytes()
		if string(k) == name {
			return string(v), !r.failed
		}
	}
	return "", false
}

// GetFold is Get for names in which case does not matter, as in headers.
func (p Pairs) GetFold(name string) (string, bool) {
	r := Value(p).Read()
	for n := r.Array(); n >= 2; n -= 2 {
		k, v := r.TextBytes(), r.TextBytes()
		if equalFold(k, name) {
			return string(v), !r.failed
		}
	}
	return "", false
}

// Each calls fn with every pair until it returns false. The bytes are valid
// during the call.
func (p Pairs) Each(fn func(name, value []byte) bool) {
	r := Value(p).Read()
	for n := r.Array(); n >= 2 && !r.failed; n -= 2 {
		k, v := r.TextBytes(), r.TextBytes()
		if r.failed || !fn(k, v) {
			return
		}
	}
}

func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		x, y := b[i], s[i]
		if x == y {
			continue
		}
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

// A Caller is who makes a request, as the credential check found it. The zero
// Caller is nobody.
type Caller struct {
	Account string // the account's id, "" if the credential stands for an application alone
	App     string // the application's public id
	Proof   string // what proved it: the kind of the credential
	Token   string // an id of the token or session, not the secret itself
	Expires int64  // when the proof ends, in microseconds since the epoch; 0: it does not
	Scheme  string // how the kind was proven, where there is more than one way: "md5", "ed25519"
	Name    string // under which others may see the account; "" if the check did not look

	// Limit is how many requests of the application the host lets through in any
	// Window, in seconds; 0: as many as come.
	Limit  int64
	Window int64
}

// IsZero tells whether c is nobody.
func (c *Caller) IsZero() bool { return c.Proof == "" }

func (c *Caller) append(w *Writer) {
	w.FixedArray(callerFields)
	w.Text(c.Account)
	w.Text(c.App)
	w.Text(c.Proof)
	w.Text(c.Token)
	w.Int(c.Expires)
	w.Text(c.Scheme)
	w.Text(c.Name)
	w.Int(c.Limit)
	w.Int(c.Window)
}

// readCaller reads a caller whose texts share the memory of the value.
func readCaller(r *Reader) (c Caller) {
	n := r.Array()
	if n < leastCallerFields {
		r.fail()
		return c
	}
	c.Account, c.App, c.Proof, c.Token, c.Expires = r.TextShared(), r.TextShared(), r.TextShared(), r.TextShared(), r.Int()
	if n < callerFields { // of a plugin that knows of no more
		r.Skip(n - leastCallerFields)
		return c
	}
	c.Scheme, c.Name, c.Limit, c.Window = r.TextShared(), r.TextShared(), r.Int(), r.Int()
	r.Skip(n - callerFields)
	return c
}

// A Credential is what a request shows of itself: a token, a session cookie, a
// signature.
type Credential struct {
	Kind  string // the kind under which the plugin declared where to find it
	Value string

	// Where it is shown. A check that is not told differently by these must
	// answer alike for all of them.
	Family string // prefix of the family of the route
	Origin string // web origin that the request comes from, as the browser says; "" if it does not
}

// A Request is the frame that a host sends. Its byte slices point into the
// frame.
type Request struct {
	Kind       CallKind
	Route      int      // index of the route in the plugin's Description; of CallEvent: of the event
	Method     string   //
	Path       string   // decoded
	Params     Value    // array of strings: what the pattern's parameters matched, in their order
	Query      Pairs    //
	Headers    Pairs    //
	BodyKind   BodyKind // BodyNone, BodyValue, BodyRaw or BodyForm
	Body       Value    // BodyValue: the value, or the array of an event's arguments; BodyForm: its Pairs; BodyRaw: the bytes
	Caller     Caller
	Credential Credential // of CallAuthenticate
	Time       int64      // the request's time, in microseconds since the epoch; a re-run has the same
	Remote     string     // the client's address, without a port
	ID         string     // the request's id, as in the log
	BaseURL    string     // scheme and host that the client used
	Target     string     // path and query as they were sent, credentials included: for a plugin that checks these
	AnyHost    bool       // nobody but the client says that BaseURL is a name of the deployment
	Connection string     // id of the socket that an event came over, or of the stream that a call may open
	Files      []File     // that were uploaded, beside the fields of a BodyForm
}

// How many elements the frames have. A reader takes more.
const (
	requestFields    = 19
	callerFields     = 9
	credentialFields = 4

	leastRequestFields    = 15 // what the first readers knew; later ones 17 and 18
	leastCallerFields     = 5
	leastCredentialFields = 2
)

// Append writes the frame.
func (q *Request) Append(w *Writer) {
	w.FixedArray(requestFields)
	w.Int(int64(q.Kind))
	w.Int(int64(q.Route))
	w.Text(q.Method)
	w.Text(q.Path)
	w.Raw(q.Params)
	// Wrapped as byte strings, so that a guest that does not look passes over
	// each in one step.
	w.Bytes(q.Query)
	w.Bytes(q.Headers)
	w.Int(int64(q.BodyKind))
	w.Bytes(q.Body)
	if q.Caller.IsZero() {
		w.Nil()
	} else {
		q.Caller.append(w)
	}
	if q.Credential.Kind == "" {
		w.Nil()
	} else {
		w.FixedArray(credentialFields)
		w.Text(q.Credential.Kind)
		w.Text(q.Credential.Value)
		w.Text(q.Credential.Family)
		w.Text(q.Credential.Origin)
	}
	w.Int(q.Time)
	w.Text(q.Remote)
	w.Text(q.ID)
	w.Text(q.BaseURL)
	w.Text(q.Target)
	w.Bool(q.AnyHost)
	w.Text(q.Connection)
	if len(q.Files) == 0 {
		w.Nil()
		return
	}
	w.FixedArray(len(q.Files))
	for i := range q.Files {
		q.Files[i].Append(w)
	}
}

// ErrFrame is returned for a frame that is not what the contract says.
var ErrFrame = errors.New("abi: malformed frame")

// RawRequest is a request frame taken apart, with its texts still in place:
// reading one allocates nothing.
type RawRequest struct {
	Kind       CallKind
	Route      int
	Method     []byte
	Path       []byte
	Params     Value
	Query      Pairs
	Headers    Pairs
	BodyKind   BodyKind
	Body       Value
	Caller     Value // null if there is none
	Credential Value // null if there is none
	Time       int64
	Remote     []byte
	ID         []byte
	BaseURL    []byte
	Target     []byte
	AnyHost    bool
	Connection []byte
	Files      Value // for ReadFiles
}

// ReadRequest takes a frame apart.
func ReadRequest(frame []byte, q *RawRequest) error {
	r := Value(frame).Read()
	n := r.Array()
	if n < leastRequestFields {
		return ErrFrame
	}
	q.Kind = CallKind(r.byte())
	q.Route = int(r.Int())
	q.Method = r.TextBytes()
	q.Path = r.TextBytes()
	q.Params = r.Value()
	q.Query = Pairs(r.Bytes())
	q.Headers = Pairs(r.Bytes())
	q.BodyKind = BodyKind(r.byte())
	q.Body = Value(r.Bytes())
	q.Caller = r.Value()
	q.Credential = r.Value()
	q.Time = r.Int()
	q.Remote = r.TextBytes()
	q.ID = r.TextBytes()
	q.BaseURL = r.TextBytes()
	q.Target, q.AnyHost, q.Connection, q.Files = nil, false, nil, nil
	n -= leastRequestFields
	if n >= 2 {
		q.Target, q.AnyHost = r.TextBytes(), r.Bool()
		n -= 2
	}
	if n >= 1 {
		q.Connection = r.TextBytes()
		n--
	}
	if n >= 1 {
		q.Files = r.Value()
		n--
	}
	r.Skip(n)
	if !r.Done() {
		return ErrFrame
	}
	return nil
}

// shared returns the bytes of a string, which nobody may change.
func shared(s string) Value { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// ReadCaller reads a caller from its value; null is nobody.
func ReadCaller(v Value) (Caller, error) {
	if v.IsNil() {
		return Caller{}, nil
	}
	// A copy of all of it, so that there is one for all texts: it is read with
	// every request.
	r := shared(string(v)).Read()
	c := readCaller(&r)
	if !r.Done() {
		return Caller{}, ErrFrame
	}
	return c, nil
}

// ReadCredential reads a credential from its value, whose memory its texts share.
func ReadCredential(v Value) (c Credential, err error) {
	r := v.Read()
	more := r.Array() - leastCredentialFields
	if more < 0 {
		return c, ErrFrame
	}
	c.Kind, c.Value = r.TextShared(), r.TextShared()
	if more >= credentialFields-leastCredentialFields {
		c.Family, c.Origin = r.TextShared(), r.TextShared()
		more -= credentialFields - leastCredentialFields
	}
	r.Skip(more)
	if !r.Done() {
		return Credential{}, ErrFrame
	}
	return c, nil
}
