package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// roomsOf returns the rooms in which somebody who listens is.
func roomsOf(kv *guest.KV, who gid) ([]string, error) {
	groups, err := groupsOf(kv, who)
	if err != nil {
		return nil, err
	}
	blocks, err := loadRoster(kv, blocksKey(who))
	if err != nil {
		return nil, err
	}
	rooms := append(make([]string, 0, 2+len(groups)+blocks.len()), everybody, ownRoom(who))
	for _, g := range groups {
		rooms = append(rooms, groupRoom(g.id))
	}
	for id := range blocks.all() {
		rooms = append(rooms, blockersRoom(id))
	}
	return rooms, nil
}

// listen: LISTEN {access_token, gid_uuid, filters}
func listen(w *guest.Response, r *guest.Request) error {
	self := me(r)
	wish := object(r.Arg(0))
	if kind := r.Arg(0).Kind(); kind != abi.Map {
		return fail(400, "bad_body", "", "LISTEN: want an object, got %s", kind)
	}
	id, err := wish.uuid("gid_uuid")
	if err != nil {
		return err
	}
	if id != self {
		return fail(403, "forbidden", "gid_uuid", "gid_uuid: is not the identity whose access_token this is")
	}
	filters, ok := readFilters(wish.value("filters"))
	if !ok {
		return fail(400, "bad_filters", "filters", `filters: want "*" or an array of at most %d arrays [type, source], each a string of at most %d bytes`, abi.MaxFilters, maxText)
	}
	rooms, err := roomsOf(r.KV(), self)
	if err != nil {
		return err
	}
	if err := r.Subscribe(rooms, filters); err != nil {
		return err
	}
	var argument abi.Writer
	argument.FixedArray(1)
	writeListening(&argument, self)
	writeListening(w.Value(), self)
	// Behind the subscription: who hears of it misses nothing from then on.
	return r.Publish(&abi.Message{Op: abi.OpEmit, To: []string{r.Connection()}, Events: []abi.Event{
		{Name: listening, Args: argument.Value()}, // without labels: it passes all filters
	}})
}

// listening is the event that tells a client that it has been subscribed.
const listening = "LISTENING"

func writeListening(w *abi.Writer, id gid) {
	w.Map()
	writeText(w, "gid_uuid", id.String())
	w.End()
}

// readFilters reads what a client wants to hear of; nil is everything.
func readFilters(v abi.Value) (filters [][]string, ok bool) {
	if !v.Exists() {
		return nil, true
	}
	if text, ok := v.TextBytes(); ok {
		return nil, string(text) == anything
	}
	if v.Kind() != abi.Array || v.Len() > abi.MaxFilters {
		return nil, false
	}
	filters = make([][]string, 0, v.Len())
	for pairs := v.Items(); pairs.Next(); {
		pair := pairs.Value()
		if pair.Kind() != abi.Array || pair.Len() != 2 {
			return nil, false
		}
		filter := make([]string, 0, 2)
		for texts := pair.Items(); texts.Next(); {
			text, ok := texts.Value().Text()
			if !ok || len(text) > maxText {
				return nil, false
			}
			filter = append(filter, text)
		}
		filters = append(filters, filter)
	}
	return filters, true
}
