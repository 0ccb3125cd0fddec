package main

import (
	"encoding/binary"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// The sets that comments are in:
//
//	all      those that people see
//	thread   of one post: those that are not hidden themselves, whether the post is or not
//	flagged  of one post: those that anybody has flagged, ever, hidden or not
//
// A post that is hidden or deleted takes its thread out of all at once.

func allComments(kv *guest.KV) *set { return newSet(kv, byte(shelfComments), 'a') }

func thread(kv *guest.KV, post uint32) *set { return newSet(kv, threadKey('t', post)...) }

func flagged(kv *guest.KV, post uint32) *set { return newSet(kv, threadKey('f', post)...) }

func threadKey(kind byte, post uint32) []byte {
	return binary.BigEndian.AppendUint32(append(make([]byte, 0, 6), byte(shelfComments), kind), post)
}

// hideComments takes the comments of a post that is to be hidden out of the list of all.
func hideComments(r *guest.Request, post uint32) error {
	comments := thread(r.KV(), post)
	if n, err := comments.count(); err != nil || n == 0 {
		return err
	}
	if err := allComments(r.KV()).removeAll(comments); err != nil {
		return err
	}
	return touch(r, shelfComments)
}

// showComments puts the comments of a post that was hidden back into the list of all.
func showComments(r *guest.Request, post uint32) error {
	comments := thread(r.KV(), post)
	if n, err := comments.count(); err != nil || n == 0 {
		return err
	}
	if err := allComments(r.KV()).addAll(comments); err != nil {
		return err
	}
	return touch(r, shelfComments)
}

// removeComments deletes the comments of a post that is deleted. Nobody sees any from
// then on. The records of the first ones go at once; what is left is erased by later
// calls that write, so that none takes long.
func removeComments(r *guest.Request, post uint32) error {
	if err := hideComments(r, post); err != nil {
		return err
	}
	if err := eraseSome(r); err != nil {
		return err
	}
	return erase(r.KV(), post, 0)
}

// eraseSome erases some of the comments that deleted posts have left. Calls that write
// call it, but for the update of a post, which may need all its writes for itself.
func eraseSome(r *guest.Request) error {
	left := guest.Prefix([]byte{keyErase})
	left.Limit = 1
	page, err := r.KV().Scan(left)
	if err != nil || len(page.Entries) == 0 {
		return err
	}
	e := page.Entries[0]
	done := abi.Value(e.Value).Read()
	skip := done.Int()
	if len(e.Key) != 1+4 || !done.Done() || skip < 0 {
		return fmt.Errorf("comments to be erased, %x: cannot be read: want the number of a post, and how many are erased", e.Key)
	}
	return erase(r.KV(), binary.BigEndian.Uint32(e.Key[1:]), int(skip))
}

// keyErase is followed by the number of a deleted post. Its value is how many of the
// comments are erased: of the flagged ones first, then of the thread. Both sets stay
// as they are until the end.
const keyErase = 'e'

const (
	// eraseAtOnce is how much a call erases: it costs so many writes, more or less,
	// of the 4,096 that a call has for all that it does.
	eraseAtOnce = 200

	// flaggedWrites is what it costs to erase a comment that was flagged: the record,
	// the flags, and the place in the queue of the operators.
	flaggedWrites = 5
)

// erase goes on erasing the comments of a post behind the first done ones.
func erase(kv *guest.KV, post uint32, done int) error {
	marked, comments := flagged(kv, post), thread(kv, post)
	first, err := marked.count()
	if err != nil {
		return err
	}
	all, err := comments.count()
	if err != nil {
		return err
	}
	all += first
	key := numberKey(keyErase, post)
	budget := eraseAtOnce
	if done < first {
		// These first: the operators' queue must not lead to what is gone.
		numbers, err := marked.page(done, budget/flaggedWrites)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if err := dropFlags(kv, shelfComments, n); err != nil {
				return err
			}
			if err := kv.Delete(commentKey(n)); err != nil {
				return err
			}
		}
		done += len(numbers)
		budget -= flaggedWrites * len(numbers)
	}
	if done >= first && budget > 0 {
		numbers, err := comments.page(done-first, budget)
		if err != nil {
			return err
		}
		for _, n := range numbers {
			if err := kv.Delete(commentKey(n)); err != nil {
				return err
			}
		}
		done += len(numbers)
	}
	if done < all {
		var w abi.Writer
		w.Int(int64(done))
		return kv.Put(key, w.Value())
	}
	if err := comments.drop(); err != nil {
		return err
	}
	if err := marked.drop(); err != nil {
		return err
	}
	return kv.Delete(key)
}
