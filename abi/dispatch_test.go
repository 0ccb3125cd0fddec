package abi_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

func mail() abi.Dispatch {
	return abi.Dispatch{Key: "ABC-DEF", Via: abi.GrantMail, To: "bob@example.org", Until: 1700000000000000, Sender: "Ann Ü",
		Subject: "Where I am", Text: "Look:\nhttps://example.org/ABC-DEF", HTML: "<p>Look</p>", Locale: "de-AT", Body: abi.Value("\xc0")}
}

func webhook() abi.Dispatch {
	return abi.Dispatch{Key: "k", Via: abi.GrantWebhook + "sms", To: "+43 1 234", Body: value(func(w *abi.Writer) {
		w.Map()
		w.Key("text")
		w.Text("Look")
		w.End()
	})}
}

func TestDispatchesComeThrough(t *testing.T) {
	for name, sent := range map[string]abi.Dispatch{"a mail": mail(), "a webhook": webhook()} {
		record := value(sent.Append)
		for _, v := range []abi.Value{record, longer(t, record)} {
			if got, err := abi.ReadDispatch(v); err != nil || !reflect.DeepEqual(*got, sent) {
				t.Errorf("%s: got %+v, %v, want %+v", name, got, err, sent)
			}
		}
	}
	// A body is left out as null.
	sent := mail()
	sent.Body = nil
	if got, err := abi.ReadDispatch(value(sent.Append)); err != nil || string(got.Body) != "\xc0" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDispatchesThatAreRefused(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, c := range []struct {
		name   string
		change func(d *abi.Dispatch)
		want   string // nothing: it is not refused
	}{
		{"all that may be", func(d *abi.Dispatch) {
			d.Key, d.To, d.Sender, d.Subject, d.Locale = long(abi.MaxDispatchKey), long(abi.MaxRecipient), long(abi.MaxSender), long(abi.MaxSubject), long(35)
		}, ""},
		{"the least that may be", func(d *abi.Dispatch) { *d = abi.Dispatch{Key: "k", Via: "mail", To: "b", Text: "t"} }, ""},
		{"no key", func(d *abi.Dispatch) { d.Key = "" }, "dispatch: key of 0 bytes: want 1 to 128"},
		{"a long key", func(d *abi.Dispatch) { d.Key = long(129) }, "dispatch: key of 129 bytes: want 1 to 128"},
		{"nobody", func(d *abi.Dispatch) { d.To = "" }, "dispatch: recipient of 0 bytes: want 1 to 320"},
		{"a long recipient", func(d *abi.Dispatch) { d.To = long(321) }, "dispatch: recipient of 321 bytes: want 1 to 320"},
		{"a long sender", func(d *abi.Dispatch) { d.Sender = long(257) }, "dispatch: sender of 257 bytes: want 0 to 256"},
		{"a long subject", func(d *abi.Dispatch) { d.Subject = long(513) }, "dispatch: subject of 513 bytes: want 0 to 512"},
		{"a long locale", func(d *abi.Dispatch) { d.Locale = long(36) }, "dispatch: locale of 36 bytes: want 0 to 35"},
		{"a header in the subject", func(d *abi.Dispatch) { d.Subject = "Hi\r\nBcc: all@example.org" }, "dispatch: subject: want one line of text"},
		{"a header in the sender", func(d *abi.Dispatch) { d.Sender = "Ann\nBcc: all@example.org" }, "dispatch: sender: want one line of text"},
		{"a header in the recipient", func(d *abi.Dispatch) { d.To = "bob@example.org\r" }, "dispatch: recipient: want one line of text"},
		{"a line break of Unicode", func(d *abi.Dispatch) { d.Subject = "a\u2028b" }, "dispatch: subject: want one line of text"},
		{"a control character of 8 bits", func(d *abi.Dispatch) { d.Key = "a\u0085b" }, "dispatch: key: want one line of text"},
		{"a zero byte", func(d *abi.Dispatch) { d.Locale = "de\x00" }, "dispatch: locale: want one line of text"},
		{"a key that is no text", func(d *abi.Dispatch) { d.Key = "\xff" }, "dispatch: key: want one line of text"},
		{"a time before the epoch", func(d *abi.Dispatch) { d.Until = -1 }, "dispatch: until -1: want microseconds since the epoch, or 0"},
		{"a mail without a text", func(d *abi.Dispatch) { d.Text = "" }, "dispatch: want the text of the mail"},
		{"a text that is none", func(d *abi.Dispatch) { d.Text = "a\xff" }, "dispatch: want the mail to be UTF-8"},
		{"an HTML text that is none", func(d *abi.Dispatch) { d.HTML = "a\xff" }, "dispatch: want the mail to be UTF-8"},
		{"no way", func(d *abi.Dispatch) { d.Via = "" }, `dispatch: via "": want "mail", or "webhook:" and the name of one`},
		{"a webhook without a name", func(d *abi.Dispatch) { d.Via = "webhook:" }, `dispatch: via "webhook:": want "mail", or "webhook:" and the name of one`},
		{"another grant", func(d *abi.Dispatch) { d.Via = abi.GrantKV }, `dispatch: via "kv": want "mail", or "webhook:" and the name of one`},
		{"more than is taken", func(d *abi.Dispatch) { d.Text = long(abi.MaxDispatchSize) }, fmt.Sprintf("dispatch: %d bytes: want at most 262144", len(value(func(w *abi.Writer) {
			d := mail()
			d.Text = long(abi.MaxDispatchSize)
			d.Append(w)
		})))},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := mail()
			c.change(&d)
			_, err := abi.ReadDispatch(value(d.Append))
			if c.want == "" && err != nil || c.want != "" && (err == nil || err.Error() != c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if _, err := abi.ReadDispatch(abi.Value(headOfMail + "\x91\x90")); err != nil {
		t.Errorf("a body that is nested: %v", err)
	}
	d := mail()
	record := value(d.Append)
	for name, v := range map[string]abi.Value{
		"nothing": nil, "no record": abi.Value("\x01"), "too few fields": shorter(record, 9), "a part": record[:len(record)-1],
		"something behind it": append(record[:len(record):len(record)], 0xc0),
		"a number for a text": value(func(w *abi.Writer) {
			w.FixedArray(10)
			for range 10 {
				w.Int(1)
			}
		}),
		"a body nested too deep": abi.Value(headOfMail + strings.Repeat("\x91", abi.MaxDepth) + "\x90"),
	} {
		if got, err := abi.ReadDispatch(v); !errors.Is(err, abi.ErrFrame) {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
	}
}

func TestOutcomesComeThrough(t *testing.T) {
	sent := abi.Outcome{Key: "ABC-DEF", Via: abi.GrantMail, To: "bob@example.org", Sent: true, Reason: "later than hoped", Attempts: 3, Time: 1700000000000000}
	record := append(abi.Value(nil), value(sent.Append)...)
	for _, v := range []abi.Value{record, longer(t, record)} {
		if got, err := abi.ReadOutcome(v); err != nil || !reflect.DeepEqual(*got, sent) {
			t.Errorf("got %+v, %v, want %+v", got, err, sent)
		}
	}
	got, err := abi.ReadOutcome(record)
	for i := range record {
		record[i] = 0xc1 // the outcome shares nothing with it
	}
	if err != nil || !reflect.DeepEqual(*got, sent) {
		t.Errorf("got %+v, %v", got, err)
	}
	record = value(sent.Append)
	wordy := abi.Outcome{Reason: strings.Repeat("x", 1<<10+1)}
	for name, v := range map[string]abi.Value{
		"nothing": nil, "no record": abi.Value("\x01"), "too few fields": shorter(record, 6), "a part": record[:len(record)-1],
		"a long reason": value(wordy.Append),
	} {
		if got, err := abi.ReadOutcome(v); !errors.Is(err, abi.ErrFrame) {
			t.Errorf("%s: read as %+v, %v", name, got, err)
		}
	}
}

// headOfMail is the record of a mail without its body.
const headOfMail = "\x9a\xa1k\xa4mail\xa1b\x00\xa0\xa0\xa1t\xa0\xa0"

// The record of a dispatch comes from an untrusted guest, and what is in it goes into
// headers and logs.
func FuzzDispatch(f *testing.F) {
	for _, d := range []abi.Dispatch{mail(), webhook(), {}} {
		f.Add([]byte(value(d.Append)))
	}
	o := abi.Outcome{Key: "k", Via: "mail", To: "bob@example.org", Reason: "no", Attempts: 2, Time: 1}
	f.Add([]byte(value(o.Append)))
	f.Add([]byte("\x9a\xa1k\xa4mail\xa1b\x00\xa0\xa3a\r\n\xa1t\xa0\xa0\xc0"))
	f.Add([]byte("\xdd\xff\xff\xff\xff\xa1k"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame := append([]byte(nil), b...)
		if o, err := abi.ReadOutcome(frame); err == nil {
			if again, err := abi.ReadOutcome(value(o.Append)); err != nil || !reflect.DeepEqual(o, again) {
				t.Fatalf("% x: outcome %+v is read as %+v, %v", b, o, again, err)
			}
		}
		d, err := abi.ReadDispatch(frame)
		if string(frame) != string(b) {
			t.Fatal("a record was changed by reading it")
		}
		if err != nil {
			return
		}
		for _, line := range []string{d.Key, d.Via, d.To, d.Sender, d.Subject, d.Locale} {
			if !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl) || len(line) > abi.MaxSubject {
				t.Fatalf("% x: %q is no line of text", b, line)
			}
		}
		if d.Key == "" || d.To == "" || d.Until < 0 || !d.Body.Valid() || d.Via == abi.GrantMail && d.Text == "" {
			t.Fatalf("% x: read as %+v", b, d)
		}
		record := value(d.Append)
		if len(record) > abi.MaxDispatchSize {
			return // its heads were shorter
		}
		if again, err := abi.ReadDispatch(record); err != nil || !reflect.DeepEqual(d, again) {
			t.Fatalf("% x: read as %+v, again as %+v, %v", b, d, again, err)
		}
	})
}
