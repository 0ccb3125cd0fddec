package main

import (
	"encoding/binary"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const (
	maxBatch   = 2000
	maxPayload = 32 << 10 // bytes, as MessagePack
	// maxWrites is how many entries a transaction can write, less a few for the head.
	maxWrites = 4090
)

// upload: POST /v1/status
func upload(w *guest.Response, r *guest.Request) error {
	kv, owner := r.KV(), me(r)
	batch, err := readBatch(r.Body(), owner, r.Time().UnixMicro())
	if err != nil {
		return err
	}
	h, err := loadHead(kv, owner)
	if err != nil {
		return err
	}
	stored, created, err := sift(kv, h, batch)
	if err != nil {
		return err
	}
	// Before new rows are written, which a sweep would not see: it drops topics that
	// have none.
	later := min(eraseLater, maxWrites-2*len(created))
	if err := h.sweep(kv, &budget{rows: later, looks: later * passedPerErased}); err != nil {
		return fits(err)
	}
	if err := h.store(kv, created); err != nil {
		return fits(err)
	}
	if err := h.save(kv); err != nil {
		return fits(err)
	}
	if len(created) > 0 {
		if err := announce(r, owner, created); err != nil {
			return fits(err)
		}
	}
	w.Status(201)
	writeOwn(w, stored)
	return nil
}

// sift finds out which updates of a batch are new. What was uploaded before counts as it
// was then, and not at all if it was deleted since; stored has it in its place.
func sift(kv *guest.KV, h *head, batch []update) (stored, created []*update, err error) {
	var seen map[gid]struct{}
	if len(batch) > 1 {
		seen = make(map[gid]struct{}, len(batch))
	}
	stored = make([]*update, 0, len(batch))
	for i := range batch {
		u := &batch[i]
		if _, again := seen[u.id]; again {
			continue
		}
		if seen != nil {
			seen[u.id] = struct{}{}
		}
		before, err := findUpload(kv, u.id, u.owner)
		if err != nil {
			return nil, nil, err
		}
		if before == nil {
			created = append(created, u)
		} else if u, err = before.load(kv, u.id, h); err != nil {
			return nil, nil, err
		}
		if u != nil {
			stored = append(stored, u)
		}
	}
	return stored, created, nil
}

// store writes new updates.
func (h *head) store(kv *guest.KV, created []*update) error {
	room := 0
	for _, u := range created {
		room += u.room()
	}
	// Their args stay in it until the answer is written.
	var records abi.Writer
	records.Reset(make([]byte, 0, room))
	var t *topic
	number, suffix := make([]byte, 0, 2), make([]byte, 0, 2*maxText+16)
	for _, u := range created {
		if t == nil || t.mixed() || t.kind != u.kind || t.source != u.source {
			t = h.topicOf(u)
		}
		h.widen(t, u)
		start := records.Len()
		u.appendRecord(&records)
		suffix = rowSuffix(suffix[:0], t, u)
		if err := kv.PutStamped(feedKey(u.owner, t.number), suffix, records.Value()[start:]); err != nil {
			return err
		}
		number = binary.BigEndian.AppendUint16(number[:0], t.number)
		if err := kv.PutStamped(uploadKey(u.id, u.owner), nil, number); err != nil {
			return err
		}
	}
	return nil
}

// readBatch reads the updates of a body. Their texts share its memory.
func readBatch(body abi.Value, owner gid, now instant) ([]update, error) {
	if body.Kind() != abi.Array {
		return nil, fail(400, "bad_body", "", "body: want a JSON array of updates, got %s", body.Kind())
	}
	r := body.Read()
	n := r.Array()
	if n > maxBatch {
		return nil, fail(413, "too_many", "", "body: %d updates, which is more than the %d that are taken at once; send it in smaller parts", n, maxBatch)
	}
	batch := make([]update, n)
	for i := range batch {
		u := &batch[i]
		u.owner, u.uploaded = owner, now
		if err := u.readSent(&r, i); err != nil {
			return nil, err
		}
	}
	return batch, nil
}

// readSent reads the next element of a batch, the one at an index.
func (u *update) readSent(r *abi.Reader, index int) error {
	if kind := r.Kind(); kind != abi.Map {
		return refuse("bad_field", index, "", "want an object, got %s", kind)
	}
	// Of a field that repeats, the last one counts.
	var id, source, kind, created abi.Value
	for range r.Map() {
		field, value := r.TextBytes(), r.Value()
		switch string(field) {
		case "uuid":
			id = value
		case "source":
			source = value
		case "type":
			kind = value
		case "created_at":
			created = value
		case "payload":
			u.payload = value
		}
	}
	if r.Failed() {
		return abi.ErrFrame
	}
	text, err := sentText(id, index, "uuid")
	if err != nil {
		return err
	}
	var ok bool
	if u.id, u.upper, ok = parseUUID(text); !ok {
		return refuse("bad_uuid", index, "uuid", "want a UUID, such as 4470009d-ca3c-4819-aa3a-7fa04e9af258")
	}
	if u.source, err = sentName(source, index, "source"); err != nil {
		return err
	}
	if u.kind, err = sentName(kind, index, "type"); err != nil {
		return err
	}
	if text, err = sentText(created, index, "created_at"); err != nil {
		return err
	}
	var standard bool
	if u.created, standard, ok = parseDate(text); !ok {
		return refuse("bad_date", index, "created_at", "want an ISO-8601 date and time, such as 2026-11-21T10:15:00Z")
	}
	if u.createdText = text; !standard || len(text) > maxDateText {
		u.createdText = exactDate(u.created)
	}
	switch k := u.payload.Kind(); {
	case u.payload.IsNil():
		return missing(index, "payload")
	case k != abi.Map:
		return refuse("bad_field", index, "payload", "want an object, got %s", k)
	case len(u.payload) > maxPayload:
		return refuse("too_large", index, "payload", "takes %d bytes as MessagePack, want at most %d", len(u.payload), maxPayload)
	}
	return nil
}

func sentText(v abi.Value, index int, field string) (string, error) {
	r := v.Read()
	switch kind := r.Kind(); {
	case v.IsNil():
		return "", missing(index, field)
	case kind != abi.String:
		return "", refuse("bad_field", index, field, "want a string, got %s", kind)
	}
	return r.TextShared(), nil
}

// sentName reads a type or a source.
func sentName(v abi.Value, index int, field string) (string, error) {
	text, err := sentText(v, index, field)
	if err == nil && (text == "" || len(text) > maxText) {
		return "", refuse("bad_field", index, field, "has %d bytes, want 1 to %d", len(text), maxText)
	}
	return text, err
}

func missing(index int, field string) error {
	return refuse("missing_field", index, field, "is missing")
}

// refuse makes the error of an element of a batch. Its detail names the element, and
// the field unless that is "".
func refuse(code string, index int, field, format string, args ...any) error {
	var w abi.Writer
	w.Map()
	w.Key("index")
	w.Int(int64(index))
	at := fmt.Sprintf("[%d]", index)
	if field != "" {
		w.Key("field")
		w.Text(field)
		at += "." + field
	}
	w.End()
	return &guest.Error{Status: 400, Code: code, Message: at + ": " + fmt.Sprintf(format, args...), Detail: w.Value()}
}
