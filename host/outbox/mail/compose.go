package mail

import (
	"bytes"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
)

// compose writes the mail of a message: its text, and its HTML as the alternative. It is
// the same in each attempt, but for the boundary between its parts.
func compose(from *netmail.Address, to string, m *outbox.Message) ([]byte, error) {
	for _, f := range []struct{ name, text string }{{"sender", m.Sender}, {"subject", m.Subject}, {"locale", m.Locale}} {
		if !abi.PlainLine(f.text) {
			return nil, fmt.Errorf("%s %.60q: want one line of text", f.name, f.text)
		}
	}
	if m.Text == "" || !utf8.ValidString(m.Text) || !utf8.ValidString(m.HTML) {
		return nil, errors.New("want a text, and it and the HTML in UTF-8")
	}
	sender := *from
	if m.Sender != "" {
		sender.Name = words(m.Sender)
	}
	mail := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	mail.FromMailAddress(&sender)
	mail.ToMailAddress(&netmail.Address{Address: to})
	mail.Subject(words(m.Subject))
	mail.SetDateWithValue(m.Created)
	mail.SetMessageIDWithValue(m.ID + "@" + domainOf(from.Address))
	mail.SetGenHeader("Auto-Submitted", "auto-generated")
	if isLanguage(m.Locale) {
		mail.SetGenHeader(gomail.HeaderContentLang, m.Locale)
	}
	mail.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		mail.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	var out bytes.Buffer
	if _, err := mail.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("mail cannot be written: %w", err)
	}
	return out.Bytes(), nil
}

// words joins the words of a text by single spaces: a header is folded at those, and a
// line of nothing but spaces is not to be.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// isLanguage tells whether a text looks like the tag of a language: "de", "zh-Hant-TW".
func isLanguage(s string) bool {
	return s != "" && len(s) <= 35 && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-')
	})
}
