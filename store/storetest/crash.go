package storetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

// crashDir tells the process that it is the one to be killed, and where to write.
const crashDir = "STORETEST_CRASH_DIR"

const crashWriters = 8

// RunCrash kills a process that writes, again and again, and looks at what it has
// left: every acknowledged transaction must be there, and each whole or not at
// all. A killed process loses nothing that the kernel has; that a driver keeps its
// word when the power fails cannot be tested here.
//
// It runs the test binary once more with only the calling test, which therefore
// must do nothing else before:
//
//	func TestCrash(t *testing.T) { storetest.RunCrash(t, open) }
//
// The process that writes ends by itself when this one does: it reads from a pipe
// that is closed then.
func RunCrash(t *testing.T, reopen Reopen) {
	if dir := os.Getenv(crashDir); dir != "" {
		writeUntilKilled(t, reopen(t, dir))
		return
	}
	t.Parallel()
	span := 7 * time.Second
	if testing.Short() {
		span = time.Second
	}
	dir := t.TempDir()
	rounds, acknowledged := 0, 0
	var counted [crashWriters]int
	for end := time.Now().Add(span); rounds < 2 || time.Now().Before(end); rounds++ {
		acks := runAndKill(t, dir)
		s := reopen(t, dir)
		for w := range crashWriters {
			acked := max(counted[w], acks[w])
			n, err := checkWriter(s, w, acked)
			if err != nil {
				t.Errorf("round %d: writer %d, %d transactions acknowledged: %v", rounds, w, acked, err)
			}
			acknowledged += max(0, acks[w]-counted[w])
			counted[w] = n
		}
		if err := errors.Join(checkFeed(s, counted), s.Close()); err != nil {
			t.Errorf("round %d: %v", rounds, err)
		}
		if t.Failed() {
			return
		}
	}
	if acknowledged == 0 {
		t.Error("nothing was acknowledged in any round: the test has tested nothing")
	}
	t.Logf("%d kills, %d transactions acknowledged and found", rounds, acknowledged)
}

// runAndKill starts the process, lets it write for a moment, kills it, and returns
// how many transactions of each writer were acknowledged.
func runAndKill(t *testing.T, dir string) [crashWriters]int {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.count=1")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	alive, err := cmd.StdinPipe()
	must(t, err)
	reader, writer, err := os.Pipe()
	must(t, err)
	cmd.ExtraFiles = []*os.File{writer} // 3 in the process
	must(t, errors.Join(cmd.Start(), writer.Close()))

	var (
		acks  [crashWriters]int
		first = make(chan bool) // closed at the first acknowledgement
		ended = make(chan bool) // closed when the pipe is
		once  sync.Once
	)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			var w, n int
			// The last line may be cut off; a whole one ends with a dot.
			if _, err := fmt.Sscanf(lines.Text(), "%d %d .", &w, &n); err != nil {
				continue
			}
			acks[w] = n
			once.Do(func() { close(first) })
		}
	}()
	select {
	case <-first:
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the process has acknowledged nothing for a minute")
	}
	_ = cmd.Process.Kill()
	<-ended
	_ = cmd.Wait()
	_ = alive.Close() // Wait has closed it, but it has to live until here
	must(t, reader.Close())
	if cmd.ProcessState.Exited() {
		t.Fatalf("the process has ended by itself: %s", output.Bytes())
	}
	return acks
}

// writeUntilKilled is the process. Each writer numbers its transactions and writes
// the number to the pipe as soon as one is acknowledged.
func writeUntilKilled(t *testing.T, s store.Store) {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1) // nobody is there any more
	}()
	acks := os.NewFile(3, "acknowledgements")
	var all sync.WaitGroup
	for w := range crashWriters {
		all.Go(func() {
			n, err := lastOf(s, w)
			for err == nil {
				n++
				err = update(s, crashSpace, func(tx store.Txn) error { return writeCrash(tx, w, n) })
				if err == nil {
					_, err = fmt.Fprintf(acks, "%d %d .\n", w, n)
				}
			}
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		})
	}
	all.Wait()
}

const crashSpace = "crash"

// A transaction of a writer consists of so many parts and of so many bytes each:
// some are small, some go where a driver keeps what is large.
func crashParts(n int) (parts, size int) {
	parts = 1 + n%5
	if n%11 == 0 {
		return parts, 100_000
	}
	return parts, 10 + n%500
}

func crashKey(w, n, part int) []byte { return fmt.Appendf(nil, "part/%d/%09d/%d", w, n, part) }

func crashValue(w, n, part, size int) []byte {
	return bytes.Repeat([]byte{byte(w), byte(n), byte(n >> 8), byte(part)}, size/4+1)[:size]
}

// crashKept is how many transactions back a writer deletes what it has written.
const crashKept = 200

func writeCrash(tx store.Txn, w, n int) error {
	parts, size := crashParts(n)
	for part := range parts {
		if err := tx.Put(crashKey(w, n, part), crashValue(w, n, part, size), 0); err != nil {
			return err
		}
	}
	if old := n - crashKept; old > 0 {
		parts, _ := crashParts(old)
		for part := range parts {
			if err := tx.Delete(crashKey(w, old, part)); err != nil {
				return err
			}
		}
	}
	return errors.Join(
		put(tx, fmt.Sprintf("last/%d", w), fmt.Sprint(n)),
		tx.PutStamped(feed, fmt.Appendf(nil, "%d/%d", w, n), nil, 0))
}

func lastOf(s store.Store, w int) (n int, err error) {
	err = view(s, crashSpace, func(tx store.Txn) error {
		text, err := getText(tx, fmt.Sprintf("last/%d", w))
		if err != nil || text == "-" {
			return err
		}
		_, err = fmt.Sscan(text, &n)
		return err
	})
	return n, err
}

// checkWriter returns how many transactions of a writer are there: all that were
// acknowledged, and one more at most, which was under way.
func checkWriter(s store.Store, w, acked int) (int, error) {
	last, err := lastOf(s, w)
	if err != nil {
		return 0, err
	}
	if last < acked || last > acked+1 {
		return last, fmt.Errorf("%d are there", last)
	}
	return last, view(s, crashSpace, func(tx store.Txn) error {
		entries, err := all(tx, store.Range{Start: fmt.Appendf(nil, "part/%d/", w), End: fmt.Appendf(nil, "part/%d0", w)})
		if err != nil {
			return err
		}
		for n := max(1, last-crashKept+1); n <= last; n++ {
			parts, size := crashParts(n)
			for part := range parts {
				if len(entries) == 0 || !bytes.Equal(entries[0].Key, crashKey(w, n, part)) {
					return fmt.Errorf("transaction %d of %d: part %d of %d is missing", n, last, part, parts)
				}
				if !bytes.Equal(entries[0].Value, crashValue(w, n, part, size)) {
					return fmt.Errorf("transaction %d of %d: part %d of %d has another value, of %d bytes", n, last, part, parts, len(entries[0].Value))
				}
				entries = entries[1:]
			}
		}
		if len(entries) > 0 {
			return fmt.Errorf("behind all %d transactions there is %q", last, entries[0].Key)
		}
		return nil
	})
}

// checkFeed wants each transaction in the feed once, those of a writer in order.
func checkFeed(s store.Store, counted [crashWriters]int) error {
	return view(s, crashSpace, func(tx store.Txn) error {
		entries, err := all(tx, store.Range{Start: feed, End: feedEnd})
		if err != nil {
			return err
		}
		var next [crashWriters]int
		for _, e := range entries {
			var w, n int
			if _, err := fmt.Sscanf(string(e.Key[len(feed)+store.StampSize:]), "%d/%d", &w, &n); err != nil {
				return fmt.Errorf("feed: key %q: %w", e.Key, err)
			}
			next[w]++
			if n != next[w] {
				return fmt.Errorf("feed: writer %d: got transaction %d, want %d", w, n, next[w])
			}
		}
		if next != counted {
			return fmt.Errorf("feed has %v transactions, want %v", next, counted)
		}
		return nil
	})
}
