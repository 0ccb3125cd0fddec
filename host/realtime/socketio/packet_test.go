package socketio

import (
	"bytes"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// value returns the MessagePack of a JSON text in which "bytes:…" stands for a byte
// string.
func value(t testing.TB, json string) abi.Value {
	t.Helper()
	v, err := text.ParseJSON(nil, []byte(json), abi.MaxDepth)
	if err != nil {
		t.Fatalf("%s: %v", json, err)
	}
	var w abi.Writer
	withBytes(&w, v)
	return w.Value()
}

func withBytes(w *abi.Writer, v abi.Value) {
	switch v.Kind() {
	case abi.Array:
		w.Array()
		for it := v.Items(); it.Next(); {
			withBytes(w, it.Value())
		}
		w.End()
	case abi.Map:
		w.Map()
		for m := v.Entries(); m.Next(); {
			w.KeyBytes(m.Key())
			withBytes(w, m.Value())
		}
		w.End()
	case abi.String:
		s, _ := v.TextBytes()
		if b, ok := bytes.CutPrefix(s, []byte("bytes:")); ok {
			w.Bytes(b)
			return
		}
		w.TextBytes(s)
	default:
		w.Raw(v)
	}
}

// render returns v as JSON, byte strings as "bytes:…".
func render(t testing.TB, v abi.Value) string {
	t.Helper()
	if v == nil {
		return ""
	}
	var w abi.Writer
	withoutBytes(&w, v)
	dst, err := text.AppendJSON(nil, w.Value())
	if err != nil {
		t.Fatalf("%x: %v", v, err)
	}
	return string(dst)
}

func withoutBytes(w *abi.Writer, v abi.Value) {
	switch v.Kind() {
	case abi.Array:
		w.Array()
		for it := v.Items(); it.Next(); {
			withoutBytes(w, it.Value())
		}
		w.End()
	case abi.Map:
		w.Map()
		for m := v.Entries(); m.Next(); {
			w.KeyBytes(m.Key())
			withoutBytes(w, m.Value())
		}
		w.End()
	case abi.Bytes:
		b, _ := v.Bytes()
		w.Text("bytes:" + string(b))
	default:
		w.Raw(v)
	}
}

func TestPacketsAreTakenApart(t *testing.T) {
	for _, c := range []struct {
		in   string
		want packet
		json string
	}{
		{`0`, packet{kind: kindConnect, namespace: "/", id: noID}, ""},
		{`0{"token":"123"}`, packet{kind: kindConnect, namespace: "/", id: noID}, `{"token":"123"}`},
		{`0/,{}`, packet{kind: kindConnect, namespace: "/", id: noID}, `{}`},
		{`0/admin`, packet{kind: kindConnect, namespace: "/admin", id: noID}, ""},
		{`0/admin,`, packet{kind: kindConnect, namespace: "/admin", id: noID}, ""},
		{`0/admin,{"a":[1]}`, packet{kind: kindConnect, namespace: "/admin", id: noID}, `{"a":[1]}`},
		{`1`, packet{kind: kindDisconnect, namespace: "/", id: noID}, ""},
		{`1/admin,`, packet{kind: kindDisconnect, namespace: "/admin", id: noID}, ""},
		{`2["hey","Jude"]`, packet{kind: kindEvent, namespace: "/", id: noID}, `["hey","Jude"]`},
		{`2["hey"]`, packet{kind: kindEvent, namespace: "/", id: noID}, `["hey"]`},
		{`2["",null]`, packet{kind: kindEvent, namespace: "/", id: noID}, `["",null]`},
		{`212["foo"]`, packet{kind: kindEvent, namespace: "/", id: 12}, `["foo"]`},
		{`2/admin,456["project:delete",123]`, packet{kind: kindEvent, namespace: "/admin", id: 456}, `["project:delete",123]`},
		{`2/日本,9007199254740991["x"]`, packet{kind: kindEvent, namespace: "/日本", id: maxID}, `["x"]`},
		{`3/admin,0[]`, packet{kind: kindAck, namespace: "/admin", id: 0}, `[]`},
		{`51-["baz",{"_placeholder":true,"num":0}]`, packet{kind: kindBinaryEvent, attachments: 1, namespace: "/", id: noID}, `["baz",{"_placeholder":true,"num":0}]`},
		{`510-/admin,7["baz"]`, packet{kind: kindBinaryEvent, attachments: 10, namespace: "/admin", id: 7}, `["baz"]`},
		{`61-/admin,13[1]`, packet{kind: kindBinaryAck, attachments: 1, namespace: "/admin", id: 13}, `[1]`},
		{`50-["none"]`, packet{kind: kindBinaryEvent, namespace: "/", id: noID}, `["none"]`},
		{`0/admin?a=b,`, packet{kind: kindConnect, namespace: "/admin?a=b", id: noID}, ""},
	} {
		p, err := parsePacket([]byte(c.in), revision5, 10)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		v, err := p.value([]byte("before"))
		if err != nil || render(t, v) != c.json {
			t.Errorf("%s: payload %s, %v", c.in, render(t, v), err)
		}
		p.payload, p.query = nil, nil
		if p.kind != c.want.kind || p.attachments != c.want.attachments || p.namespace != c.want.namespace || p.id != c.want.id {
			t.Errorf("%s: got %+v", c.in, p)
		}
	}
}

func TestANamespaceOfRevision4CarriesAQuery(t *testing.T) {
	for _, c := range []struct{ in, namespace, query, want string }{
		{"0/x?token=a%20b&uid=1,", "/x", "token=a%20b&uid=1", `{"token":"a b","uid":"1"}`},
		{"0/x?a=b", "/x", "a=b", `{"a":"b"}`},
		{"0/x?,", "/x", "", ""},
		{"0/?a=b,", "/", "a=b", `{"a":"b"}`},
		{"0/x,", "/x", "", ""},
	} {
		p, err := parsePacket([]byte(c.in), revision4, 10)
		if err != nil || p.namespace != c.namespace || string(p.query) != c.query {
			t.Errorf("%s: %+v, %v", c.in, p, err)
		}
		if v, err := queryValue(p.query); err != nil || render(t, v) != c.want {
			t.Errorf("%s: %s, %v", c.in, render(t, v), err)
		}
	}
	if _, err := queryValue([]byte("a=%zz")); err == nil {
		t.Error("a query with a broken escape is taken")
	}
}

func TestBadPacketsAreRefused(t *testing.T) {
	deep := strings.Repeat("[", abi.MaxDepth) + strings.Repeat("]", abi.MaxDepth)
	for _, in := range []string{
		"", "abc", "7", ":", "-1", " 2[\"a\"]", "\x00",
		`2`, `2{}`, `2[]`, `2["a"`, `2["a"]]`, `2"a"`, `2null`, `2[1]`, `2[null,"a"]`, `2[["a"]]`, `2[` + deep + `]`, `2["a",` + deep + `]`, "2[\"\xff\"]",
		`2["connect"]`, `2["connect_error",1]`, `2["disconnect"]`, `2["disconnecting"]`, `2["newListener"]`, `2["removeListener"]`,
		`2["dis\u0063onnect"]`, `51-["connect",{"_placeholder":true,"num":0}]`,
		`2abc["message"]`, `2-1["a"]`, `21.5["a"]`, `29007199254740992["a"]`, `299999999999999999999["a"]`, `20x1["a"]`,
		`3[]`, `3/x,[]`, `31`, `31{}`, `31"a"`, `31null`,
		`1{}`, `1[]`, `112`, `1/x,12`,
		`0[]`, `0"a"`, `01`, `05{}`, `0null`, `0{"a"}`,
		`4{"message":"x"}`, `4"x"`, `4`,
		`5["a"]`, `5-["a"]`, `511-["a"]`, `5999999999-["a"]`, `51`, `51-`, `5-1-["a"]`, `51["a"]`, `51-{}`, `5a-["a"]`, `6["a"]`, `61-["a"]`, `61-1{}`,
		"0/\xff,", "0/a\x1eb,", "0/a\nb", "0/" + strings.Repeat("n", maxNamespace),
	} {
		for _, r := range []revision{revision4, revision5} {
			p, err := parsePacket([]byte(in), r, 10)
			if err == nil {
				_, err = p.value(nil)
			}
			if err == nil {
				t.Errorf("%q is taken: %+v", in, p)
			}
		}
	}
	if _, err := parsePacket([]byte("0/x?"+strings.Repeat("q", maxQuery+1)), revision4, 10); err == nil {
		t.Error("a query that is too long is taken")
	}
}

func TestAnEventIsSplitInItsPlace(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, n := range []int{0, 1, 2, 14, 15, 16, 17, 40, 70000} {
		for _, name := range []string{"", "a", "event", long} {
			args := "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]"
			payload := `["` + name + `",` + args[1:]
			if n == 0 {
				payload = `["` + name + `"]`
			}
			parsed, err := text.ParseJSON(nil, []byte(payload), abi.MaxDepth)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range []abi.Value{parsed, value(t, payload)} { // heads of each size
				got, rest := splitEvent(v)
				if !rest.Valid() || got != name || render(t, rest) != args {
					t.Errorf("%d arguments: event %.20q, %.80s", n, got, render(t, rest))
				}
			}
		}
	}
}

// FuzzPacket decodes what may be an event or a connection, and wants that what is
// taken can be sent back and reads the same.
func FuzzPacket(f *testing.F) {
	for _, s := range []string{
		`0`, `0{"a":1}`, `0/admin,{}`, `0/x?a=b,`, `1/x,`, `2["a",1,[true]]`, `2/x,12["a",{"b":null}]`, `312[1]`,
		`51-["a",{"_placeholder":true,"num":0}]`, `52-/x,3["a",[{"_placeholder":true,"num":1}],{"num":0,"_placeholder":true}]`, `61-9[{"_placeholder":true,"num":0}]`,
		`2["a",{"_placeholder":true,"num":0}]`, `2[]`, `4"x"`, `50-["a"]`,
	} {
		f.Add([]byte(s), []byte("first"), false)
		f.Add([]byte(s), []byte{}, true)
	}
	f.Fuzz(func(t *testing.T, data, part []byte, old bool) {
		r := revision5
		if old {
			r = revision4
		}
		p, err := parsePacket(data, r, 3)
		if err != nil {
			return
		}
		if p.attachments > 3 || len(p.namespace) > maxNamespace || p.namespace[0] != '/' || strings.Contains(p.namespace, ",") || p.id < noID || p.id > maxID {
			t.Fatalf("%q: %+v", data, p)
		}
		_, _ = queryValue(p.query)
		v, err := p.value(nil)
		if err != nil || v == nil {
			return
		}
		if !v.Valid() {
			t.Fatalf("%q: the payload is malformed", data)
		}
		if p.attachments > 0 {
			parts := [][]byte{part, append(part, 'x'), nil}[:p.attachments]
			if v, err = attach(v, parts); err != nil {
				return
			}
			if !v.Valid() {
				t.Fatalf("%q: the payload is malformed with its attachments", data)
			}
		}
		if p.kind == kindEvent || p.kind == kindBinaryEvent {
			sameEvent(t, v)
		}
	})
}

// sameEvent sends an event back and wants to read the same.
func sameEvent(t *testing.T, v abi.Value) {
	want := render(t, v)
	name, args := splitEvent(bytes.Clone(v))
	if !args.Valid() {
		t.Fatalf("%s: the arguments are malformed", want)
	}
	e, err := NewEvent(name, args)
	if err != nil {
		if strings.Contains(want, placeholderKey) { // which may not stand beside byte strings
			return
		}
		t.Fatalf("%s: %v", want, err)
	}
	_, parts, err := separate(args)
	if err != nil {
		t.Fatal(err)
	}
	if (e.kind == kindBinaryEvent) != (len(parts) > 0) || len(e.parts) != len(parts) {
		t.Fatalf("%s: kind %d with %d attachments, want %d", want, e.kind, len(e.parts), len(parts))
	}
	p, err := parsePacket(append(appendHead(nil, e.kind, len(parts), "/", noID), e.payload...), revision5, maxSent)
	if err != nil {
		t.Fatalf("%s: sent back as %s: %v", want, e.payload, err)
	}
	back, err := p.value(nil)
	if err != nil {
		t.Fatalf("%s: sent back as %s: %v", want, e.payload, err)
	}
	if len(parts) > 0 {
		if back, err = attach(back, parts); err != nil {
			t.Fatalf("%s: sent back as %s: %v", want, e.payload, err)
		}
	}
	if got := render(t, back); got != want {
		t.Fatalf("%s: sent back as %s", want, got)
	}
}
