package main

import (
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Rooms. Whoever listens is in the room of all, in his own, in that of each of his
// groups, and in that of the blockers of each whom he has blocked.
const everybody = "*"

func ownRoom(id gid) string      { return "i" + string(id[:]) }
func groupRoom(id gid) string    { return "g" + string(id[:]) }
func blockersRoom(id gid) string { return "m" + string(id[:]) }

// enter has the connections of somebody enter a room, or leave it.
func enter(r *guest.Request, op abi.Op, who gid, room string) error {
	return r.Publish(&abi.Message{Op: op, To: []string{ownRoom(who)}, Rooms: []string{room}})
}

// statusUpdate is the event that listeners get.
const statusUpdate = "STATUS_UPDATE"

// An announcement tells listeners of updates.
type announcement struct {
	r           *guest.Request
	owner       gid
	permissions []permission

	// Nil until they are needed.
	contacts []string // the owner's contacts' own rooms
	except   []string // of the owner and of whom he shares nothing with
}

// announce tells listeners of updates that the owner has just uploaded, in their
// order: neighbours for the same rooms at once. It is on the way of each upload, so
// most of it waits until there is somebody to tell.
func announce(r *guest.Request, owner gid, list []*update) error {
	permissions, err := loadPermissions(r.KV(), owner)
	if err != nil || len(permissions) == 0 {
		return err
	}
	a := announcement{r: r, owner: owner, permissions: permissions}
	var matching, last []int
	start := 0
	for i, u := range list {
		matching = a.matching(matching[:0], u)
		if i > 0 && !slices.Equal(matching, last) {
			if err := a.publish(list[start:i], last); err != nil {
				return err
			}
			start = i
		}
		matching, last = last, matching
	}
	return a.publish(list[start:], last)
}

// toEverybody stands for a permission for all in a list of permissions that share an
// update: it makes the others idle.
const toEverybody = -1

// matching appends the indices of the permissions that share u.
func (a *announcement) matching(list []int, u *update) []int {
	for i := range a.permissions {
		p := &a.permissions[i]
		if !p.covers(u.kind, u.source) || !p.during(u.created) {
			continue
		}
		if p.audience == toAll {
			return append(list[:0], toEverybody)
		}
		list = append(list, i)
	}
	return list
}

// publish tells the recipients of these permissions of updates.
func (a *announcement) publish(list []*update, matching []int) error {
	if len(matching) == 0 {
		return nil
	}
	rooms, err := a.rooms(matching)
	if err != nil || len(rooms) == 0 {
		return err
	}
	if a.except == nil {
		blocks, err := loadRoster(a.r.KV(), blocksKey(a.owner))
		if err != nil {
			return err
		}
		a.except = append(make([]string, 0, blocks.len()+2), ownRoom(a.owner), blockersRoom(a.owner))
		for id := range blocks.all() {
			a.except = append(a.except, ownRoom(id))
		}
	}
	return a.r.Publish(&abi.Message{Op: abi.OpEmit, To: rooms, Except: a.except, Events: events(list)})
}

// rooms returns where the recipients of these permissions are.
func (a *announcement) rooms(matching []int) ([]string, error) {
	if matching[0] == toEverybody {
		return []string{everybody}, nil
	}
	rooms := make([]string, 0, len(matching))
	contacts := false
	for _, i := range matching {
		switch p := &a.permissions[i]; p.audience {
		case toContacts:
			contacts = true
		case toGroup:
			rooms = append(rooms, groupRoom(p.recipient))
		case toIndividual:
			rooms = append(rooms, ownRoom(p.recipient))
		}
	}
	if !contacts {
		return rooms, nil
	}
	if a.contacts == nil {
		ids, err := loadRoster(a.r.KV(), contactsKey(a.owner))
		if err != nil {
			return nil, err
		}
		a.contacts = make([]string, 0, ids.len())
		for id := range ids.all() {
			a.contacts = append(a.contacts, ownRoom(id))
		}
	}
	return append(rooms, a.contacts...), nil
}

// events returns an event for each update.
func events(list []*update) []abi.Event {
	events, labels := make([]abi.Event, len(list)), make([]string, 2*len(list))
	for i, u := range list {
		labels[2*i], labels[2*i+1] = u.kind, u.source
		events[i] = abi.Event{Name: statusUpdate, ID: u.text(), Labels: labels[2*i : 2*i+2], Args: u.args}
	}
	return events
}
