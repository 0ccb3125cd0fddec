package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/storetest/hammer"
)

const (
	accounts = 12
	perHead  = 1000
)

// testBank moves money between accounts. No account may be overdrawn, the total
// never changes for anybody who looks, and a count kept with each account says
// how many transfers it has seen, none lost and none twice.
func testBank(t *testing.T, open Open) {
	s := start(t, open)
	const space = "bank"
	must(t, update(s, space, func(tx store.Txn) error {
		var err error
		for i := range accounts {
			err = errors.Join(err, writeAccount(tx, i, account{perHead, 0}))
		}
		return err
	}))
	var moved [accounts]atomic.Int64
	hammer.For(t, 12, 700*time.Millisecond, func(g, round int) error {
		if g%4 == 0 {
			return view(s, space, func(tx store.Txn) error { return audit(tx, round%2 == 0) })
		}
		from, to, amount := rand.IntN(accounts), rand.IntN(accounts), 1+rand.Int64N(perHead/2)
		if from == to {
			return nil
		}
		done := false
		err := update(s, space, func(tx store.Txn) error {
			done = false
			a, err := readAccount(tx, from)
			if err != nil || a.balance < amount {
				return err
			}
			b, err := readAccount(tx, to)
			if err != nil {
				return err
			}
			done = true
			return errors.Join(
				writeAccount(tx, from, account{a.balance - amount, a.count + 1}),
				writeAccount(tx, to, account{b.balance + amount, b.count + 1}))
		})
		if err == nil && done {
			moved[from].Add(1)
			moved[to].Add(1)
		}
		return err
	})
	must(t, view(s, space, func(tx store.Txn) error {
		if err := audit(tx, true); err != nil {
			return err
		}
		for i := range accounts {
			a, err := readAccount(tx, i)
			if err != nil {
				return err
			}
			if want := moved[i].Load(); a.count != want {
				return fmt.Errorf("account %d counts %d transfers, %d were acknowledged", i, a.count, want)
			}
		}
		return nil
	}))
}

type account struct{ balance, count int64 }

func accountKey(i int) []byte { return fmt.Appendf(nil, "account/%03d", i) }

func writeAccount(tx store.Txn, i int, a account) error {
	return tx.Put(accountKey(i), fmt.Appendf(nil, "%d %d", a.balance, a.count), 0)
}

func readAccount(tx store.Txn, i int) (a account, err error) {
	value, _, err := tx.Get(accountKey(i))
	if err != nil {
		return a, err
	}
	return parseAccount(value)
}

func parseAccount(value []byte) (a account, err error) {
	if _, err := fmt.Sscan(string(value), &a.balance, &a.count); err != nil {
		return a, fmt.Errorf("account reads %s: %w", strconv.Quote(string(value)), err)
	}
	if a.balance < 0 {
		return a, fmt.Errorf("account is overdrawn: %d", a.balance)
	}
	return a, nil
}

// audit adds up all accounts, read by a scan or one by one.
func audit(tx store.Txn, scan bool) error {
	total := int64(0)
	add := func(value []byte) error {
		a, err := parseAccount(value)
		total += a.balance
		return err
	}
	if scan {
		entries, err := all(tx, store.Range{Start: []byte("account/"), End: []byte("account0"), Limit: 5})
		if err != nil {
			return err
		}
		for _, e := range entries {
			if err := add(e.Value); err != nil {
				return err
			}
		}
	} else {
		for i := range accounts {
			value, _, err := tx.Get(accountKey(i))
			if err != nil {
				return err
			}
			if err := add(value); err != nil {
				return err
			}
		}
	}
	if total != accounts*perHead {
		return fmt.Errorf("total is %d, must be %d", total, accounts*perHead)
	}
	return nil
}
