package abi

import (
	"fmt"
	"math"
	"unicode/utf8"
)

// A Dispatch is what a plugin has its host deliver to somebody: a mail, or a call of a
// webhook. It goes into the outbox with the call's transaction, and on its way when
// that is committed: at least once, again and again until it has arrived, is refused
// for good, or is of no use any more. Then the plugin is told the Outcome.
type Dispatch struct {
	// Key is what the plugin calls it. While the outbox knows a dispatch of this key, of
	// which it keeps those that have ended for some days, another one changes nothing.
	Key string
	// Via is how it goes: "mail", or "webhook:" and the name that the manifest gives to
	// a webhook. It is also the grant that this takes.
	Via string
	// To is who gets it: a mail address, or what the webhook knows somebody by. How many
	// one recipient gets is limited.
	To string
	// Until is when it is of no use any more, in microseconds since the epoch; 0: as
	// long as the manifest has it tried.
	Until int64

	// Of a mail. Text is what people read whose program shows no HTML, and is not empty.
	Sender  string // a name, to stand before the deployment's address
	Subject string
	Text    string
	HTML    string // may be empty
	Locale  string // in which language it is: "de"; may be empty

	// Body is what a webhook is sent, as JSON.
	Body Value
}

// Limits of dispatches.
const (
	MaxDispatches    = 512       // of one call: each takes several writes
	MaxDispatchKey   = 128       // bytes
	MaxRecipient     = 320       // bytes
	MaxSubject       = 512       // bytes
	MaxSender        = 256       // bytes
	MaxDispatchSize  = 256 << 10 // bytes of one
	maxLocale        = 35
	dispatchFields   = 10
	outcomeFields    = 7
	maxOutcomeReason = 1 << 10
)

// Append writes the dispatch as a record.
func (d *Dispatch) Append(w *Writer) {
	w.FixedArray(dispatchFields)
	w.Text(d.Key)
	w.Text(d.Via)
	w.Text(d.To)
	w.Int(d.Until)
	w.Text(d.Sender)
	w.Text(d.Subject)
	w.Text(d.Text)
	w.Text(d.HTML)
	w.Text(d.Locale)
	w.Raw(d.Body)
}

// ReadDispatch reads a dispatch of an untrusted guest and checks it. Its texts and its
// body share the memory of v.
func ReadDispatch(v Value) (*Dispatch, error) {
	if len(v) > MaxDispatchSize {
		return nil, fmt.Errorf("dispatch: %d bytes: want at most %d", len(v), MaxDispatchSize)
	}
	if !v.Valid() {
		return nil, fmt.Errorf("dispatch: %w", ErrFrame)
	}
	r := v.Read()
	n := r.Array()
	d := &Dispatch{
		Key: r.TextShared(), Via: r.TextShared(), To: r.TextShared(), Until: r.Int(),
		Sender: r.TextShared(), Subject: r.TextShared(), Text: r.TextShared(), HTML: r.TextShared(), Locale: r.TextShared(),
		Body: r.Value(),
	}
	r.Skip(n - dispatchFields)
	if n < dispatchFields || !r.Done() {
		return nil, fmt.Errorf("dispatch: %w", ErrFrame)
	}
	return d, d.check()
}

func (d *Dispatch) check() error {
	for _, f := range []struct {
		name, text  string
		least, most int
	}{
		{"key", d.Key, 1, MaxDispatchKey}, {"recipient", d.To, 1, MaxRecipient},
		{"sender", d.Sender, 0, MaxSender}, {"subject", d.Subject, 0, MaxSubject}, {"locale", d.Locale, 0, maxLocale},
	} {
		if len(f.text) < f.least || len(f.text) > f.most {
			return fmt.Errorf("dispatch: %s of %d bytes: want %d to %d", f.name, len(f.text), f.least, f.most)
		}
		if !PlainLine(f.text) {
			return fmt.Errorf("dispatch: %s: want one line of text", f.name)
		}
	}
	switch {
	case d.Until < 0:
		return fmt.Errorf("dispatch: until %d: want microseconds since the epoch, or 0", d.Until)
	case d.Via == GrantMail && d.Text == "":
		return fmt.Errorf("dispatch: want the text of the mail")
	case d.Via == GrantMail && !(utf8.ValidString(d.Text) && utf8.ValidString(d.HTML)):
		return fmt.Errorf("dispatch: want the mail to be UTF-8")
	case d.Via != GrantMail && !isWebhook(d.Via):
		return fmt.Errorf("dispatch: via %q: want %q, or %q and the name of one", d.Via, GrantMail, GrantWebhook)
	}
	return nil
}

// PlainLine tells whether a text can stand in a header, in a command, or in a line of a
// log.
func PlainLine(s string) bool {
	for _, c := range s {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 || c == utf8.RuneError || c == '\u2028' || c == '\u2029' {
			return false
		}
	}
	return true
}

// An Outcome is what became of a Dispatch. The plugin is told once, in a transaction in
// which the outbox notes that it was; if that fails, it is told again later.
type Outcome struct {
	Key      string // of the dispatch, like Via and To
	Via      string
	To       string
	Sent     bool   // whoever delivers it from here has taken it
	Reason   string // why it was not; for people
	Attempts int    // how often it was tried
	Time     int64  // of the last attempt, in microseconds since the epoch; 0: there was none
}

// Append writes the outcome as a record: the body of a CallOutcome.
func (o *Outcome) Append(w *Writer) {
	w.FixedArray(outcomeFields)
	w.Text(o.Key)
	w.Text(o.Via)
	w.Text(o.To)
	w.Bool(o.Sent)
	w.Text(o.Reason)
	w.Int(int64(o.Attempts))
	w.Int(o.Time)
}

// ReadOutcome reads the record.
func ReadOutcome(v Value) (*Outcome, error) {
	r := v.Read()
	n := r.Array()
	o := &Outcome{Key: r.Text(), Via: r.Text(), To: r.Text(), Sent: r.Bool(), Reason: r.Text()}
	o.Attempts, o.Time = int(min(r.Int(), math.MaxInt32)), r.Int()
	r.Skip(n - outcomeFields)
	if n < outcomeFields || !r.Done() || len(o.Reason) > maxOutcomeReason {
		return nil, ErrFrame
	}
	return o, nil
}
