package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func open(t *testing.T) *Library {
	t.Helper()
	l, err := OpenLibrary(filepath.Join(t.TempDir(), "plugins"))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestALibraryGivesBackWhatWasPutIn(t *testing.T) {
	l := open(t)
	if info, err := os.Stat(l.dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v; want mode 0700", info.Mode(), err)
	}
	wasm := []byte("one")
	if l.Has(DigestOf(wasm)) {
		t.Error("an empty library has it")
	}
	if _, err := l.Get(DigestOf(wasm)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), string(DigestOf(wasm))) {
		t.Errorf("%v; want fs.ErrNotExist, with the digest", err)
	}
	for range 2 {
		if d, err := l.Put(wasm); err != nil || d != DigestOf(wasm) {
			t.Fatal(d, err)
		}
	}
	again, err := OpenLibrary(l.dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := again.Get(DigestOf(wasm)); err != nil || string(got) != "one" || !again.Has(DigestOf(wasm)) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestALibraryDoesNotLeaveItsFolder(t *testing.T) {
	l := open(t)
	outside := filepath.Join(filepath.Dir(l.dir), "outside.wasm")
	if err := os.WriteFile(outside, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []Digest{"sha256:../outside", "../outside", ""} {
		if _, err := l.Get(d); err == nil || !strings.Contains(err.Error(), "64 hexadecimal digits") || l.Has(d) {
			t.Errorf("%q: %v, %v", d, err, l.Has(d))
		}
	}
}

func TestADamagedPluginIsNotGivenOutAndCanBeReplaced(t *testing.T) {
	l := open(t)
	wasm := []byte("what was put in")
	d, err := l.Put(wasm)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.file(d), []byte("what was put it"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Get(d); err == nil || got != nil || !strings.Contains(err.Error(), "is damaged") {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := l.Put(wasm); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Get(d); err != nil || !bytes.Equal(got, wasm) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAPluginThatIsTooLargeIsNotKept(t *testing.T) {
	l := open(t)
	if _, err := l.Put(make([]byte, MaxSize+1)); err == nil || !strings.Contains(err.Error(), "want at most 67108864") {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(l.dir); len(entries) != 0 {
		t.Errorf("%v", entries)
	}
}

func TestManyPutTheSamePluginAtATime(t *testing.T) {
	l := open(t)
	wasm := bytes.Repeat([]byte("same"), 1<<16)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			d, err := l.Put(wasm)
			if err != nil {
				t.Error(err)
				return
			}
			if got, err := l.Get(d); err != nil || !bytes.Equal(got, wasm) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	wg.Wait()
	if entries, _ := os.ReadDir(l.dir); len(entries) != 1 {
		t.Errorf("%d files: %v", len(entries), entries)
	}
}

func TestPruneLeavesWhatIsUsedOrNew(t *testing.T) {
	l := open(t)
	put := func(s string, age time.Duration) Digest {
		d, err := l.Put([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(l.file(d), at, at); err != nil {
			t.Fatal(err)
		}
		return d
	}
	used, old, fresh, again := put("used", 48*time.Hour), put("old", 48*time.Hour), put("new", time.Minute), put("again", 48*time.Hour)
	if _, err := l.Put([]byte("again")); err != nil {
		t.Fatal(err)
	}
	stranger := filepath.Join(l.dir, "README.wasm")
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := l.Prune(map[Digest]bool{used: true}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !l.Has(used) || l.Has(old) || !l.Has(fresh) || !l.Has(again) {
		t.Errorf("used %v, old %v, new %v, put in again %v; want all but the old one", l.Has(used), l.Has(old), l.Has(fresh), l.Has(again))
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Error(err)
	}
}

func TestLeftoversAreRemovedWhenALibraryIsOpened(t *testing.T) {
	l := open(t)
	d, err := l.Put([]byte("whole"))
	if err != nil {
		t.Fatal(err)
	}
	half := filepath.Join(l.dir, d.Hex()+".1.new")
	if err := os.WriteFile(half, []byte("ha"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLibrary(l.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(half); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v; want it gone", err)
	}
	if !l.Has(d) {
		t.Error("the whole one is gone")
	}
}

// libraryEnv has the test binary be the process that is killed.
const libraryEnv = "ARTIFACT_TEST_LIBRARY"

// putForEver puts plugins into a library until it is killed, and says so of each one
// that is in.
func putForEver(dir string) {
	l, err := OpenLibrary(dir)
	if err != nil {
		panic(err)
	}
	for n := 0; ; n++ {
		d, err := l.Put(bytes.Repeat(fmt.Append(nil, n), 1<<16))
		if err != nil {
			panic(err)
		}
		fmt.Println(d)
	}
}

func TestAKillLeavesNoBrokenPlugin(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "plugins")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 10 {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), libraryEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// At different points of a Put: behind a few of them, and some more time.
		said := make([]byte, 72*(1+round%3))
		if _, err := io.ReadFull(out, said); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round) * 300 * time.Microsecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed

		l, err := OpenLibrary(dir)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(said)) {
			if !l.Has(Digest(strings.TrimSpace(line))) {
				t.Errorf("%s was said to be in", line)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			digits, ok := strings.CutSuffix(e.Name(), ".wasm")
			if !ok {
				t.Errorf("%s is left over", e.Name())
			} else if _, err := l.Get(Digest("sha256:" + digits)); err != nil {
				t.Error(err)
			}
		}
	}
}
