package main

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// The ways in which the server delivers invites, where the manifest gives them.
const (
	viaMail = abi.GrantMail
	viaSMS  = abi.GrantWebhook + "sms"
	viaApp  = abi.GrantWebhook + "app"
)

// deliver has the plugin deliver invites, and be told what became of them.
func deliver(p *guest.Plugin) {
	p.Want(viaMail, viaSMS, viaApp)
	p.Outcomes(delivered)
}

// route returns how the server delivers the invite and to whom; the error is for the
// client.
func (v *invite) route() (via, to string, err error) {
	switch v.kind {
	case "email":
		to, err = mailAddress(v.address)
		return viaMail, to, err
	case "sms":
		to, err = phoneNumber(v.address)
		return viaSMS, to, err
	case "app":
		to = strings.TrimSpace(v.address)
		if len(to) > abi.MaxRecipient || oneLine(to, maxAddress) != to {
			return "", "", badParameter("address: want one line of at most %d bytes", abi.MaxRecipient)
		}
		return viaApp, to, nil
	}
	return "", "", badParameter("send: the server delivers invites of type email, sms and app; send the text of others yourself, with send=client")
}

// Longest parts of a mail address that there can be, in bytes.
const (
	maxMailAddress = 254
	maxMailLocal   = 64
)

// mailAddress checks that s looks like the address of one recipient. Whether there is
// such a one its mail server says.
func mailAddress(s string) (string, error) {
	s = strings.TrimSpace(s)
	local, domain, _ := strings.Cut(s, "@")
	ok := len(s) <= maxMailAddress && local != "" && len(local) <= maxMailLocal && local[0] != '-'
	for label := range strings.SplitSeq(domain, ".") {
		ok = ok && label != "" && label[0] != '-'
	}
	if !ok || strings.ContainsAny(s, " ,;:<>()[]\\\"") || strings.Contains(domain, "@") || oneLine(s, maxAddress) != s {
		return "", badParameter("address: want one mail address, such as bo@example.com")
	}
	return local + "@" + strings.ToLower(domain), nil
}

// Digits of a telephone number, by E.164; a short code has a few.
const (
	minDigits = 3
	maxDigits = 15
)

// phoneNumber returns a number as digits, with a plus before them if it had one.
func phoneNumber(s string) (string, error) {
	var b []byte
	s = strings.TrimSpace(s)
	if digits, ok := strings.CutPrefix(s, "+"); ok {
		b, s = append(b, '+'), digits
	}
	plus := len(b)
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			b = append(b, byte(c))
		case !strings.ContainsRune(" -().\u00a0", c):
			return "", badParameter("address: want a telephone number, such as +1 206 555 0100")
		}
	}
	if n := len(b) - plus; n < minDigits || n > maxDigits {
		return "", badParameter("address: want a telephone number of %d to %d digits", minDigits, maxDigits)
	}
	return string(b), nil
}

const unknownAddress = "this server does not know its own address, which the link needs: its operator has to set base_url; send the text yourself"

// undelivered says why an invite stays here, by the way it would have gone.
func undelivered(via string) string {
	what := "mail"
	switch via {
	case viaSMS:
		what = "text messages"
	case viaApp:
		what = "messages to apps"
	}
	return "this server delivers no " + what + "; send the text yourself"
}

// dispatch puts the message of a new invite into the outbox. The status says what came
// of it: better said at once than believed to be on its way.
//
// What is in the outbox cannot be taken out again. It is of no use, and not tried any
// more, from the end on that the ticket has now; but a mail whose ticket or invite ends
// or is deleted meanwhile may still arrive, and its link then says so.
func (v *invite) dispatch(texts *composer, t *ticket) error {
	via, to, err := v.route()
	if err != nil {
		return err
	}
	r := texts.r
	base := linkBase(r)
	if !trustedBase(r, base) {
		r.Logf(abi.LogWarn, "an invite is not delivered: the deployment serves any host, so %q is only what the client says: set base_url or hosts", base)
		v.fail(unknownAddress)
		return nil
	}
	if err := texts.load(t); err != nil {
		return err
	}
	err = r.Dispatch(texts.compose(v, t, via, to, base))
	switch {
	case err == nil:
		v.status = statusQueued
		return countDelivery(r, t.owner)
	case errors.Is(err, abi.ErrDenied):
		v.fail(undelivered(via))
	case errors.Is(err, abi.ErrLimited):
		return guest.Errorf(429, "throttled", "this recipient was sent as many messages as may be for now, or too many wait to be sent; try again later, or send the text yourself")
	case errors.Is(err, abi.ErrArgument):
		r.Logf(abi.LogError, "an invite is not delivered: the outbox refuses what the templates make of it, to be sent by %s", via)
		v.fail("this server could not make the message; its operator's log says more; send the text yourself")
	default:
		return err
	}
	return nil
}

// invitesPerHour is how many invites of an account the server delivers within an hour, if
// the operator says nothing else.
const invitesPerHour = 100

// countDelivery counts an invite that the server delivers. Where anybody can have an
// account, nobody should have the operator's mail server write to strangers without end.
func countDelivery(r *guest.Request, account string) error {
	kv, now := r.KV(), r.Time().UnixMilli()
	key := accountKey(nil, keyDelivery, account)
	value, _, err := kv.Get(key)
	if err != nil {
		return err
	}
	begun, count := now, int64(0)
	if len(value) == 16 {
		begun, count = int64(binary.BigEndian.Uint64(value)), int64(binary.BigEndian.Uint64(value[8:]))
	}
	if now < begun || now >= begun+hour {
		begun, count = now, 0
	}
	if count >= setting(r, "invites_per_hour", invitesPerHour) {
		return guest.Errorf(429, "throttled", "this server has delivered as many invites of yours as it does in an hour; try again later, or send the text yourself")
	}
	return kv.PutTTL(key, number(number(nil, uint64(begun)), uint64(count+1)), span(begun+hour-now))
}

func (v *invite) fail(detail string) { v.status, v.detail = statusFailed, detail }

// trustedBase tells whether links to strangers may begin with base. Where any host is
// served, it is whatever the client has said: a mail of ours could lead to a site of
// the client's. To a name of the machine itself it leads nobody who is elsewhere.
func trustedBase(r *guest.Request, base string) bool {
	if !r.AnyHost() || r.Config("link_base", "") != "" {
		return true
	}
	_, host, _ := strings.Cut(base, "://")
	host, _, _ = strings.Cut(host, "/")
	if name, port, ok := strings.Cut(host, "]"); ok {
		return name == "[::1" && (port == "" || port[0] == ':')
	}
	host, _, _ = strings.Cut(host, ":")
	return host == "localhost" || isLoopback(host)
}

// isLoopback tells whether s is an IPv4 address of 127.0.0.0/8.
func isLoopback(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return len(parts) == 4 && parts[0] == "127"
}

// maxDetail bounds the reason of a failure, in characters.
const maxDetail = 300

// delivered notes in an invite what became of its message, for its owner's polls. An
// invite that was deleted, or whose client has taken the sending over, stays as it is.
// One that failed may have been sent since: an operator can have it tried again.
func delivered(r *guest.Request, o *abi.Outcome) error {
	c, ok := parseCode(o.Key)
	if !ok {
		return nil
	}
	kv := r.KV()
	list, err := loadInvites(kv, []code{c})
	if err != nil {
		return err
	}
	v := list[0]
	if v == nil || v.deleted || v.send != sendServer {
		return nil
	}
	tickets, err := loadTickets(kv, []uint64{v.ticket})
	if err != nil || tickets[0] == nil {
		return err
	}
	if o.Sent {
		v.status, v.detail = statusSent, ""
	} else {
		v.fail(oneLine(o.Reason, maxDetail))
	}
	return v.saveChanged(kv, r.Time().UnixMilli())
}

// compose makes the message of an invite, to a ticket that is loaded.
func (c *composer) compose(v *invite, t *ticket, via, to, base string) *abi.Dispatch {
	tag := c.language(v.locale)
	l := c.letter(v, t, tag, v.url(base))
	d := &abi.Dispatch{Key: v.code.String(), Via: via, To: to, Until: t.end * int64(time.Millisecond/time.Microsecond), Locale: tag}
	if via == viaMail {
		d.Sender, d.Subject = c.from(l), c.subject(l, tag)
		d.Text, d.HTML = c.text(partText, l, tag), c.html(l, tag)
		return d
	}
	_, channel, _ := strings.Cut(via, ":")
	var w abi.Writer
	w.Map()
	textField(&w, "type", "invite")
	textField(&w, "channel", channel)
	textField(&w, "to", to)
	textField(&w, "text", c.text(partSMS, l, tag))
	textField(&w, "link", l.link)
	textField(&w, "sender", l.sender)
	textField(&w, "message", l.message)
	textField(&w, "recipient", l.recipient)
	textField(&w, "locale", tag)
	textField(&w, "code", v.code.String())
	w.End()
	d.Body = w.Value()
	return d
}
