package main

import (
	"encoding/binary"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A group is an identity with members. Each membership is a key under the group
// and one under the member. A group that is deleted may have more of them than one
// transaction can remove, so the group's record decides: without it, a membership
// means nothing, and later changes of groups remove what is left.
const (
	maxMembers = 10000 // of a group
	maxGroups  = 500   // that an identity is in

	buryAtOnce = 1000 // memberships that the deletion of a group removes: what one scan finds
	buryLater  = 200  // that each later change of some group removes
)

// loadGroup returns a group, nil if there is none of that id.
func loadGroup(kv *guest.KV, id gid) (*identity, error) {
	i, err := loadIdentity(kv, id)
	if err != nil || i == nil || !i.group {
		return nil, err
	}
	return i, nil
}

func isMember(kv *guest.KV, group, who gid) (bool, error) {
	_, ok, err := kv.Get(memberKey(group, who))
	return ok, err
}

// groupsOf returns the groups that somebody is in, in the order of their ids.
func groupsOf(kv *guest.KV, who gid) ([]*identity, error) {
	keys, err := keysUnder(kv, memberOfKey(who), 0, everything)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	ids := make([]gid, len(keys))
	for n, k := range keys {
		ids[n] = lastGID(k)
	}
	groups, err := loadIdentities(kv, ids)
	if err != nil {
		return nil, err
	}
	live := groups[:0]
	for _, g := range groups {
		if g != nil {
			live = append(live, g)
		}
	}
	return live, nil
}

// add makes somebody a member who is none yet.
func (i *identity) add(r *guest.Request, who gid) error {
	kv := r.KV()
	if i.members >= maxMembers {
		return fail(409, "too_many", "uuid", "group: has %d members, which is as many as there can be", maxMembers)
	}
	groups, err := groupsOf(kv, who)
	if err != nil {
		return err
	}
	if len(groups) >= maxGroups {
		return fail(409, "too_many", "gid_uuid", "groups: %s is in %d, which is as many as there can be", who.String(), maxGroups)
	}
	i.members++
	if err := i.save(kv); err != nil {
		return err
	}
	joined := binary.BigEndian.AppendUint64(nil, uint64(r.Time().UnixMicro()))
	if err := kv.Put(memberKey(i.id, who), joined); err != nil {
		return err
	}
	if err := kv.Put(membershipKey(who, i.id), nil); err != nil {
		return err
	}
	return enter(r, abi.OpJoin, who, groupRoom(i.id))
}

// remove ends a membership.
func (i *identity) remove(r *guest.Request, who gid) error {
	kv := r.KV()
	i.members--
	if err := i.save(kv); err != nil {
		return err
	}
	if err := endMembership(kv, i.id, who); err != nil {
		return err
	}
	return enter(r, abi.OpLeave, who, groupRoom(i.id))
}

func endMembership(kv *guest.KV, group, who gid) error {
	if err := kv.Delete(memberKey(group, who)); err != nil {
		return err
	}
	return kv.Delete(membershipKey(who, group))
}

// delete ends the group, and all memberships with it.
func (i *identity) delete(r *guest.Request) error {
	kv := r.KV()
	if err := kv.Delete(identityKey(i.id)); err != nil {
		return err
	}
	done, err := bury(kv, i.id, buryAtOnce)
	if err != nil {
		return err
	}
	if !done {
		if err := kv.Put(buriedKey(i.id), nil); err != nil {
			return err
		}
	}
	room := []string{groupRoom(i.id)}
	return r.Publish(&abi.Message{Op: abi.OpLeave, To: room, Rooms: room})
}

// bury removes memberships of a deleted group, and tells whether none is left.
func bury(kv *guest.KV, group gid, limit int) (done bool, err error) {
	rg := guest.Prefix(membersKey(group))
	rg.Limit, rg.KeysOnly = limit, true
	page, err := kv.Scan(rg)
	if err != nil {
		return false, err
	}
	for _, e := range page.Entries {
		if err := endMembership(kv, group, lastGID(e.Key)); err != nil {
			return false, err
		}
	}
	return !page.More, nil
}

// tidy goes on burying a group that was deleted, if there is one.
func tidy(kv *guest.KV) error {
	list, err := keysUnder(kv, buriedGroupsKey(), 0, 1)
	if err != nil || len(list) == 0 {
		return err
	}
	done, err := bury(kv, lastGID(list[0]), buryLater)
	if err != nil || !done {
		return err
	}
	return kv.Delete(list[0])
}

// everything is a limit that takes all.
const everything = 1 << 30

// keysUnder returns at most limit of the keys that begin with a prefix, less the
// first skip.
func keysUnder(kv *guest.KV, prefix []byte, skip, limit int) (keys [][]byte, err error) {
	rg := guest.Prefix(prefix)
	rg.KeysOnly = true
	for {
		rg.Limit = min(skip+limit-len(keys), 1000)
		page, err := kv.Scan(rg)
		if err != nil {
			return nil, err
		}
		passed := min(skip, len(page.Entries))
		skip -= passed
		for _, e := range page.Entries[passed:] {
			keys = append(keys, e.Key)
		}
		if !page.More || len(keys) >= limit {
			return keys, nil
		}
		rg.Start = append(slices.Clip(page.Entries[len(page.Entries)-1].Key), 0)
	}
}

// lastGID returns the identity at the end of a key.
func lastGID(key []byte) gid { return gid(key[len(key)-gidSize:]) }
