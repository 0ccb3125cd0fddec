package badgerstore

import (
	"bytes"
	"testing"

	"github.com/edgeset/edgeset/store"
)

// FuzzKey takes two spaces and keys and looks at how their encodings lie.
func FuzzKey(f *testing.F) {
	f.Add("a", []byte("b"), "ab", []byte("c"))
	f.Add("\x00", []byte{0}, "\x01", []byte{0xff})
	f.Add("\xff\xff", []byte{0xff}, "\xff", []byte{0xff, 0xff})
	f.Add("badger!xxxxxxxxxxxxxxxxxxxxxxxxxx", []byte("k"), "!badger!", []byte("txn"))
	f.Fuzz(func(t *testing.T, space1 string, key1 []byte, space2 string, key2 []byte) {
		for _, s := range []string{space1, space2} {
			if len(s) == 0 || len(s) > store.MaxSpaceSize {
				t.Skip()
			}
		}
		if len(key1) == 0 || len(key2) == 0 {
			t.Skip()
		}
		prefix := appendSpace(nil, space1)
		raw1 := append(prefix, key1...)
		raw2 := append(appendSpace(nil, space2), key2...)

		space, key, ok := splitKey(raw1)
		if !ok || string(space) != space1 || !bytes.Equal(key, key1) {
			t.Errorf("split of %q: got %q, %q, %v", raw1, space, key, ok)
		}
		if _, _, ok := splitKey(prefix); ok {
			t.Errorf("a prefix alone is taken for a key: %q", prefix)
		}
		if bytes.HasPrefix(raw1, []byte("!badger!")) {
			t.Errorf("key %q is one of Badger's own", raw1)
		}
		after := appendAfter(nil, prefix)
		inside := bytes.Compare(raw2, prefix) >= 0 && bytes.Compare(raw2, after) < 0
		if inside != (space1 == space2) {
			t.Errorf("key of space %q lies within space %q: %v", space2, space1, inside)
		}
		if bytes.Equal(raw2, after) {
			t.Errorf("key %q is the end of a space", raw2)
		}
		if space1 == space2 && bytes.Compare(raw1, raw2) != bytes.Compare(key1, key2) {
			t.Errorf("keys %q and %q change their order", key1, key2)
		}
	})
}
