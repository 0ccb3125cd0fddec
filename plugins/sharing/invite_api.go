package main

import (
	"encoding/binary"
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Bounds of invites, in characters.
const (
	maxInvites   = 500 // of a ticket, deleted ones included
	maxAddress   = 256
	maxRecipient = 150
	maxSubtype   = 50
	maxVisible   = 50
	maxText      = 1024
	maxRequestID = 128
)

// createInvite: POST tickets/:id/create_invite
func createInvite(w *guest.Response, r *guest.Request) error {
	t, err := ownTicket(r)
	if err != nil {
		return err
	}
	kv, now := r.KV(), r.Time().UnixMilli()
	v, requestID, err := readInviteRequest(r)
	if err != nil {
		return err
	}
	// A request that is repeated because its answer was lost gets that answer,
	// even if the ticket has ended since.
	var requestKey []byte
	if requestID != "" {
		requestKey = uniqueKey(t.id, uniqueRequest, requestID)
		known, ok, err := kv.Get(requestKey)
		if err != nil {
			return err
		}
		if ok {
			list, err := loadInvites(kv, []code{readCode(known)})
			if err != nil {
				return err
			}
			if list[0] != nil {
				return answerInvite(w, r, t, list[0])
			}
		}
	}
	if t.expired(now) {
		return ticketExpired()
	}
	if t.invites >= maxInvites {
		return guest.Errorf(409, "too_many", "a ticket has at most %d invites", maxInvites)
	}
	if v.code, err = newCode(kv); err != nil {
		return err
	}
	v.ticket, v.owner, v.created, v.modified, v.until = t.id, t.owner, now, now, t.until
	if err := v.take(kv, now); err != nil {
		return err
	}
	if requestKey != nil {
		if err := kv.PutTTL(requestKey, v.code.append(nil), v.keep(now)); err != nil {
			return err
		}
	}
	listed := binary.BigEndian.AppendUint32(ticketKey(nil, keyInvites, t.id), uint32(t.invites))
	if err := kv.PutTTL(listed, v.code.append(nil), v.keep(now)); err != nil {
		return err
	}
	t.invites++
	if err := t.save(kv, now); err != nil {
		return err
	}
	texts := newComposer(r)
	if v.locale, err = texts.chooseLocale(); err != nil {
		return err
	}
	if v.send == sendServer {
		if err := v.dispatch(texts, t); err != nil {
			return err
		}
	}
	if err := v.saveChanged(kv, now); err != nil {
		return err
	}
	return answerInvite(w, r, t, v)
}

// readInviteRequest reads the parameters of a new invite.
func readInviteRequest(r *guest.Request) (v *invite, requestID string, err error) {
	v = &invite{visible: "none", send: sendClient, status: statusNeedToSend}
	v.kind, _ = r.Value("type")
	if ruleOf(v.kind) == 0 {
		return nil, "", badParameter("type: want sms, email, link, account, app, clipboard, group, share, twitter, facebook or evernote")
	}
	if v.subtype, _, err = limited(r, "subtype", maxSubtype); err != nil {
		return nil, "", err
	}
	if v.address, _, err = limited(r, "address", maxAddress); err != nil {
		return nil, "", err
	}
	if ruleOf(v.kind) == ruleAddress && foldAddress(v.address) == "" {
		return nil, "", badParameter("address: an invite of type %s needs one", v.kind)
	}
	if v.name, _, err = limited(r, "name", maxRecipient); err != nil {
		return nil, "", err
	}
	if v.text, _, err = limited(r, "text", maxText); err != nil {
		return nil, "", err
	}
	if visible, ok, err := limited(r, "visible", maxVisible); err != nil {
		return nil, "", err
	} else if ok {
		v.visible = visible
	}
	if send, ok := r.Value("send"); ok {
		v.send = send
	}
	switch v.send {
	case sendClient:
	case sendServer:
		if _, _, err := v.route(); err != nil {
			return nil, "", err
		}
	default:
		return nil, "", badParameter("send: want client or server")
	}
	requestID, _, err = limited(r, "request_id", maxRequestID)
	return v, requestID, err
}

func (v *invite) saveChanged(kv *guest.KV, now int64) error {
	v.modified = now
	if err := v.save(kv, now); err != nil {
		return err
	}
	return logChange(kv, v.owner, changeInvite, v.code)
}

// updateInvite: POST invites/:code/update
func updateInvite(w *guest.Response, r *guest.Request) error {
	v, t, err := ownInvite(r)
	if err != nil {
		return err
	}
	kv, now := r.KV(), r.Time().UnixMilli()
	if t.expired(now) {
		return ticketExpired()
	}
	for _, field := range []struct {
		name string
		most int
		into *string
	}{
		{"name", maxRecipient, &v.name}, {"text", maxText, &v.text}, {"visible", maxVisible, &v.visible},
	} {
		s, ok, err := limited(r, field.name, field.most)
		if err != nil {
			return err
		}
		if ok {
			*field.into = s
		}
	}
	if status, ok := r.Value("status"); ok {
		switch status {
		case statusNeedToSend, statusSent, statusFailed:
		case statusFailedToSend:
			status = statusFailed
		default:
			return badParameter("status: want need_to_send, sent or failed")
		}
		// Who says how the sending went is who sends.
		v.status, v.detail, v.send = status, "", sendClient
	}
	if err := v.saveChanged(kv, now); err != nil {
		return err
	}
	return answerInvite(w, r, t, v)
}

// deleteInvite: POST invites/:code/delete. The record stays, to be told to who
// polls, and so that the code is not given out again.
func deleteInvite(w *guest.Response, r *guest.Request) error {
	v, _, err := ownInvite(r)
	if err != nil {
		return err
	}
	kv, now := r.KV(), r.Time().UnixMilli()
	if slot := v.slot(); slot != nil {
		if err := kv.Delete(slot); err != nil {
			return err
		}
	}
	v.deleted, v.status = true, statusDeleted
	if err := v.saveChanged(kv, now); err != nil {
		return err
	}
	return finish(succeed(w, ""), r)
}

// listInvites: GET tickets/:id/invites
func listInvites(w *guest.Response, r *guest.Request) error {
	t, err := ownTicket(r)
	if err != nil {
		return err
	}
	v := succeed(w, "invites")
	v.Key("items")
	if err := writeTicketInvites(v, r, t); err != nil {
		return err
	}
	return finish(v, r)
}

// writeTicketInvites writes the invites of a ticket as an array.
func writeTicketInvites(w *abi.Writer, r *guest.Request, t *ticket) error {
	detailed, err := r.Bool("viewers", false)
	if err != nil {
		return err
	}
	codes, err := codesOf(r.KV(), t.id)
	if err != nil {
		return err
	}
	list, err := loadInvites(r.KV(), codes)
	if err != nil {
		return err
	}
	out := newInviteWriter(w, r, detailed)
	w.Array()
	for _, v := range list {
		if v == nil || v.deleted {
			continue
		}
		if err := out.write(v, t); err != nil {
			return err
		}
	}
	w.End()
	return nil
}

func answerInvite(w *guest.Response, r *guest.Request, t *ticket, v *invite) error {
	body := succeed(w, "")
	out := newInviteWriter(body, r, false)
	if err := out.fields(v, t); err != nil {
		return err
	}
	return finish(body, r)
}

// An inviteWriter writes invite objects: what they have in common is asked of
// the host once.
type inviteWriter struct {
	*abi.Writer
	texts    *composer
	kv       *guest.KV
	now      int64
	base     string // of links
	detailed bool   // with lists of viewers
}

func newInviteWriter(w *abi.Writer, r *guest.Request, detailed bool) *inviteWriter {
	return &inviteWriter{w, newComposer(r), r.KV(), r.Time().UnixMilli(), linkBase(r), detailed}
}

func (w *inviteWriter) write(v *invite, t *ticket) error {
	w.Map()
	err := w.fields(v, t)
	w.End()
	return err
}

// fields writes an invite object into an open map. t is nil if the ticket is
// gone.
func (w *inviteWriter) fields(v *invite, t *ticket) error {
	state, status := "deleted", statusDeleted
	if t != nil && !v.deleted {
		state, status = t.state(w.now), v.status
	}
	url := v.url(w.base)
	text := withLink(v.text, url)
	if t != nil {
		var err error
		if text, err = w.texts.clientText(v, t, url); err != nil {
			return err
		}
	}
	out := w.Writer
	textField(out, "type", "invite")
	textField(out, "id", v.code.String())
	textField(out, "invite_type", "ticket_invite")
	textField(out, "ticket_id", strconv.FormatUint(v.ticket, 10))
	textField(out, "owner", v.owner)
	textField(out, "state", state)
	textField(out, "url", url)
	intField(out, "created", v.created)
	intField(out, "last_modified", v.modified)
	textField(out, "visible", v.visible)
	textField(out, "send", v.send)
	textField(out, "status", status)
	if status == statusFailed {
		textFieldIf(out, "status_detail", v.detail)
	}
	textFieldIf(out, "locale", v.locale)
	textField(out, "text", text)
	out.Key("recipient")
	out.Map()
	textField(out, "type", v.kind)
	textFieldIf(out, "subtype", v.subtype)
	textFieldIf(out, "address", v.address)
	textFieldIf(out, "name", v.name)
	out.End()
	return v.writeViews(out, w.kv, w.now, w.detailed)
}

func (v *invite) url(base string) string { return base + "/" + v.code.String() }
