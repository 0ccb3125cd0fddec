package main

import (
	"encoding/binary"
	"math"

	"github.com/edgeset/edgeset/abi"
)

// The key space. Numbers are big endian, so that keys sort as the numbers do; UUIDs
// have 16 bytes, so that nobody's range reaches into another's.
//
//	u uuid owner STAMP → topic   each update that was ever uploaded; it stays when the
//	                             update is deleted: repeats and cursors need it
//	f owner topic STAMP created  an update, in the feed of its topic. In the mixed topic
//	                             type and source stand behind created
//	h owner                      → where the owner's updates are: see head
//
//	p owner                      → permissions, in one record
//	s a owner                    has a permission for all
//	s i identity owner           has one for this individual
//	s g group owner              has one for this group
//
//	i identity                   → what is known of an individual, or of a group
//	c owner                      → contacts, in one record
//	k identity owner             has this identity as a contact
//	b owner                      → blocks, in one record
//	m group member               is a member → since when
//	n member group               the same from the other side
//	x group                      deleted, and may have memberships left
//
// The row u of an update is written right behind its row f: no other stamp lies
// between theirs. So f is the last one of its feed before u.
const (
	keyUpload      = 'u'
	keyFeed        = 'f'
	keyHead        = 'h'
	keyPermissions = 'p'
	keyShares      = 's'
	keyIdentity    = 'i'
	keyContacts    = 'c'
	keyContactOf   = 'k'
	keyBlocks      = 'b'
	keyMember      = 'm'
	keyMembership  = 'n'
	keyBuried      = 'x'
)

const stampSize = 8

// oneKey and twoKey make keys that begin with UUIDs.
func oneKey(kind byte, a gid) []byte { return append(append(make([]byte, 0, 48), kind), a[:]...) }

func twoKey(kind byte, a, b gid) []byte { return append(oneKey(kind, a), b[:]...) }

// uploadKey is the prefix of the one key that tells whether owner has uploaded an
// update of this UUID, uploadsKey that of all who have.
func uploadKey(id, owner gid) []byte { return twoKey(keyUpload, id, owner) }
func uploadsKey(id gid) []byte       { return oneKey(keyUpload, id) }

func headKey(owner gid) []byte { return oneKey(keyHead, owner) }

// feedKey is the prefix of a feed's rows.
func feedKey(owner gid, topic uint16) []byte {
	return binary.BigEndian.AppendUint16(oneKey(keyFeed, owner), topic)
}

// feedPrefix is how long that is.
const feedPrefix = 1 + 16 + 2

// sortable makes a number whose bytes sort as the instants do.
func sortable(at instant) uint64 { return uint64(at) ^ 1<<63 }

// rowSuffix returns what stands behind the stamp in a row's key.
func rowSuffix(b []byte, t *topic, u *update) []byte {
	b = binary.BigEndian.AppendUint64(b, sortable(u.created))
	if t.mixed() {
		b = append(append(append(b, byte(len(u.kind))), u.kind...), u.source...)
	}
	return b
}

// A position is what the key of a row tells of its update.
type position struct {
	stamp        uint64
	created      instant
	kind, source []byte // of the mixed topic's rows
}

// positionOf reads the key of a row.
func positionOf(key []byte) (p position, ok bool) {
	const end = feedPrefix + stampSize + 8
	if len(key) < end {
		return p, false
	}
	p.stamp = binary.BigEndian.Uint64(key[feedPrefix:])
	p.created = instant(binary.BigEndian.Uint64(key[feedPrefix+stampSize:]) ^ 1<<63)
	if rest := key[end:]; len(rest) > 0 {
		n := 1 + int(rest[0])
		if len(rest) < n {
			return p, false
		}
		p.kind, p.source = rest[1:n], rest[n:]
	}
	return p, true
}

// stampsOf returns the range of a feed's rows with stamps above one and below another.
func stampsOf(owner gid, topic uint16, above, below uint64) abi.Range {
	start := feedKey(owner, topic)
	end := append(make([]byte, 0, feedPrefix+stampSize), start...)
	return abi.Range{
		Start: binary.BigEndian.AppendUint64(start, above+1),
		End:   binary.BigEndian.AppendUint64(end, below),
	}
}

// latest is larger than all stamps.
const latest = math.MaxUint64

func permissionsKey(owner gid) []byte { return oneKey(keyPermissions, owner) }

func shareAllKey() []byte                   { return []byte{keyShares, 'a'} }
func shareIdentityKey(recipient gid) []byte { return append([]byte{keyShares, 'i'}, recipient[:]...) }
func shareGroupKey(group gid) []byte        { return append([]byte{keyShares, 'g'}, group[:]...) }

func sharesWithAllKey(owner gid) []byte { return append(shareAllKey(), owner[:]...) }

func sharesWithIdentityKey(recipient, owner gid) []byte {
	return append(shareIdentityKey(recipient), owner[:]...)
}

func sharesWithGroupKey(group, owner gid) []byte { return append(shareGroupKey(group), owner[:]...) }

func identityKey(id gid) []byte { return oneKey(keyIdentity, id) }

func contactsKey(owner gid) []byte { return oneKey(keyContacts, owner) }

// contactOfKey is under the one who is a contact.
func contactOfKey(contact, owner gid) []byte { return twoKey(keyContactOf, contact, owner) }
func contactsOfKey(contact gid) []byte       { return oneKey(keyContactOf, contact) }

func blocksKey(owner gid) []byte { return oneKey(keyBlocks, owner) }

func membersKey(group gid) []byte            { return oneKey(keyMember, group) }
func memberKey(group, member gid) []byte     { return twoKey(keyMember, group, member) }
func memberOfKey(member gid) []byte          { return oneKey(keyMembership, member) }
func membershipKey(member, group gid) []byte { return twoKey(keyMembership, member, group) }

func buriedGroupsKey() []byte    { return []byte{keyBuried} }
func buriedKey(group gid) []byte { return oneKey(keyBuried, group) }
