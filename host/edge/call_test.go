package edge

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

func open(t testing.TB) store.Store {
	t.Helper()
	s, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func plugin(name string) *Plugin {
	return &Plugin{Name: name, Grants: []string{abi.GrantKV, abi.GrantPasswords}, Log: slog.New(slog.DiscardHandler)}
}

// with runs fn as a call of a plugin that may write, and commits.
func with(t testing.TB, s store.Store, p *Plugin, fn func(c *Call)) {
	t.Helper()
	var c Call
	c.Start(t.Context(), p, "test")
	defer c.End()
	err := s.Update(t.Context(), "space", func(txn store.Txn) error {
		c.Begin(txn)
		fn(&c)
		return c.Failure()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func keys(p abi.Page) (list []string) {
	for _, e := range p.Entries {
		list = append(list, string(e.Key))
	}
	return list
}

func TestPluginsAreKeptApart(t *testing.T) {
	s := open(t)
	names := []string{"a", "ab", "a-b", "b"}
	for _, name := range names {
		with(t, s, plugin(name), func(c *Call) {
			for _, key := range []string{"\x00", "k", "\xff\xff"} {
				must(t, c.Put([]byte(key), []byte(name), 0))
			}
			must(t, c.VarSet("v", []byte(name)))
		})
	}
	for _, name := range names {
		with(t, s, plugin(name), func(c *Call) {
			for _, r := range []abi.Range{{}, {Reverse: true}, {Start: []byte{0}}, {End: []byte{0xff, 0xff, 0xff}}, {Start: []byte{0}, Reverse: true}} {
				page, err := c.Scan(r)
				must(t, err)
				want := []string{"\x00", "k", "\xff\xff"}
				if r.Reverse {
					slices.Reverse(want)
				}
				if !slices.Equal(keys(page), want) {
					t.Errorf("%s: %+v: %q", name, r, keys(page))
				}
				for _, e := range page.Entries {
					if string(e.Value) != name {
						t.Errorf("%s: reads what %s wrote", name, e.Value)
					}
				}
			}
			for _, key := range []string{"b\x00k", "\x01v", "-b\x00k"} {
				if _, found, err := c.Get([]byte(key)); found || err != nil {
					t.Errorf("%s: key %q: %v %v", name, key, found, err)
				}
			}
			if v, err := c.VarGet("v"); string(v) != name || err != nil {
				t.Errorf("%s: variable %q, %v", name, v, err)
			}
		})
	}
}

func TestLimitsAreErrorsThatTheContractNames(t *testing.T) {
	s := open(t)
	with(t, s, plugin("p"), func(c *Call) {
		large := bytes.Repeat([]byte("k"), maxKey)
		must(t, c.Put(large, nil, 0))
		for name, c := range map[string]struct{ got, want error }{
			"no key":              {c.Put(nil, nil, 0), abi.ErrKey},
			"a large key":         {c.Put(append(large, 'k'), nil, 0), abi.ErrKey},
			"a large value":       {c.Put([]byte("k"), make([]byte, 1<<20+1), 0), abi.ErrValue},
			"a large stamped key": {c.PutStamped(large, nil, nil, 0), abi.ErrKey},
			"deleting no key":     {c.Delete(nil), abi.ErrKey},
			"many keys":           {second(c.GetMany(make([][]byte, maxMany+1))), abi.ErrArgument},
		} {
			if !errors.Is(c.got, c.want) {
				t.Errorf("%s: %v, want %v", name, c.got, c.want)
			}
		}
		// A scan can go on from the largest key.
		page, err := c.Scan(abi.Range{Start: append(bytes.Clone(large), 0)})
		if err != nil || len(page.Entries) != 0 {
			t.Errorf("scan from behind the largest key: %v", err)
		}
		if _, err := c.Scan(abi.Range{Start: make([]byte, maxKey+2)}); !errors.Is(err, abi.ErrKey) {
			t.Errorf("scan from far behind: %v", err)
		}
		if page, err := c.Scan(abi.Range{Limit: -5}); err != nil || len(page.Entries) != 1 {
			t.Errorf("scan with a negative limit: %v", err)
		}
	})
	with(t, s, plugin("q"), func(c *Call) {
		var err error
		for i := 0; err == nil && i <= store.MaxTxnWrites; i++ {
			err = c.Put(fmt.Append(nil, i), nil, 0)
		}
		if !errors.Is(err, abi.ErrTooLarge) {
			t.Errorf("too many writes: %v", err)
		}
	})
	err := s.View(t.Context(), "space", func(txn store.Txn) error {
		var c Call
		c.Start(t.Context(), plugin("p"), "")
		c.Begin(txn)
		if err := c.Put([]byte("k"), nil, 0); !errors.Is(err, abi.ErrReadOnly) {
			t.Errorf("write in a view: %v", err)
		}
		if c.Failure() != nil {
			t.Errorf("the plugin's mistake was taken for ours: %v", c.Failure())
		}
		return nil
	})
	must(t, err)
}

func second[T any](_ T, err error) error { return err }

func TestWhatAPluginReadsInOneCallIsBounded(t *testing.T) {
	s := open(t)
	p := plugin("p")
	with(t, s, p, func(c *Call) { must(t, c.Put([]byte("k"), make([]byte, 1<<20), 0)) })
	for name, read := range map[string]func(c *Call) error{
		"get":  func(c *Call) error { _, _, err := c.Get([]byte("k")); return err },
		"scan": func(c *Call) error { _, err := c.Scan(abi.Range{}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			err := s.View(t.Context(), "space", func(txn store.Txn) error {
				var c Call
				c.Start(t.Context(), p, "")
				c.Begin(txn)
				n := 0
				for ; read(&c) == nil; n++ {
				}
				if n < 40 || n > 64 {
					t.Errorf("%d MiB were read", n)
				}
				for range 1000 {
					if read(&c) == nil {
						t.Fatal("reading goes on")
					}
				}
				return c.Failure()
			})
			if err == nil || !strings.Contains(err.Error(), `plugin "p" reads more than 64 MiB`) {
				t.Errorf("%v", err)
			}
		})
	}
	many := make([][]byte, 100)
	for i := range many {
		many[i] = []byte("k")
	}
	with(t, s, p, func(c *Call) {
		if _, err := c.GetMany(many); !errors.Is(err, abi.ErrTooLarge) {
			t.Errorf("GetMany of 100 MiB: %v", err)
		}
	})
}

func TestWhatWasNotGrantedIsDenied(t *testing.T) {
	s := open(t)
	p := &Plugin{Name: "p", Log: slog.New(slog.DiscardHandler)}
	with(t, s, p, func(c *Call) {
		_, _, get := c.Get([]byte("k"))
		_, many := c.GetMany([][]byte{[]byte("k")})
		_, scan := c.Scan(abi.Range{})
		_, hash := c.HashPassword([]byte("p"))
		_, verify := c.VerifyPassword(nil, []byte("p"))
		_, variable := c.VarGet("v")
		_, http := c.HTTP(&extism.HTTPRequest{Method: "GET", URL: "http://127.0.0.1/"})
		for i, err := range []error{get, many, scan, hash, verify, variable, http, c.Put([]byte("k"), nil, 0),
			c.PutStamped([]byte("k"), nil, nil, 0), c.Delete([]byte("k")), c.VarSet("v", nil)} {
			if !errors.Is(err, abi.ErrDenied) {
				t.Errorf("%d: %v", i, err)
			}
		}
	})
	// At the start there is no transaction.
	var c Call
	c.Start(t.Context(), plugin("p"), "start")
	if _, _, err := c.Get([]byte("k")); !errors.Is(err, abi.ErrDenied) {
		t.Errorf("at the start: %v", err)
	}
}

func TestReadsAndWritesAreTracked(t *testing.T) {
	s := open(t)
	with(t, s, plugin("p"), func(c *Call) {
		c.TrackReads, c.TrackWrites = true, true
		_, err := c.GetMany([][]byte{[]byte("a"), []byte("b")})
		must(t, err)
		_, err = c.VarGet("v")
		must(t, err)
		if c.Scanned {
			t.Error("nothing was scanned")
		}
		must(t, c.Put([]byte("a"), nil, 0))
		must(t, c.Delete([]byte("b")))
		must(t, c.VarSet("v", nil))
		want := []string{"p\x00a", "p\x00b", "p\x01v"}
		for name, list := range map[string][][]byte{"reads": c.Reads, "writes": c.Writes} {
			var got []string
			for _, k := range list {
				got = append(got, string(k))
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q", name, got)
			}
		}
		if _, err := c.Scan(abi.Range{}); err != nil || !c.Scanned {
			t.Errorf("a scan was not noticed: %v", err)
		}
	})
}

func TestARerunHasNoSecondEffect(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, calls.Add(1))
	}))
	defer server.Close()
	p := plugin("p")
	var err error
	if p.Egress, err = extism.NewEgress([]string{"private:" + strings.TrimPrefix(server.URL, "http://")}); err != nil {
		t.Fatal(err)
	}
	defer p.Egress.Close()
	s := open(t)
	var c Call
	c.Start(t.Context(), p, "")
	defer c.End()
	var hashes, replies []string
	run := func(query string) {
		err := s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			hash, err := c.HashPassword([]byte("secret"))
			must(t, err)
			match, err := c.VerifyPassword(hash, []byte("secret"))
			if !match || err != nil {
				t.Errorf("the password does not match: %v", err)
			}
			reply, err := c.HTTP(&extism.HTTPRequest{Method: "GET", URL: server.URL + "/" + query, Header: http.Header{"A": {"b"}}})
			must(t, err)
			hashes, replies = append(hashes, string(hash)), append(replies, string(reply.Body))
			return nil
		})
		must(t, err)
	}
	run("x")
	run("x")
	run("y") // asks something else
	run("y")
	if hashes[0] != hashes[1] || hashes[1] != hashes[3] {
		t.Error("the password was hashed twice")
	}
	if !slices.Equal(replies, []string{"1", "1", "2", "2"}) {
		t.Errorf("replies %v", replies)
	}
	c.Start(t.Context(), p, "")
	run("y")
	if replies[4] != "3" || hashes[4] == hashes[0] {
		t.Error("another request got the first one's answers")
	}
}

func TestEffectsOfOneCallAreBounded(t *testing.T) {
	var m memo
	for i := range maxEffects {
		if _, err := once(&m, []byte{byte(i)}, func() (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := once(&m, nil, func() (int, error) { t.Error("asked"); return 0, nil }); err == nil {
		t.Error("want an error")
	}
	m.rewind()
	if v, err := once(&m, []byte{0}, func() (int, error) { t.Error("asked"); return 9, nil }); v != 0 || err != nil {
		t.Errorf("%d %v", v, err)
	}
}

func TestHashesThatAreNone(t *testing.T) {
	good := "$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if _, err := parseHash(good); err != nil {
		t.Fatal(err)
	}
	s := open(t)
	with(t, s, plugin("p"), func(c *Call) {
		for _, hash := range []string{
			"x", "$", "$$$$$", "plain", strings.Repeat("$", 1<<20),
			strings.Replace(good, "argon2id", "argon2i", 1), strings.Replace(good, "v=19", "v=16", 1),
			strings.Replace(good, "m=64", "m=4294967295", 1), strings.Replace(good, "m=64", "m=-1", 1),
			strings.Replace(good, "m=64", "m=99999999999999999999", 1),
			strings.Replace(good, "t=1", "t=0", 1), strings.Replace(good, "t=1", "t=1000000", 1),
			strings.Replace(good, "p=1", "p=0", 1), strings.Replace(good, "p=1", "p=255", 1), strings.Replace(good, "p=1", "p=256", 1),
			good[:len(good)-4], good + "AAAA", strings.Replace(good, "AAAA", "!!!!", 1),
			good + strings.Repeat("A", maxHash),
		} {
			if ok, err := c.VerifyPassword([]byte(hash), []byte("x")); ok || !errors.Is(err, abi.ErrArgument) {
				t.Errorf("%.80q: %v %v", hash, ok, err)
			}
		}
		if _, err := c.HashPassword(make([]byte, maxPassword+1)); !errors.Is(err, abi.ErrArgument) {
			t.Errorf("a long password: %v", err)
		}
		if ok, err := c.VerifyPassword(nil, []byte("x")); ok || err != nil {
			t.Errorf("no hash: %v %v", ok, err)
		}
	})
}

func FuzzParseHash(f *testing.F) {
	f.Add("$argon2id$v=19$m=64,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Add("$argon2id$v=19$m=1,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := parseHash(s)
		if err == nil && (h.memory > 4*argonMemory || h.passes > 4*argonPasses || h.passes == 0 || h.lanes == 0 || h.lanes > 4 || len(h.sum) != argonKeySize) {
			t.Fatalf("%+v", h)
		}
	})
}

func TestTheLogIsNotFlooded(t *testing.T) {
	var b bytes.Buffer
	p := plugin("p")
	p.Log = slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var c Call
	c.Start(t.Context(), p, "request-1")
	c.Log(abi.LogLevel(200), "line\nbreak")
	if got := b.String(); !strings.Contains(got, `msg="line\nbreak"`) || !strings.Contains(got, "plugin=p request=request-1") || !strings.Contains(got, "level=ERROR") {
		t.Error(got)
	}
	for range 1000 {
		c.Log(abi.LogInfo, strings.Repeat("é", maxLogLine))
	}
	if b.Len() > 2*maxLog || strings.Count(b.String(), "are dropped") != 1 {
		t.Errorf("%d bytes", b.Len())
	}
}
