package main

import (
	"encoding/binary"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// The key space. Numbers are big endian, so that keys sort as the numbers do;
// an account is written with its length before it, so that no account's range
// reaches into another's.
//
//	t ticket                     the ticket's record
//	a account ticket             the account's active tickets → end time
//	l account ^start ticket      all of the account's tickets, the newest first
//	g ticket STAMP               what happened on the ticket, in commit order
//	p ticket t                   its points by time; t is the first of a chunk
//	d ticket pid name            its properties as they stand
//	j ticket number              its invites in the order they were made → code
//	k ticket kind hash           what an invite of it must not repeat → code
//	i code                       the invite's record
//	c account STAMP              which of the account's invites changed → code or ticket
//	v account code viewer        who is viewing now
//	w code viewer                who has ever viewed
//	n code shard                 how many have, and when last
//	m account                    since when how many of its invites the server delivers
const (
	keyTicket   = 't'
	keyActive   = 'a'
	keyListed   = 'l'
	keyLog      = 'g'
	keyPoints   = 'p'
	keyProperty = 'd'
	keyInvites  = 'j'
	keyUnique   = 'k'
	keyInvite   = 'i'
	keyChange   = 'c'
	keyViewing  = 'v'
	keyViewer   = 'w'
	keyViews    = 'n'
	keyDelivery = 'm'
)

func number(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }

// ticketKey appends the key, or the prefix of the keys, of a ticket.
func ticketKey(b []byte, kind byte, id uint64) []byte { return number(append(b, kind), id) }

// accountKey appends the prefix of the keys of an account.
func accountKey(b []byte, kind byte, account string) []byte {
	b = binary.AppendUvarint(append(b, kind), uint64(len(account)))
	return append(b, account...)
}

// codeKey appends the key, or the prefix of the keys, of an invite.
func codeKey(b []byte, kind byte, c code) []byte { return c.append(append(b, kind)) }

// stampOf reads the stamp behind a prefix of that length.
func stampOf(key []byte, prefix int) int64 {
	return int64(binary.BigEndian.Uint64(key[prefix:]))
}

// lastStamp returns the largest stamp under a prefix, 0 if there is none.
func lastStamp(kv *guest.KV, prefix []byte) (int64, error) {
	rg := guest.Prefix(prefix)
	rg.Reverse, rg.Limit = true, 1
	page, err := kv.Scan(rg)
	if err != nil || len(page.Entries) == 0 {
		return 0, err
	}
	return stampOf(page.Entries[0].Key, len(prefix)), nil
}

// after returns the range of the stamps above one.
func after(prefix []byte, stamp int64) abi.Range {
	start := number(append([]byte(nil), prefix...), uint64(stamp)+1)
	return abi.Range{Start: start, End: guest.PrefixEnd(prefix)}
}

// each calls fn with all entries of a range.
func each(kv *guest.KV, rg abi.Range, fn func(e abi.Entry) error) error {
	for {
		page, err := kv.Scan(rg)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		rg.Start = append(append([]byte(nil), page.Entries[len(page.Entries)-1].Key...), 0)
	}
}
