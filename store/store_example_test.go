package store_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// open opens a store in a new directory. What the examples show holds for every
// driver.
func open() (store.Store, func()) {
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		log.Fatal(err)
	}
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir, Durability: badgerstore.Process})
	if err != nil {
		log.Fatal(err)
	}
	return s, func() {
		if err := errors.Join(s.Close(), os.RemoveAll(dir)); err != nil {
			log.Fatal(err)
		}
	}
}

// A transaction that conflicts has written nothing and is run again by whoever
// began it: how often, and what else has to be undone, only the caller knows.
func ExampleStore_update() {
	s, done := open()
	defer done()
	ctx := context.Background()

	increment := func(tx store.Txn) error {
		value, found, err := tx.Get([]byte("visits"))
		if err != nil {
			return err
		}
		n := uint64(0)
		if found {
			n = binary.BigEndian.Uint64(value)
		}
		return tx.Put([]byte("visits"), binary.BigEndian.AppendUint64(nil, n+1), 0)
	}
	for range 3 {
		err := s.Update(ctx, "example.org", increment)
		for errors.Is(err, store.ErrConflict) {
			err = s.Update(ctx, "example.org", increment)
		}
		if err != nil {
			log.Fatal(err)
		}
	}

	err := s.View(ctx, "example.org", func(tx store.Txn) error {
		value, _, err := tx.Get([]byte("visits"))
		if err != nil {
			return err
		}
		fmt.Println(binary.BigEndian.Uint64(value), "visits")
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 3 visits
}

// Pages are continued behind their last key.
func ExampleTxn_scan() {
	s, done := open()
	defer done()
	ctx := context.Background()
	err := s.Update(ctx, "example.org", func(tx store.Txn) error {
		for _, name := range []string{"ada", "ben", "cleo", "dan", "eve"} {
			if err := tx.Put([]byte("user/"+name), nil, time.Hour); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}

	err = s.View(ctx, "example.org", func(tx store.Txn) error {
		r := store.Range{Start: []byte("user/"), End: []byte("user0"), Limit: 2}
		for {
			page, err := tx.Scan(r)
			if err != nil {
				return err
			}
			for _, e := range page.Entries {
				fmt.Printf("%s ", e.Key)
			}
			fmt.Println("more:", page.More)
			if !page.More {
				return nil
			}
			last := page.Entries[len(page.Entries)-1].Key
			r.Start = append(append([]byte{}, last...), 0)
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// user/ada user/ben more: true
	// user/cleo user/dan more: true
	// user/eve more: false
}

// A feed in the order of commits: who asks for what follows the last stamp that
// was seen misses nothing, however many write at the same time.
func ExampleTxn_putStamped() {
	s, done := open()
	defer done()
	ctx := context.Background()
	post := func(text string) {
		err := s.Update(ctx, "example.org", func(tx store.Txn) error {
			return tx.PutStamped([]byte("feed/"), nil, []byte(text), 0)
		})
		if err != nil {
			log.Fatal(err)
		}
	}
	seen := []byte("feed/")
	follow := func() {
		err := s.View(ctx, "example.org", func(tx store.Txn) error {
			page, err := tx.Scan(store.Range{Start: seen, End: []byte("feed0")})
			for _, e := range page.Entries {
				fmt.Printf("%s\n", e.Value)
				seen = append(append([]byte{}, e.Key...), 0)
			}
			return err
		})
		if err != nil {
			log.Fatal(err)
		}
	}

	post("good morning")
	post("rain at noon")
	follow()
	post("sun again")
	follow()
	// Output:
	// good morning
	// rain at noon
	// sun again
}
