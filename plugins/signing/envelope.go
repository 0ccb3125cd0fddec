package main

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// envelope is the form of a refusal under /v2.
func envelope(w *abi.Writer) {
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

// problem is the form of a refusal under /1.0, which its document leaves open but
// for the status.
func problem(w *abi.Writer) {
	w.Map()
	w.Key("error")
	w.Map()
	for _, name := range []string{"status", "code", "message", "detail"} {
		w.Key(name)
		w.Text("$" + name)
	}
	entry(w, "documentation", "/1.0/signing")
	w.EndAll()
}

// succeed answers under /v2 with a response of a type; fields writes the entries
// that follow the type.
func succeed(w *guest.Response, r *guest.Request, kind string, fields func(v *abi.Writer)) {
	v := w.Value()
	v.Map()
	entry(v, "result", "ok")
	v.Key("response")
	v.Map()
	entry(v, "type", kind)
	fields(v)
	v.End()
	v.Key("meta")
	v.Map()
	entryInt(v, "time", r.Time().UnixMilli())
	v.EndAll()
}

func entry(v *abi.Writer, key, text string) {
	v.Key(key)
	v.Text(text)
}

func entryInt(v *abi.Writer, key string, n int64) {
	v.Key(key)
	v.Int(n)
}

// entryTime writes a time that is kept in microseconds in the milliseconds of
// the APIs.
func entryTime(v *abi.Writer, key string, micros int64) { entryInt(v, key, micros/1000) }

// The refusals of more than one endpoint. Clients in the field act on the codes
// oauth_token, token_expired and access_denied: they log in again.
var (
	errKey     = guest.Errorf(401, "api_key", "The api_key is not that of an application, or the application was revoked.")
	errDenied  = guest.Errorf(401, "access_denied", "There is no account with this id and password.")
	errRevoked = guest.Errorf(401, "access_denied", "The application that this token was issued to was revoked.")
	errGone    = guest.Errorf(401, "access_denied", "The account of this token is no longer there.")
	errToken   = guest.Errorf(401, "oauth_token", "The access token is not known: it is wrong, or was revoked.")
	errExpired = guest.Errorf(401, "token_expired", "The access token has expired; log in again.")
)

// Bounds of what clients choose, in characters.
const (
	maxName   = 150
	maxDevice = 128
	maxID     = 128
)

// parameter returns a parameter that must be there.
func parameter(r *guest.Request, name string) (string, error) {
	s, _ := r.Value(name)
	if s == "" {
		return "", guest.Errorf(400, "missing_parameter", "%s is missing.", name)
	}
	return s, nil
}

// textParameter returns a parameter for people's eyes, "" if it is absent.
func textParameter(r *guest.Request, name string, limit int) (string, error) {
	s, _ := r.Value(name)
	s = strings.TrimSpace(s)
	return s, checkText(name, s, limit)
}

// checkText refuses what is too long or would garble a screen or a log.
func checkText(name, s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return guest.Errorf(400, "bad_parameter", "%s is not UTF-8.", name)
	case utf8.RuneCountInString(s) > limit:
		return guest.Errorf(400, "bad_parameter", "%s is longer than %d characters.", name, limit)
	case strings.ContainsFunc(s, unicode.IsControl):
		return guest.Errorf(400, "bad_parameter", "%s contains control characters.", name)
	}
	return nil
}
