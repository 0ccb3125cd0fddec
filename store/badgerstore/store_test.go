package badgerstore_test

import (
	"errors"
	"testing"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
	"github.com/edgeset/edgeset/store/storetest"
)

func opener(d badgerstore.Durability) storetest.Reopen {
	return func(t testing.TB, dir string) store.Store {
		s, err := badgerstore.Open(badgerstore.Options{Dir: dir, Durability: d})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestProcess(t *testing.T) { storetest.RunDurable(t, opener(badgerstore.Process)) }

func TestPower(t *testing.T) { storetest.RunDurable(t, opener(badgerstore.Power)) }

func TestCrashProcess(t *testing.T) { storetest.RunCrash(t, opener(badgerstore.Process)) }

func TestCrashPower(t *testing.T) { storetest.RunCrash(t, opener(badgerstore.Power)) }

// FuzzHistory takes its input as the decisions of a history.
func FuzzHistory(f *testing.F) {
	s := opener(badgerstore.Process)(f, f.TempDir())
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Error(err)
		}
	})
	f.Add([]byte("\x00\x01\x01\x03\x00\x02\x01\x02\x02\x07\x03\x01\x01\x01"))
	f.Fuzz(func(t *testing.T, decisions []byte) {
		model := storetest.Model{}
		choose := func(n int) int {
			if len(decisions) == 0 {
				return 0
			}
			d := int(decisions[0]) % n
			decisions = decisions[1:]
			return d
		}
		for len(decisions) > 0 {
			if err := model.Step(s, choose); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(model.Check(s), model.Clear(s)); err != nil {
			t.Fatal(err)
		}
	})
}
