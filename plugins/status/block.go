package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

const maxBlocks = 1000

// blockBook is whom somebody has blocked, which ends sharing in both directions. Of what
// the blocked one uploads, the blocker's connections are left out by being in a room of
// those who have blocked him; of what the blocker uploads, the blocked one's by his own
// room.
func blockBook() *book {
	return &book{
		name: "blocks", max: maxBlocks, key: blocksKey,
		entered: func(r *guest.Request, owner, id gid) error {
			return enter(r, abi.OpJoin, owner, blockersRoom(id))
		},
		left: func(r *guest.Request, owner, id gid) error {
			return enter(r, abi.OpLeave, owner, blockersRoom(id))
		},
	}
}
