package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// CountFrom has the numbers of posts and comments begin behind those.
func CountFrom(kv *guest.KV, lastPost, lastComment uint32) error {
	for s, last := range map[shelf]uint32{shelfPosts: lastPost, shelfComments: lastComment} {
		var w abi.Writer
		w.FixedArray(2)
		w.Int(int64(last))
		w.Int(0) // when that was given
		if err := kv.Put(shelfKey(keyCounter, s), w.Value()); err != nil {
			return err
		}
	}
	return nil
}
