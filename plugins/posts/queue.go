package main

import (
	"encoding/binary"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// moveInQueue puts something where it belongs in the operators' queue when its flags
// change; with none it is not in the queue.
func moveInQueue(kv *guest.KV, s shelf, number uint32, before, now int) error {
	if before == now {
		return nil
	}
	if before > 0 {
		if err := kv.Delete(queueKey(s, before, number)); err != nil {
			return err
		}
	}
	if now > 0 {
		if err := kv.Put(queueKey(s, now, number), nil); err != nil {
			return err
		}
	}
	if before > 0 && now > 0 {
		return nil
	}
	length, err := queueLength(kv, s)
	if err != nil {
		return err
	}
	if now > 0 {
		length++
	} else {
		length--
	}
	var w abi.Writer
	w.Int(int64(length))
	return kv.Put(shelfKey(keyQueue, s), w.Value())
}

func queueLength(kv *guest.KV, s shelf) (int, error) {
	record, found, err := kv.Get(shelfKey(keyQueue, s))
	if err != nil || !found {
		return 0, err
	}
	r := abi.Value(record).Read()
	n := r.Int()
	if !r.Done() {
		return 0, fmt.Errorf("length of the queue of %c: cannot be read: want a number", s)
	}
	return int(n), nil
}

// readQueue returns a page of the queue, those with the most flags first, of these the
// oldest, and how long it is. It passes over the keys before the page.
func readQueue(kv *guest.KV, s shelf, skip, limit int) (total int, numbers []uint32, err error) {
	if total, err = queueLength(kv, s); err != nil || skip >= total {
		return total, nil, err
	}
	all := guest.Prefix(shelfKey(keyQueue, s))
	all.Start = append(all.Start, 0) // behind the length
	all.KeysOnly = true
	for len(numbers) < limit {
		page, err := kv.Scan(all)
		if err != nil {
			return 0, nil, err
		}
		n := len(page.Entries)
		for _, e := range page.Entries[min(skip, n):] {
			if len(numbers) < limit {
				numbers = append(numbers, binary.BigEndian.Uint32(e.Key[len(e.Key)-4:]))
			}
		}
		skip -= min(skip, n)
		if !page.More {
			break
		}
		all.Start = append(page.Entries[n-1].Key[:len(page.Entries[n-1].Key):len(page.Entries[n-1].Key)], 0)
	}
	return total, numbers, nil
}
