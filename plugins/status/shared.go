package main

import (
	"math"
	"slices"

	"github.com/edgeset/edgeset/abi/guest"
)

const (
	maxSharers  = 10000    // who may share something with a reader
	maxIndexed  = 100000   // keys of the index that are looked at to find them
	maxSharings = 24 << 20 // bytes of what is read of them
	maxSince    = 50       // updates on a page behind since_uuid

	// sharersAtOnce bounds what is read at a time. Of one of them it is at most
	// 100 KiB of permissions, or of what tells where his updates are.
	sharersAtOnce = 150
)

// A reader is somebody to whom others show their updates.
type reader struct {
	kv     *guest.KV
	id     gid
	groups map[gid]bool
	blocks roster
	by     *gid // nil: whoever shares something
}

func newReader(r *guest.Request) (*reader, error) {
	rd := &reader{kv: r.KV(), id: me(r)}
	groups, err := groupsOf(rd.kv, rd.id)
	if err != nil {
		return nil, err
	}
	if len(groups) > 0 {
		rd.groups = make(map[gid]bool, len(groups))
		for _, g := range groups {
			rd.groups[g.id] = true
		}
	}
	rd.blocks, err = loadRoster(rd.kv, blocksKey(rd.id))
	return rd, err
}

// A sharer is somebody who may share something with a reader.
type sharer struct {
	id      gid
	contact bool // he has the reader as a contact
	share   []permission
}

// sharers returns those who have a permission that may be for the reader, or have him
// as a contact, less those whom he has blocked.
func (rd *reader) sharers() ([]sharer, error) {
	if rd.by != nil {
		if *rd.by == rd.id || rd.blocks.has(*rd.by) {
			return nil, nil
		}
		_, contact, err := rd.kv.Get(contactOfKey(rd.id, *rd.by))
		return []sharer{{id: *rd.by, contact: contact}}, err
	}
	prefixes := [][]byte{contactsOfKey(rd.id), shareAllKey(), shareIdentityKey(rd.id)}
	for g := range rd.groups {
		prefixes = append(prefixes, shareGroupKey(g))
	}
	var list []sharer
	known := map[gid]bool{rd.id: true}
	for id := range rd.blocks.all() {
		known[id] = true
	}
	indexed := 0
	for i, prefix := range prefixes {
		keys, err := keysUnder(rd.kv, prefix, 0, maxSharers+1)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			if id := lastGID(key); !known[id] {
				known[id] = true
				list = append(list, sharer{id: id, contact: i == 0})
			}
		}
		// The same sharer may stand in many places.
		if indexed += len(keys); len(list) > maxSharers || indexed > maxIndexed {
			return nil, tooManySharers()
		}
	}
	return list, nil
}

func tooManySharers() error {
	return fail(422, "too_many_sharers", "shared_by", "shared: too many share with you to look at all of them at once; name one with shared_by")
}

// feeds returns where the updates of a type and source ("": any) are that are shared
// with the reader.
func (rd *reader) feeds(kind, source string) ([]feed, error) {
	sharers, err := rd.sharers()
	if err != nil {
		return nil, err
	}
	var feeds []feed
	size := 0
	for len(sharers) > 0 {
		n := min(len(sharers), sharersAtOnce)
		if feeds, err = rd.appendFeeds(feeds, sharers[:n], kind, source, &size); err != nil {
			return nil, err
		}
		sharers = sharers[n:]
	}
	return feeds, nil
}

// appendFeeds reads what some sharers share. Most of those who have the reader as a
// contact share nothing: so permissions are read first, and the rest of those who do.
func (rd *reader) appendFeeds(feeds []feed, some []sharer, kind, source string, size *int) ([]feed, error) {
	keys := make([][]byte, len(some), 2*len(some))
	for i := range some {
		keys[i] = permissionsKey(some[i].id)
	}
	records, err := rd.read(keys, size)
	if err != nil {
		return nil, err
	}
	var all []permission // of all of them: one list costs less than many
	sharing := some[:0]
	for i, s := range some {
		own := len(all)
		if all, err = readPermissions(all, records[i]); err != nil {
			return nil, err
		}
		end := own
		for j := own; j < len(all); j++ {
			if rd.receives(&all[j], s.contact) {
				all[end] = all[j]
				end++
			}
		}
		all = all[:end]
		if s.share = all[own:end:end]; len(s.share) > 0 {
			sharing = append(sharing, s)
		}
	}
	if len(sharing) == 0 {
		return feeds, nil
	}
	keys = keys[:0]
	for i := range sharing {
		keys = append(keys, headKey(sharing[i].id), blocksKey(sharing[i].id))
	}
	if records, err = rd.read(keys, size); err != nil {
		return nil, err
	}
	for i := range sharing {
		record, blocks := records[2*i], roster(records[2*i+1])
		if record == nil || blocks.has(rd.id) {
			continue
		}
		h, err := readHead(sharing[i].id, record)
		if err != nil {
			return nil, err
		}
		topics := h.topicsFor(kind, source)
		feeds = slices.Grow(feeds, len(topics))
		for _, t := range topics {
			f := feed{owner: sharing[i].id, head: h, topic: t}
			if f.share(sharing[i].share) {
				feeds = append(feeds, f)
			}
		}
	}
	return feeds, nil
}

// read reads many records and counts their size.
func (rd *reader) read(keys [][]byte, size *int) ([][]byte, error) {
	records, err := rd.kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	for _, record := range records {
		*size += len(record)
	}
	if *size > maxSharings {
		return nil, tooManySharers()
	}
	return records, nil
}

// receives tells whether the reader is a recipient of a permission, of one who has him
// as a contact or has not.
func (rd *reader) receives(p *permission, contact bool) bool {
	switch p.audience {
	case toAll:
		return true
	case toContacts:
		return contact
	case toGroup:
		return rd.groups[p.recipient]
	case toIndividual:
		return p.recipient == rd.id
	}
	return false
}

// share sets which updates of the feed some permissions cover, and tells whether they
// cover any.
func (f *feed) share(list []permission) bool {
	t := f.topic
	f.from, f.to = math.MaxInt64, math.MinInt64
	for i := range list {
		p := &list[i]
		covered := p.covers(t.kind, t.source)
		if t.mixed() {
			covered = p.kind == anything && p.source == anything
		} else if !covered {
			continue
		}
		if covered && p.unbounded() {
			f.from, f.to, f.allow = math.MinInt64, math.MaxInt64, nil
			return true
		}
		// The bounds of a permission are exclusive, but for those that stand for none.
		from, to := p.from, p.until
		if from != always {
			from++
		}
		if to != never {
			to--
		}
		f.from, f.to = min(f.from, from), max(f.to, to)
	}
	if f.from > f.to {
		return false
	}
	f.allow = func(u *update) bool {
		for i := range list {
			if p := &list[i]; p.during(u.created) && p.covers(u.kind, u.source) {
				return true
			}
		}
		return false
	}
	return true
}

// getShared: GET /v1/status/shared
func getShared(w *guest.Response, r *guest.Request) error {
	s, by, since, err := sharedQuery(r)
	if err != nil {
		return err
	}
	rd, err := newReader(r)
	if err != nil {
		return err
	}
	rd.by = by
	if since != nil {
		if s.after, err = rd.stampOf(*since, "since_uuid"); err != nil {
			return err
		}
	}
	feeds, err := rd.feeds(s.kind, s.source)
	if err != nil {
		return err
	}
	list, err := collect(rd.kv, feeds, s)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Array()
	for _, u := range list {
		u.appendShared(v)
	}
	v.End()
	return nil
}

func sharedQuery(r *guest.Request) (s selection, by, since *gid, err error) {
	s = selection{kind: r.Query("type"), source: r.Query("source"), from: math.MinInt64, to: math.MaxInt64}
	if s.skip, s.limit, err = pageOf(r, maxPerPage); err != nil {
		return s, nil, nil, err
	}
	if err = queryDate(r, "start", &s.from); err != nil {
		return s, nil, nil, err
	}
	if err = queryDate(r, "end", &s.to); err != nil {
		return s, nil, nil, err
	}
	if by, err = queryUUID(r, "shared_by"); err != nil {
		return s, nil, nil, err
	}
	if since, err = queryUUID(r, "since_uuid"); err != nil {
		return s, nil, nil, err
	}
	if since != nil && s.limit > maxSince {
		s.skip, s.limit = s.skip/s.limit*maxSince, maxSince
	}
	return s, by, since, nil
}

// queryDate reads a date among the parameters; at stays as it is if there is none.
func queryDate(r *guest.Request, name string, at *instant) error {
	text := r.Query(name)
	if text == "" {
		return nil
	}
	date, _, ok := parseDate(text)
	if !ok {
		return fail(400, "bad_parameter", name, "%s: want an ISO-8601 date and time, such as 2026-11-21T10:15:00Z", name)
	}
	*at = date
	return nil
}

// queryUUID reads a UUID among the parameters, nil if there is none.
func queryUUID(r *guest.Request, name string) (*gid, error) {
	return uuidParameter(name, r.Query(name))
}

func uuidParameter(name, text string) (*gid, error) {
	if text == "" {
		return nil, nil
	}
	id, _, ok := parseUUID(text)
	if !ok {
		return nil, fail(400, "bad_parameter", name, "%s: want a UUID, such as 4470009d-ca3c-4819-aa3a-7fa04e9af258", name)
	}
	return &id, nil
}

// stampOf returns the stamp behind which the updates are that were uploaded after the
// one of this id. Several may have uploaded one of it, each their own: those count whom
// the reader can have it from, whatever he asks for now, and of these the first, as what
// lies between is then told once more, rather than not at all.
func (rd *reader) stampOf(id gid, name string) (uint64, error) {
	list, err := findUploads(rd.kv, id)
	if err != nil {
		return 0, err
	}
	if len(list) == 0 {
		return 0, fail(400, "unknown_uuid", name, "%s: nobody has uploaded an update of that id; begin again without it", name)
	}
	if len(list) == 1 {
		return list[0].stamp, nil
	}
	near, first := uint64(math.MaxUint64), uint64(math.MaxUint64)
	for _, u := range list {
		known, err := rd.knows(u.owner)
		if err != nil {
			return 0, err
		}
		if first = min(first, u.stamp); known {
			near = min(near, u.stamp)
		}
	}
	if near == math.MaxUint64 {
		return first, nil
	}
	return near, nil
}

// knows tells whether the reader sees updates of somebody.
func (rd *reader) knows(who gid) (bool, error) {
	if who == rd.id {
		return true, nil
	}
	one := *rd
	one.by = &who
	feeds, err := one.feeds("", "")
	return len(feeds) > 0, err
}
