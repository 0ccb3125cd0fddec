package main

import (
	"strings"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A template is a text with placeholders in braces. An operator's own stand in the
// settings, each for one language ("invite_text.de") or for all ("invite_text"); what
// they leave out is built in. A line with a placeholder that is empty is left out.

// The parts of a message that have templates, as the settings call them.
const (
	partSubject = "invite_subject"
	partText    = "invite_text"
	partHTML    = "invite_html"
	partSMS     = "invite_sms"
	partClient  = "invite_client" // what the sharer sends: in the first person
)

// A letter is what the placeholders of a template stand for, as plain text.
type letter struct {
	sender    string
	recipient string // may be empty
	message   string // may be empty, or have several lines
	link      string
	until     string // "for 2 hours"; empty when the time is up
	service   string
	named     bool // the sender has a name of its own
}

// Bounds of what stands in a letter, in characters.
const (
	maxSender  = 100
	maxService = 100
)

func (l *letter) value(name string) (value string, known bool) {
	switch name {
	case "sender":
		return l.sender, true
	case "recipient":
		return l.recipient, true
	case "message":
		return l.message, true
	case "link":
		return l.link, true
	case "until":
		return l.until, true
	case "service":
		return l.service, true
	}
	return "", false
}

// fill puts the values, escaped, into a template. Braces in a value mean nothing.
func (l *letter) fill(template string, escape func(string) string) string {
	var b strings.Builder
	blank, dropped := true, false // what the last line was
	for line := range strings.SplitSeq(template, "\n") {
		line, ok := l.fillLine(strings.TrimSuffix(line, "\r"), escape)
		empty := strings.TrimSpace(line) == ""
		if !ok || dropped && blank && empty {
			dropped = true
			continue
		}
		b.WriteString(line)
		b.WriteByte('\n')
		blank, dropped = empty, false
	}
	return strings.TrimSpace(b.String())
}

// fillLine is fill for one line; not ok: one of its placeholders is empty.
func (l *letter) fillLine(line string, escape func(string) string) (filled string, ok bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(line, "{")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		name, after, _ := strings.Cut(rest, "}")
		value, known := l.value(name)
		switch {
		case !known:
			b.WriteByte('{')
			line = rest
		case value == "":
			return "", false
		default:
			b.WriteString(escape(value))
			line = after
		}
	}
}

func plain(s string) string { return s }

// escapeHTML makes a text safe between tags and in quoted attributes.
func escapeHTML(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\n", "<br>\n").Replace(s)
}

// oneLine makes a line of at most so many characters out of a text of whoever.
func oneLine(s string, most int) string {
	return strings.TrimSpace(clip(strings.Join(strings.Fields(paragraphs(s)), " "), most))
}

// paragraphs takes out of a text what is not to be seen: control characters, and those
// that turn the direction of what stands around it. Ends of lines stay.
func paragraphs(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == 0x85 || c == '\u2028' || c == '\u2029':
			return '\n'
		case c == '\t':
			return ' '
		case c < ' ', 0x7f <= c && c < 0xa0, c == utf8.RuneError, c == '\ufeff',
			'\u202a' <= c && c <= '\u202e', '\u2066' <= c && c <= '\u2069':
			return -1
		}
		return c
	}, s))
}

// clip shortens a text to so many characters.
func clip(s string, most int) string {
	for i := range s {
		if most == 0 {
			return s[:i]
		}
		most--
	}
	return s
}

// clipBytes shortens a text to so many bytes, and by whole characters.
func clipBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// A composer makes the texts of invites for one request. What they have in common it
// asks of the host once.
type composer struct {
	r       *guest.Request
	service string

	ticket          uint64 // whose sender and message these are
	sender, message string

	locale, tag string // and the language that is used for it
	client      string // template in that language
}

func newComposer(r *guest.Request) *composer {
	c := &composer{r: r, service: oneLine(r.Config("service_name", ""), maxService)}
	if c.service == "" {
		c.service = "edgeset"
	}
	return c
}

// The properties of a ticket that stand in messages.
const (
	propName    = "name"
	propMessage = "message"
)

// load reads what the sharer says of a ticket.
func (c *composer) load(t *ticket) error {
	if c.ticket == t.id {
		return nil
	}
	name, message := row{name: propName}, row{name: propMessage}
	rows, err := c.r.KV().GetMany([][]byte{name.key(t.id), message.key(t.id)})
	if err != nil {
		return err
	}
	text := func(row abi.Value) string { s, _ := row.Get("v").Text(); return s }
	c.ticket = t.id
	c.sender = oneLine(text(rows[0]), maxSender)
	c.message = text(rows[1])
	return nil
}

// letter says what an invite tells, in a language.
func (c *composer) letter(v *invite, t *ticket, tag, link string) *letter {
	l := &letter{
		sender: c.sender, recipient: oneLine(v.name, maxRecipient), message: v.text, link: link,
		until: spoken(tag).last(t.end - c.r.Time().UnixMilli()), service: c.service, named: c.sender != "",
	}
	if l.message == "" {
		l.message = c.message
	}
	l.message = paragraphs(clip(l.message, maxText))
	if !l.named {
		if l.sender = spoken(tag).someone; l.sender == "" {
			l.sender = c.service
		}
	}
	return l
}

// template returns the template of a part in a language: the operator's own before
// what is built in.
func (c *composer) template(part, tag string) string {
	for t := tag; t != ""; t = broader(t) {
		if s := c.r.Config(part+"."+t, ""); s != "" {
			return s
		}
	}
	if s := c.r.Config(part, ""); s != "" {
		return s
	}
	return spoken(tag).template(part)
}

// subject has one line, and says something.
func (c *composer) subject(l *letter, tag string) string {
	s := oneLine(l.fill(c.template(partSubject, tag), plain), abi.MaxSubject)
	if s == "" {
		s = oneLine(l.fill(spoken(tag).template(partSubject), plain), abi.MaxSubject)
	}
	return clipBytes(s, abi.MaxSubject)
}

// from is the name that the mail comes from: not the sharer's alone, as if that were
// whose address it is.
func (c *composer) from(l *letter) string {
	via := c.service
	if l.named {
		via = l.sender + " via " + c.service
	}
	return clipBytes(via, abi.MaxSender)
}

// text fills a template of plain text. Whatever it says, the link stands in it.
func (c *composer) text(part string, l *letter, tag string) string {
	return withLink(l.fill(c.template(part, tag), plain), l.link)
}

func (c *composer) html(l *letter, tag string) string {
	return l.fill(c.template(partHTML, tag), escapeHTML)
}

// clientText is the text of an invite that its client sends.
func (c *composer) clientText(v *invite, t *ticket, link string) (string, error) {
	if v.text != "" {
		return withLink(v.text, link), nil
	}
	if c.tag == "" || c.locale != v.locale {
		c.locale, c.tag = v.locale, c.language(v.locale)
		c.client = c.template(partClient, c.tag)
	}
	// Lists of invites are polled: what is not asked for is not read.
	if strings.Contains(c.client, "{sender}") || strings.Contains(c.client, "{message}") {
		if err := c.load(t); err != nil {
			return "", err
		}
	}
	return withLink(c.letter(v, t, c.tag, link).fill(c.client, plain), link), nil
}

// withLink puts the link behind a text that does not have it.
func withLink(text, link string) string {
	switch {
	case strings.Contains(text, link):
		return text
	case text == "":
		return link
	}
	return text + " " + link
}
