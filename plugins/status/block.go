package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const maxBlocks = 1000

// A block ends sharing in both directions. Of what the blocked one uploads, the
// blocker's connections are left out by being in a room of those who have blocked
// him; of what the blocker uploads, the blocked one's by his own room.

// listBlocks: GET /v1/blocks
func listBlocks(w *guest.Response, r *guest.Request) error {
	blocks, err := loadRoster(r.KV(), blocksKey(me(r)))
	if err != nil {
		return err
	}
	return blocks.write(w, r)
}

// addBlock: POST /v1/blocks
func addBlock(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	id, err := body.other(self)
	if err != nil {
		return err
	}
	blocks, err := loadRoster(kv, blocksKey(self))
	if err != nil {
		return err
	}
	if !blocks.has(id) {
		if blocks.len() == maxBlocks {
			return fail(409, "too_many", "gid_uuid", "blocks: you have %d, which is as many as there can be", maxBlocks)
		}
		if err := blocks.with(id).save(kv, blocksKey(self)); err != nil {
			return err
		}
		if err := enter(r, abi.OpJoin, self, blockersRoom(id)); err != nil {
			return err
		}
		w.Status(201)
	}
	person, err := loadIdentity(kv, id)
	if err != nil {
		return err
	}
	writePerson(w.Value(), id, person)
	return nil
}

// removeBlock: DELETE /v1/blocks/:uuid
func removeBlock(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return err
	}
	blocks, err := loadRoster(kv, blocksKey(self))
	if err != nil {
		return err
	}
	index := blocks.index(id)
	if index < 0 {
		return notFound("uuid")
	}
	if err := blocks.without(index).save(kv, blocksKey(self)); err != nil {
		return err
	}
	if err := enter(r, abi.OpLeave, self, blockersRoom(id)); err != nil {
		return err
	}
	w.Status(204)
	return nil
}
