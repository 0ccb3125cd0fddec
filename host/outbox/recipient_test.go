package outbox

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

func TestNoRecipientGetsMoreWithinAnHourThanTheLimit(t *testing.T) {
	r := newRig(t)
	random := rand.New(rand.NewPCG(1, 2))
	at := time.Now()
	var admitted []time.Time
	refused := 0
	for range 3000 {
		at = at.Add(time.Duration(random.Int64N(int64(4 * time.Minute))))
		var ok bool
		check(t, r.store.Update(context.Background(), "eu", func(txn store.Txn) (err error) {
			ok, err = admit(txn, "mail", "ann@example.org", 20, at)
			return err
		}))
		// A slice may count for longer than an hour, but not longer than it is itself.
		hour, more := 0, 0
		for _, before := range admitted {
			if ago := at.Sub(before); ago < time.Hour {
				hour++
			} else if ago < time.Hour+sliceTime {
				more++
			}
		}
		switch {
		case ok && hour >= 20:
			t.Fatalf("at %v there were %d within an hour, and one more was taken", at, hour)
		case !ok && hour+more < 20:
			t.Fatalf("at %v there were %d within an hour and %d shortly before, and no more were taken", at, hour, more)
		case ok:
			admitted = append(admitted, at)
		default:
			refused++
		}
	}
	if refused < 100 || len(admitted) < 100 {
		t.Errorf("%d were taken and %d refused: want many of both", len(admitted), refused)
	}
}

func TestARecipientOfMailIsTheSameHoweverItIsWritten(t *testing.T) {
	a, b := recipientKey("mail", "Ann@Example.org"), recipientKey("mail", "ann@example.org")
	if !bytes.Equal(a, b) {
		t.Error("two cases of an address are two recipients")
	}
	for _, written := range []string{"ann@ｅxample.org", "ann@𝐞xample.org", "ann@example。org", "ann@exam\u00adple.org"} {
		if !bytes.Equal(recipientKey("mail", written), b) {
			t.Errorf("%q is another recipient, and the mail goes to the same", written)
		}
	}
	if !bytes.Equal(recipientKey("mail", "ann@bücher.example"), recipientKey("mail", "ann@xn--bcher-kva.example")) {
		t.Error("a domain in letters beyond ASCII and what stands for it are two recipients")
	}
	if bytes.Equal(recipientKey("webhook:app", "A"), recipientKey("webhook:app", "a")) {
		t.Error("two names that a webhook may tell apart are one recipient")
	}
	if bytes.Equal(b, recipientKey("webhook:app", "ann@example.org")) {
		t.Error("two ways are one")
	}
	if strings.Contains(string(a), "nn@") {
		t.Error("the key tells the address")
	}
}

func FuzzCountsOfADamagedRecord(f *testing.F) {
	f.Add([]byte(nil), int64(5))
	f.Add(bytes.Repeat([]byte{0xff}, int(8+4*sliceCount)), int64(1))
	f.Add(bytes.Repeat([]byte{0x7f}, int(8+4*sliceCount)), int64(-1))
	f.Fuzz(func(t *testing.T, value []byte, now int64) {
		now >>= 30 // slices of ten minutes
		if _, newest := readCounts(value, now); newest < 0 || newest > max(now, 0)+sliceCount {
			t.Errorf("the newest slice is %d at %d", newest, now)
		}
	})
}
