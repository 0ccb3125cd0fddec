package guest

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
)

// A Response is what a handler answers: 200 without a body until it says
// something else.
type Response struct {
	status  int
	kind    abi.BodyKind
	body    *abi.Writer
	headers abi.Writer
}

func (w *Response) reset(body *abi.Writer) {
	w.status, w.kind, w.body = 0, abi.BodyNone, body
	w.headers.Reset(w.headers.Value())
}

// Status sets the HTTP status.
func (w *Response) Status(status int) { w.status = status }

// Header adds a header.
func (w *Response) Header(name, value string) {
	if w.headers.Len() == 0 {
		w.headers.Array()
	}
	w.headers.Text(name)
	w.headers.Text(value)
}

// Value returns the writer of the body, a value that the host renders as JSON.
func (w *Response) Value() *abi.Writer {
	w.kind = abi.BodyValue
	return w.body
}

// Plist returns the writer of the body, a value that the host renders as an Apple
// property list: maps become dictionaries, whose entries that are null are left out.
func (w *Response) Plist() *abi.Writer {
	w.kind = abi.BodyPlist
	return w.body
}

// XML returns the writer of the body, an element (see abi.Writer.Element) that the host
// renders as an XML document of this Content-Type. What people have typed goes in as it
// is: the host sees to it that it stays text.
func (w *Response) XML(contentType string) *abi.Writer {
	w.Header("Content-Type", contentType)
	w.kind = abi.BodyXML
	return w.body
}

// Blob has the host send a blob, as this Content-Type: whole or in ranges, as the
// client asks.
func (w *Response) Blob(contentType string, id abi.BlobID) {
	w.Header("Content-Type", contentType)
	w.kind = abi.BodyBlob
	w.body.Reset(w.body.Value())
	w.body.Bytes(id[:])
}

// Bytes makes the body these bytes, of this Content-Type.
func (w *Response) Bytes(contentType string, b []byte) {
	w.Header("Content-Type", contentType)
	w.kind = abi.BodyRaw
	w.body.Reset(w.body.Value())
	w.body.Bytes(b)
}

// Event adds an event to the answer of a stream and returns the writer for its
// data, which is exactly one value. The client shows the id of the last event it
// has seen when it comes back, as the header Last-Event-ID.
func (w *Response) Event(name, id string) *abi.Writer {
	if w.kind != abi.BodyEvents {
		w.kind = abi.BodyEvents
		w.body.Reset(w.body.Value())
		w.body.Array()
	}
	w.body.FixedArray(3)
	w.body.Text(name)
	w.body.Text(id)
	return w.body
}

// Redirect sends the client elsewhere: 303 has it GET the place, 302 is what
// browsers are used to, 307 and 308 keep the method.
func (w *Response) Redirect(status int, location string) {
	w.status = status
	w.Header("Location", location)
}

// Fail makes the answer a refusal in the form of the family, and keeps what the
// handler wrote: for the refusal that must leave a trace, such as a failed
// login that counts. The handler then returns nil. One that returns an error
// instead leaves no trace, which is what most refusals want.
func (w *Response) Fail(e *Error) {
	w.status, w.kind = e.Status, abi.BodyRefusal
	w.body.Reset(w.body.Value())
	e.Append(w.body)
}

// Error is a refusal that the client is told, in the form of its API family.
type Error = abi.Error

// Errorf makes an *Error of an HTTP status, a stable code and a message.
func Errorf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}
