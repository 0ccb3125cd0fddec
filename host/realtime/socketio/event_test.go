package socketio

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

func TestEventsAreEncoded(t *testing.T) {
	for _, c := range []struct {
		name, args, want string
		parts            []string
	}{
		{"hey", `[]`, `["hey"]`, nil},
		{"hey", `["Jude"]`, `["hey","Jude"]`, nil},
		{`a"b`, `[1,"2",{"3":[true,null]},1.5,-7]`, `["a\"b",1,"2",{"3":[true,null]},1.5,-7]`, nil},
		{"baz", `["bytes:one"]`, `["baz",{"_placeholder":true,"num":0}]`, []string{"one"}},
		{"baz", `[{"a":["bytes:one",2],"b":{"c":"bytes:"}},"bytes:three"]`,
			`["baz",{"a":[{"_placeholder":true,"num":0},2],"b":{"c":{"_placeholder":true,"num":1}}},{"_placeholder":true,"num":2}]`, []string{"one", "", "three"}},
		{"plain", `[{"_placeholder":true,"num":0}]`, `["plain",{"_placeholder":true,"num":0}]`, nil},
		{"plain", `["bytes:x",{"_placeholder":false}]`, `["plain",{"_placeholder":true,"num":0},{"_placeholder":false}]`, []string{"x"}},
	} {
		args := value(t, c.args)
		e, err := NewEvent(c.name, args)
		if err != nil {
			t.Errorf("%s%s: %v", c.name, c.args, err)
			continue
		}
		if string(e.payload) != c.want || len(e.parts) != len(c.parts) || (e.kind == kindBinaryEvent) != (len(c.parts) > 0) {
			t.Errorf("%s%s: kind %d, %s, %d attachments", c.name, c.args, e.kind, e.payload, len(e.parts))
		}
		_, parts, err := separate(args)
		if err != nil || fmt.Sprintf("%s", parts) != fmt.Sprintf("%s", c.parts) && len(c.parts) > 0 {
			t.Errorf("%s%s: attachments %q, %v", c.name, c.args, parts, err)
		}
	}
}

func TestWhatIsNoEventIsNotEncoded(t *testing.T) {
	many := "[" + strings.TrimSuffix(strings.Repeat(`"bytes:x",`, maxSent+1), ",") + "]"
	for _, c := range []struct {
		name string
		args abi.Value
	}{
		{"connect", value(t, `[]`)}, {"disconnect", value(t, `[]`)},
		{"a", nil}, {"a", value(t, `{}`)}, {"a", value(t, `"x"`)}, {"a", abi.Value{0x92, 0x01}}, {"a", abi.Value{0x90, 0x01}},
		{"a", bytes.Repeat([]byte{0x91}, abi.MaxDepth+2)},
		{"a", value(t, many)},
		{"a", append(bytes.Repeat([]byte{0x91}, abi.MaxDepth), 0xc4, 1, 'x')},
		{"a", value(t, `["bytes:x",{"_placeholder":true,"num":0}]`)},
		{"a", value(t, `[[{"_placeholder":true}],"bytes:x"]`)},
	} {
		if e, err := NewEvent(c.name, c.args); err == nil {
			t.Errorf("%s %x: encoded as %s", c.name, []byte(c.args), e.payload)
		}
	}
}

func TestByteStringsMayStandDeep(t *testing.T) {
	args := append(bytes.Repeat([]byte{0x91}, abi.MaxDepth-1), 0xc4, 1, 'x')
	e, err := NewEvent("a", args)
	if err != nil {
		t.Fatal(err)
	}
	var p packet
	p.kind, p.payload = kindBinaryEvent, e.payload
	v, err := p.value(nil)
	if err != nil {
		t.Fatal(err)
	}
	if v, err = attach(v, [][]byte{[]byte("x")}); err != nil || !strings.Contains(render(t, v), "bytes:x") {
		t.Errorf("%s, %v", render(t, v), err)
	}
}

func TestAttachmentsTakeThePlaceOfPlaceholders(t *testing.T) {
	parts := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("x"), 70000)}
	for _, c := range []struct {
		in   string
		n    int
		want string // "": refused
	}{
		{`["a",{"_placeholder":true,"num":0}]`, 1, `["a","bytes:one"]`},
		{`["a",{"num":0,"_placeholder":true}]`, 1, `["a","bytes:one"]`},
		{`["a",{"x":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0}]`, 2, `["a",{"x":["bytes:"]},"bytes:one"]`},
		{`["a",{"_placeholder":false,"num":7},{"_placeholder":true,"num":0}]`, 1, `["a",{"_placeholder":false,"num":7},"bytes:one"]`},
		{`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]`, 3, `["a","bytes:one","bytes:","bytes:` + string(parts[2]) + `"]`},
		{`["a"]`, 1, ""},
		{`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]`, 2, ""},
		{`["a",{"_placeholder":true,"num":0}]`, 2, ""},
		{`["a",{"_placeholder":true,"num":1}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":-1}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":1e300}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":9223372036854775808}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":"0"}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":0.5}]`, 1, ""},
		{`["a",{"_placeholder":true}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":0,"x":1}]`, 1, ""},
		{`["a",{"_placeholder":true,"_placeholder":true}]`, 1, ""},
		{`["a",{"num":0,"num":0}]`, 1, ""},
		{`["a",{"_placeholder":true,"num":{"_placeholder":true,"num":0}}]`, 1, ""},
	} {
		v, err := attach(value(t, c.in), parts[:c.n])
		if c.want == "" {
			if err == nil {
				t.Errorf("%s with %d attachments: %.80s", c.in, c.n, render(t, v))
			}
			continue
		}
		if err != nil || !v.Valid() || render(t, v) != c.want {
			t.Errorf("%s: %.80s, %v", c.in, render(t, v), err)
		}
	}
}

func TestAnEventIsEncodedOnceForEachNamespace(t *testing.T) {
	e, err := NewEvent("a", value(t, `[1]`))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"/", "/x", "/y", "/z"}
	var got [8][4]any
	var done sync.WaitGroup
	for g := range got {
		done.Go(func() {
			for range 100 {
				for i, name := range names {
					m := any(e.in(name))
					if got[g][i] == nil {
						got[g][i] = m
					} else if got[g][i] != m {
						t.Errorf("%s: encoded again", name)
					}
				}
			}
		})
	}
	done.Wait()
	seen := map[any]bool{}
	for i, name := range names {
		for g := range got {
			if got[g][i] != got[0][i] {
				t.Errorf("%s: two encodings", name)
			}
		}
		seen[got[0][i]] = true
	}
	if len(seen) != len(names) {
		t.Errorf("%d encodings for %d namespaces", len(seen), len(names))
	}
	if n := testing.AllocsPerRun(100, func() { e.in("/"); e.in("/y") }); n > 0 {
		t.Errorf("looking an encoding up allocates %v times", n)
	}
}

func TestIDsAreTwentyCharacters(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id := newID()
		if len(id) != 20 || seen[id] || strings.ContainsAny(id, `"\,`) {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}

// FuzzEvent encodes what a plugin may publish, and wants the result to be what a
// client takes.
func FuzzEvent(f *testing.F) {
	for _, args := range []string{`[]`, `[1,"2",{"3":[true,null]},1.5]`, `["bytes:x",{"a":["bytes:"]}]`, `[{"_placeholder":true,"num":0}]`, `{}`} {
		f.Add("name", []byte(value(f, args)))
	}
	f.Add("connect", []byte{0x90})
	f.Add("\xff\"", append(bytes.Repeat([]byte{0x91}, abi.MaxDepth), 0xc4, 1, 'x'))
	f.Add("number", []byte{0x91, 0xc7, 3, abi.ExtNumber, '1', 'e', '9'})
	f.Fuzz(func(t *testing.T, name string, args []byte) {
		e, err := NewEvent(name, args)
		if err != nil {
			return
		}
		for _, namespace := range []string{"/", "/x"} {
			packet := append(appendHead(nil, e.kind, len(e.parts), namespace, noID), e.payload...)
			p, err := parsePacket(packet, revision5, maxSent)
			if err != nil || p.namespace != namespace || p.id != noID || p.attachments != len(e.parts) || !utf8.Valid(packet) {
				t.Fatalf("%s: %+v, %v", packet, p, err)
			}
			v, err := p.value(nil)
			if err != nil {
				t.Fatalf("%s: %v", packet, err)
			}
			if p.attachments > 0 {
				if _, err = attach(v, make([][]byte, p.attachments)); err != nil {
					t.Fatalf("%s: %v", packet, err)
				}
			}
		}
	})
}
