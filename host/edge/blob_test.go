package edge

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

func keeper(name string) *Plugin {
	p := plugin(name)
	p.Grants = append(p.Grants, abi.GrantBlobs)
	p.Pictures = NewPictures(0, 0)
	return p
}

func uploaded(contents ...[]byte) []Upload {
	var list []Upload
	for _, b := range contents {
		list = append(list, Upload{abi.File{Field: "f", Name: "f", Size: int64(len(b))}, io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))})
	}
	return list
}

func read(t testing.TB, s store.Store, plugin string, id abi.BlobID, size int64) []byte {
	t.Helper()
	var b []byte
	must(t, s.View(t.Context(), "space", func(txn store.Txn) (err error) {
		for err == nil && int64(len(b)) < size {
			b, err = AppendBlob(b, txn, plugin, id, int64(len(b)), size-int64(len(b)))
		}
		return err
	}))
	return b
}

func TestABlobBelongsToItsPlugin(t *testing.T) {
	s := open(t)
	content := bytes.Repeat([]byte("0123456789abcdef"), 40<<10)
	var id abi.BlobID
	with(t, s, keeper("a"), func(c *Call) {
		c.Upload(uploaded(content))
		b, err := c.KeepFile(0)
		must(t, err)
		id = b.ID
		must(t, c.LinkBlob(id, []byte("x")))
		must(t, c.VarSet("m"+string(id[:]), []byte("a variable is something else")))
	})
	with(t, s, keeper("a"), func(c *Call) {
		if size, found, err := c.FindBlob(id); size != int64(len(content)) || !found || err != nil {
			t.Errorf("%d, %v, %v", size, found, err)
		}
		page, err := c.Scan(abi.Range{})
		if err != nil || len(page.Entries) != 0 {
			t.Errorf("among the plugin's keys: %q, %v", keys(page), err)
		}
		must(t, c.LinkBlob(id, []byte("y")))
	})
	if !bytes.Equal(read(t, s, "a", id, int64(len(content))), content) {
		t.Error("other bytes")
	}
	for _, name := range []string{"b", "a-b", "ab"} {
		with(t, s, keeper(name), func(c *Call) {
			if _, found, err := c.FindBlob(id); found || err != nil {
				t.Errorf("%s finds it: %v", name, err)
			}
			if err := c.LinkBlob(id, []byte("z")); !errors.Is(err, abi.ErrArgument) {
				t.Errorf("%s links to it: %v", name, err)
			}
			must(t, c.UnlinkBlob(id, []byte("x")))
		})
	}
	with(t, s, keeper("a"), func(c *Call) {
		must(t, c.UnlinkBlob(id, []byte("x")))
		must(t, c.LinkBlob(id, []byte("z")))
		must(t, c.UnlinkBlob(id, []byte("y")))
		must(t, c.UnlinkBlob(id, []byte("z")))
		if _, found, err := c.FindBlob(id); found || err != nil {
			t.Errorf("it outlives its names: %v", err)
		}
		must(t, c.VarSet("m"+string(id[:]), nil))
	})
	if spaces, err := s.Spaces(t.Context()); err != nil || len(spaces) != 0 {
		t.Errorf("something is left in %q, %v", spaces, err)
	}
}

func TestABlobIsNeverKeptInPart(t *testing.T) {
	s := open(t)
	first, second := bytes.Repeat([]byte("x"), 20<<20), bytes.Repeat([]byte("y"), 20<<20)
	with(t, s, keeper("a"), func(c *Call) {
		c.Upload(uploaded(first, second))
		one, err := c.KeepFile(0)
		must(t, err)
		two, err := c.KeepFile(1)
		must(t, err)
		must(t, c.LinkBlob(one.ID, []byte("one")))
		if err := c.LinkBlob(two.ID, []byte("two")); !errors.Is(err, abi.ErrTooLarge) {
			t.Errorf("40 MiB: %v", err)
		}
		must(t, c.UnlinkBlob(one.ID, []byte("one")))
	})
	if spaces, err := s.Spaces(t.Context()); err != nil || len(spaces) != 0 {
		t.Errorf("something is left in %q, %v", spaces, err)
	}
}

func TestAnyNameHoldsABlob(t *testing.T) {
	s := open(t)
	names := []string{"\x00", "one", "\xff", "\xff\xffone", strings.Repeat("\xff", abi.MaxBlobName)}
	for _, last := range names {
		var id abi.BlobID
		with(t, s, keeper("a"), func(c *Call) {
			c.Upload(uploaded([]byte("abc")))
			b, err := c.KeepFile(0)
			must(t, err)
			id = b.ID
			for _, name := range names {
				must(t, c.LinkBlob(id, []byte(name)))
			}
		})
		for _, name := range append(slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == last }), last) {
			with(t, s, keeper("a"), func(c *Call) {
				if _, found, err := c.FindBlob(id); !found || err != nil {
					t.Errorf("%q: it has gone before %q, %v", last, name, err)
				}
				must(t, c.UnlinkBlob(id, []byte(name)))
			})
		}
		with(t, s, keeper("a"), func(c *Call) {
			if _, found, err := c.FindBlob(id); found || err != nil {
				t.Errorf("%q: it outlives its names, %v", last, err)
			}
		})
	}
}

func TestBlobsHaveToBeGranted(t *testing.T) {
	s := open(t)
	with(t, s, plugin("a"), func(c *Call) {
		c.Upload(uploaded([]byte("x")))
		_, err1 := c.KeepFile(0)
		_, err2 := c.Image(&abi.ImageQuery{})
		_, _, err3 := c.FindBlob(abi.BlobID{})
		for _, err := range []error{err1, err2, err3, c.LinkBlob(abi.BlobID{}, []byte("x")), c.UnlinkBlob(abi.BlobID{}, []byte("x"))} {
			if !errors.Is(err, abi.ErrDenied) {
				t.Errorf("%v", err)
			}
		}
	})
}

func TestWhatIsWrongWithABlobIsAnErrorThatTheContractNames(t *testing.T) {
	s := open(t)
	with(t, s, keeper("a"), func(c *Call) {
		c.Upload(uploaded([]byte("x")))
		b, err := c.KeepFile(0)
		must(t, err)
		for name, want := range map[string]error{
			"": abi.ErrKey, strings.Repeat("n", abi.MaxBlobName): nil, strings.Repeat("n", abi.MaxBlobName+1): abi.ErrKey, "\x00\xff": nil,
		} {
			if err := c.LinkBlob(b.ID, []byte(name)); !errors.Is(err, want) {
				t.Errorf("name of %d bytes: %v", len(name), err)
			}
			if err := c.UnlinkBlob(b.ID, []byte(name)); !errors.Is(err, want) {
				t.Errorf("name of %d bytes: %v", len(name), err)
			}
		}
		for _, index := range []int{-1, 1, 1 << 30} {
			if _, err := c.KeepFile(index); !errors.Is(err, abi.ErrArgument) {
				t.Errorf("file %d: %v", index, err)
			}
			if _, err := c.Image(&abi.ImageQuery{File: index}); !errors.Is(err, abi.ErrArgument) {
				t.Errorf("picture %d: %v", index, err)
			}
		}
		c.ReadOnly = true
		if err := c.LinkBlob(b.ID, []byte("x")); !errors.Is(err, abi.ErrReadOnly) {
			t.Error(err)
		}
	})
	// What no transaction can hold is refused, and the call goes on.
	with(t, s, keeper("a"), func(c *Call) {
		c.Upload(uploaded(make([]byte, 20<<20), bytes.Repeat([]byte{1}, 20<<20)))
		first, err := c.KeepFile(0)
		must(t, err)
		second, err := c.KeepFile(1)
		must(t, err)
		must(t, c.LinkBlob(first.ID, []byte("x")))
		if err := c.LinkBlob(second.ID, []byte("x")); !errors.Is(err, abi.ErrTooLarge) {
			t.Errorf("40 MiB: %v", err)
		}
	})
}

func TestAPictureIsDecodedOnceHoweverOftenTheCallIsRun(t *testing.T) {
	var picture bytes.Buffer
	must(t, jpeg.Encode(&picture, image.NewGray(image.Rect(0, 0, 300, 200)), nil))
	s := open(t)
	p := keeper("a")
	var c Call
	c.Start(t.Context(), p, "test")
	defer c.End()
	c.Upload(uploaded(picture.Bytes(), []byte("no picture")))
	q := &abi.ImageQuery{Renditions: []abi.Rendition{{Width: 30, Height: 30}, {Width: 1000, Height: 1000}}}
	var made *abi.Image
	prepared := 0
	for run := 0; run < 3; {
		err := s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			m, err := c.Image(q)
			if err != nil {
				if !errors.Is(err, abi.ErrHost) {
					t.Fatal(err)
				}
				return c.Failure()
			}
			if made != nil && m != made {
				t.Error("it was decoded again")
			}
			made = m
			for _, b := range m.Renditions {
				must(t, c.LinkBlob(b.ID, []byte("x")))
			}
			if bad, err := c.Image(&abi.ImageQuery{File: 1}); err == nil && bad.Code != abi.ImageUnsupported {
				t.Errorf("%+v", bad)
			}
			return c.Failure()
		})
		if errors.Is(err, ErrUnprepared) {
			must(t, c.Prepare())
			prepared++
			continue
		}
		must(t, err)
		run++
	}
	if prepared != 2 {
		t.Errorf("%d pictures were made, want 2", prepared)
	}
	if made.Width != 300 || made.Height != 200 || made.Format != "jpeg" || len(made.Renditions) != 2 || made.Renditions[0].Width != 30 ||
		made.Renditions[0].Height != 20 || made.Renditions[1].Width != 300 {
		t.Errorf("%+v", made)
	}
	for _, b := range made.Renditions {
		small, err := jpeg.DecodeConfig(bytes.NewReader(read(t, s, "a", b.ID, b.Size)))
		if err != nil || small.Width != b.Width || small.Height != b.Height {
			t.Errorf("%+v, %v", small, err)
		}
	}
}

func TestRecordsOfBlobsComeThrough(t *testing.T) {
	image := abi.Image{Code: "c", Message: "m", Format: "gif", Width: 3, Height: 1 << 20,
		Renditions: []abi.Blob{{ID: abi.BlobID{1, 2, 3}, Size: 1 << 40, Width: 7, Height: 9}, {}}}
	var w abi.Writer
	image.Append(&w)
	got, err := abi.ReadImage(w.Value())
	if err != nil || got.Code != "c" || got.Message != "m" || got.Format != "gif" || got.Width != 3 || got.Height != 1<<20 || !slices.Equal(got.Renditions, image.Renditions) {
		t.Errorf("%+v, %v", got, err)
	}
	query := abi.ImageQuery{File: 3, Renditions: []abi.Rendition{{Width: 1, Height: abi.MaxBox}, {Width: 5, Height: 6}}}
	w.Reset(nil)
	query.Append(&w)
	if got, err := abi.ReadImageQuery(w.Value()); err != nil || got.File != 3 || !slices.Equal(got.Renditions, query.Renditions) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []abi.ImageQuery{{File: -1}, {Renditions: make([]abi.Rendition, 9)}, {Renditions: []abi.Rendition{{Width: 0, Height: 1}}}, {Renditions: []abi.Rendition{{Width: 1, Height: abi.MaxBox + 1}}}} {
		w.Reset(nil)
		bad.Append(&w)
		if _, err := abi.ReadImageQuery(w.Value()); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	id := abi.BlobID{0xff, 1}
	if again, ok := abi.ParseBlobID(id.String()); !ok || again != id || len(id.String()) != 43 {
		t.Errorf("%s", id)
	}
	for _, s := range []string{"", id.String() + "A", id.String()[:42], id.String()[:42] + "!", id.String()[:42] + "B"} {
		if _, ok := abi.ParseBlobID(s); ok {
			t.Errorf("%q is an id", s)
		}
	}
}

func FuzzReadImageQuery(f *testing.F) {
	f.Add([]byte{0x92, 0, 0x91, 0x92, 1, 1})
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x92, 0, 0xdd, 0x7f, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, record []byte) {
		if q, err := abi.ReadImageQuery(record); err == nil && (q.File < 0 || len(q.Renditions) > abi.MaxBoxes) {
			t.Errorf("%+v", q)
		}
		_, _ = abi.ReadImage(record)
		_, _ = abi.ReadBlob(record)
		_ = abi.ReadFiles(record)
	})
}
