package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// failure is the form of an error.
func failure(w *abi.Writer) {
	w.Map()
	w.Key("result")
	w.Text("failure")
	w.Key("response")
	w.Map()
	w.End()
	w.Key("meta")
	w.Map()
	w.Key("error")
	w.Text("$code")
	w.Key("error_detail")
	w.Text("$message")
	w.Key("time")
	w.Text("$time")
	w.EndAll()
}

// What stands before the response of a success, and what stands behind it before
// the time: {"result":"ok","response":…,"meta":{"time":…}}. It is the same in
// every answer, so it is encoded once, as maps of a fixed number of entries.
const (
	beforeResponse = "\x83\xa6result\xa2ok\xa8response"
	beforeTime     = "\xa4meta\x81\xa4time"
)

// succeed opens the answer of a success: the caller writes the fields of the
// response and then calls finish.
func succeed(w *guest.Response, kind string) *abi.Writer {
	v := w.Value()
	v.Splice(beforeResponse)
	v.Map()
	if kind != "" {
		v.Key("type")
		v.Text(kind)
	}
	return v
}

func finish(v *abi.Writer, r *guest.Request) error {
	v.End()
	v.Splice(beforeTime)
	v.Int(r.Time().UnixMilli())
	return nil
}

func textField(v *abi.Writer, key, text string) {
	v.Key(key)
	v.Text(text)
}

// textFieldIf leaves out what is empty.
func textFieldIf(v *abi.Writer, key, text string) {
	if text != "" {
		textField(v, key, text)
	}
}

func intField(v *abi.Writer, key string, n int64) {
	v.Key(key)
	v.Int(n)
}

func boolField(v *abi.Writer, key string, b bool) {
	v.Key(key)
	v.Bool(b)
}

func badParameter(format string, args ...any) error {
	return guest.Errorf(400, "bad_parameter", format, args...)
}

// Another's ticket and one that never was are answered alike, so that nobody
// learns from the answer which ids exist.
func unknownTicket() error {
	return guest.Errorf(404, "ticket_id", "there is no such ticket")
}

func unknownInvite() error {
	return guest.Errorf(404, "invite_code", "there is no such invite")
}

func ticketExpired() error {
	return guest.Errorf(409, "ticket_expired", "the ticket has expired and takes no more changes")
}
