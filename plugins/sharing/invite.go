package main

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An invite is a code that opens one ticket, and what is known of whom it was
// meant for. Its details are its owner's alone.
type invite struct {
	code     code
	ticket   uint64
	owner    string
	kind     string
	subtype  string
	address  string
	name     string
	text     string
	visible  string
	send     string // who delivers it: client or server
	status   string // how far that got
	detail   string // why it failed
	locale   string // language of its text
	created  int64
	modified int64
	until    int64 // as of the ticket
	deleted  bool
}

// Who delivers an invite.
const (
	sendClient = "client"
	sendServer = "server"
)

// How far the delivery of an invite got, as its client says or as the outbox does.
const (
	statusNeedToSend = "need_to_send" // the client is to send it
	statusQueued     = "queued"       // it is in the outbox
	statusSent       = "sent"         // somebody else carries it now
	statusFailed     = "failed"
	statusDeleted    = "deleted"

	// statusFailedToSend is an older word for failed, which clients may still say and
	// which stands in records.
	statusFailedToSend = "failed_to_send"
)

// A record has two fields more than an older one, which was never delivered.
const (
	inviteFields    = 16
	oldInviteFields = 14
	oldDetail       = "this server delivered no invites when this one was made; send the text yourself"
)

func (v *invite) save(kv *guest.KV, now int64) error {
	var w abi.Writer
	w.FixedArray(inviteFields)
	w.Uint(v.ticket)
	w.Text(v.owner)
	w.Text(v.kind)
	w.Text(v.subtype)
	w.Text(v.address)
	w.Text(v.name)
	w.Text(v.text)
	w.Text(v.visible)
	w.Text(v.send)
	w.Text(v.status)
	w.Int(v.created)
	w.Int(v.modified)
	w.Int(v.until)
	w.Bool(v.deleted)
	w.Text(v.detail)
	w.Text(v.locale)
	return kv.PutTTL(codeKey(nil, keyInvite, v.code), w.Value(), v.keep(now))
}

// keep returns how long what is written now about the invite stays.
func (v *invite) keep(now int64) time.Duration { return span(v.until - now) }

func readInvite(c code, record []byte) (*invite, error) {
	r := abi.Value(record).Read()
	n := r.Array()
	v := &invite{
		code: c, ticket: uint64(r.Int()), owner: r.Text(), kind: r.Text(), subtype: r.Text(), address: r.Text(),
		name: r.Text(), text: r.Text(), visible: r.Text(), send: r.Text(), status: r.Text(),
		created: r.Int(), modified: r.Int(), until: r.Int(), deleted: r.Bool(),
	}
	if n > oldInviteFields {
		v.detail, v.locale = r.Text(), r.Text()
	}
	r.Skip(n - inviteFields)
	if !r.Done() {
		return nil, abi.ErrFrame
	}
	if v.status == statusFailedToSend {
		v.status = statusFailed
		if v.send == sendServer {
			v.detail = oldDetail
		}
	}
	return v, nil
}

// loadInvite reads the invite that the path names, as long as its code is good.
func loadInvite(r *guest.Request) (*invite, error) {
	c, ok := parseCode(r.Param("code"))
	if !ok {
		return nil, unknownInvite()
	}
	record, ok, err := r.KV().Get(codeKey(nil, keyInvite, c))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownInvite()
	}
	v, err := readInvite(c, record)
	if err != nil {
		return nil, err
	}
	if v.deleted {
		return nil, unknownInvite()
	}
	return v, nil
}

// ownInvite is loadInvite for its owner, while the ticket is there.
func ownInvite(r *guest.Request) (*invite, *ticket, error) {
	v, err := loadInvite(r)
	if err != nil {
		return nil, nil, err
	}
	if v.owner != r.Caller().Account {
		return nil, nil, unknownInvite()
	}
	list, err := loadTickets(r.KV(), []uint64{v.ticket})
	if err != nil {
		return nil, nil, err
	}
	if list[0] == nil {
		return nil, nil, unknownInvite()
	}
	return v, list[0], nil
}

// loadInvites reads many invites; those that are gone are nil.
func loadInvites(kv *guest.KV, codes []code) ([]*invite, error) {
	keys := make([][]byte, len(codes))
	for i, c := range codes {
		keys[i] = codeKey(nil, keyInvite, c)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	list := make([]*invite, len(codes))
	for i, record := range records {
		if record == nil {
			continue
		}
		if list[i], err = readInvite(codes[i], record); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// codesOf returns the codes of all invites of a ticket, in the order in which
// they were made.
func codesOf(kv *guest.KV, ticket uint64) (codes []code, err error) {
	err = each(kv, guest.Prefix(ticketKey(nil, keyInvites, ticket)), func(e abi.Entry) error {
		codes = append(codes, readCode(e.Value))
		return nil
	})
	return codes, err
}

// A kind of invite says how often a ticket may have it.
type rule uint8

const (
	ruleNone    rule = iota + 1 // as often as one likes
	ruleOnce                    // one at a time
	ruleAddress                 // one to an address
)

func ruleOf(kind string) rule {
	switch kind {
	case "link":
		return ruleNone
	case "twitter", "facebook", "evernote", "clipboard":
		return ruleOnce
	case "sms", "email", "account", "app", "group", "share":
		return ruleAddress
	}
	return 0
}

// What an entry under keyUnique stands for.
const (
	uniqueKind    = 1
	uniqueAddress = 2
	uniqueRequest = 3
)

// uniqueKey returns the key under which a ticket remembers an invite that must
// not be made twice.
func uniqueKey(ticket uint64, what byte, text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return append(append(ticketKey(nil, keyUnique, ticket), what), sum[:16]...)
}

// slot returns the key that only one invite of a ticket can hold at a time, nil
// if there is none.
func (v *invite) slot() []byte {
	switch ruleOf(v.kind) {
	case ruleOnce:
		return uniqueKey(v.ticket, uniqueKind, v.kind)
	case ruleAddress:
		return uniqueKey(v.ticket, uniqueAddress, foldAddress(v.address))
	}
	return nil
}

// foldAddress makes spellings of one address alike: case, and what people put
// between the digits of a telephone number.
func foldAddress(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if strings.ContainsRune(s, '@') {
		return s
	}
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(" -().", c) {
			return -1
		}
		return c
	}, s)
}

// take gives the invite its slot, unless another one has it.
func (v *invite) take(kv *guest.KV, now int64) error {
	key := v.slot()
	if key == nil {
		return nil
	}
	holder, taken, err := kv.Get(key)
	if err != nil {
		return err
	}
	if taken && readCode(holder) != v.code {
		if ruleOf(v.kind) == ruleOnce {
			return guest.Errorf(409, "invite_exists", "the ticket has an invite of type %s already", v.kind)
		}
		return guest.Errorf(409, "invite_exists", "the ticket has an invite to this address already")
	}
	return kv.PutTTL(key, v.code.append(nil), v.keep(now))
}

// limited reads a text parameter of at most so many characters.
func limited(r *guest.Request, name string, most int) (string, bool, error) {
	s, ok := r.Value(name)
	if utf8.RuneCountInString(s) > most {
		return "", false, badParameter("%s: longer than %d characters", name, most)
	}
	return s, ok, nil
}

// A change of an account's invites is an entry of its change log, which
// GET users/self/invites follows: its first byte says what the rest means.
const (
	changeInvite = 1 // code: made, renamed, deleted
	changeViews  = 2 // code: viewed, or viewed no more
	changeTicket = 3 // ticket: all of its invites have ended
)

// changesKept is how long the change log reaches back. Who stayed away longer
// is told everything again.
const changesKept = 48 * hour

func logChange(kv *guest.KV, account string, kind byte, c code) error {
	return kv.PutStampedTTL(accountKey(nil, keyChange, account), nil, c.append([]byte{kind}), span(changesKept))
}

func logTicketChange(kv *guest.KV, account string, id uint64) error {
	value := binary.BigEndian.AppendUint64([]byte{changeTicket}, id)
	return kv.PutStampedTTL(accountKey(nil, keyChange, account), nil, value, span(changesKept))
}
