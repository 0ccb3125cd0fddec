package engineio

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

func TestUTF16UnitsAreCounted(t *testing.T) {
	for text, units := range map[string]int{"": 0, "abc": 3, "€": 1, "ä€😀x": 5} {
		if got := countUnits([]byte(text)); got != units {
			t.Errorf("%q has %d units, want %d", text, got, units)
		}
		if n, err := skipUnits([]byte(text+"more"), units); n != len(text) || err != nil {
			t.Errorf("%d units of %q are %d bytes, %v", units, text, n, err)
		}
	}
}

func TestAFrameIsMadeOnce(t *testing.T) {
	m := Sequence(Text([]byte("a")), Binary([]byte{1, 2, 3}))
	for e, want := range map[encoding]string{
		binary4:   "\x81\x024a\x82\x03\x01\x02\x03",
		binary3:   "\x81\x024a\x82\x04\x04\x01\x02\x03",
		base64of4: "\x81\x024a\x81\x05bAQID",
		base64of3: "\x81\x024a\x81\x06b4AQID",
	} {
		f := m.frame(e)
		if string(f) != want {
			t.Errorf("encoding %d is %q, want %q", e, f, want)
		}
		if again := m.frame(e); &again[0] != &f[0] {
			t.Errorf("encoding %d was made again", e)
		}
	}
	text := Text([]byte("a"))
	if a, b := text.frame(binary4), text.frame(base64of3); &a[0] != &b[0] {
		t.Error("the frames of a text are made for each encoding")
	}
}

func TestLongFramesHaveALongHeader(t *testing.T) {
	for _, n := range []int{0, 125, 126, 65535, 65536} {
		f := appendHeader(nil, ws.OpBinary, n)
		h, err := ws.ReadHeader(bytes.NewReader(f))
		if err != nil || h.Length != int64(n) || !h.Fin || h.Masked || h.OpCode != ws.OpBinary {
			t.Errorf("the header of %d bytes is %x: %+v, %v", n, f, h, err)
		}
	}
}

// FuzzPayload decodes what clients may post, and checks that what is understood
// survives being encoded and decoded once more.
func FuzzPayload(f *testing.F) {
	for _, s := range []string{
		"4hello", "4a\x1e2\x1ebAQIDBA==", "b", "4", "", "\x1e", "6:4hello10:b4AQIDBA==", "2:4€3:4😀", "0:", "1:", "99999999:4",
		"\x00\x04\xff4€\x01\x05\xff\x04\x01\x02\x03\x04", "\x01\x00\xff", "\x00\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\xff",
	} {
		for mode := range byte(4) {
			f.Add([]byte(s), mode)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte, mode byte) {
		version, binary := 3+int(mode&1), mode&2 != 0
		var list []*Message
		err := decodePayload(version, body, binary, func(p packet) error {
			if !p.binary && !utf8.Valid(p.data) {
				t.Fatalf("a text is not UTF-8: %q", p.data)
			}
			list = append(list, newMessage(p))
			return nil
		})
		if err != nil || len(list) == 0 {
			return
		}
		if version == 4 {
			for _, m := range list { // the separator cannot be in what came over it
				if !m.binary && bytes.IndexByte(m.packets[0].data, separator) >= 0 {
					t.Fatal("a packet has a separator in it")
				}
			}
		}
		again, isBinary := appendPayload(nil, version, mode&4 != 0, list)
		i := 0
		err = decodePayload(version, again, isBinary, func(p packet) error {
			if q := list[i].packets[0]; p.kind != q.kind || p.binary != q.binary || !bytes.Equal(p.data, q.data) {
				t.Fatalf("%+v became %+v", q, p)
			}
			i++
			return nil
		})
		if err != nil || i != len(list) {
			t.Fatalf("%q became %q: %d of %d packets, %v", body, again, i, len(list), err)
		}
	})
}

// A drip gives bytes in small parts.
type drip struct {
	deadConn
	rest *bytes.Reader
	size int
}

func (d drip) Read(b []byte) (int, error) { return d.rest.Read(b[:min(len(b), d.size)]) }

// FuzzFrames reads what clients may send on a websocket, in parts of any size.
func FuzzFrames(f *testing.F) {
	frame := func(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }
	f.Add(frame(ws.NewTextFrame([]byte("4hello"))), byte(1))
	f.Add(append(frame(ws.NewFrame(ws.OpText, false, []byte("4he"))), frame(ws.NewFrame(ws.OpContinuation, true, []byte("llo")))...), byte(3))
	f.Add(frame(ws.NewBinaryFrame(bytes.Repeat([]byte("x"), 70_000))), byte(200))
	f.Add(frame(ws.NewPingFrame([]byte("x"))), byte(7))
	f.Add(frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye"))), byte(2))
	f.Add([]byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, byte(5))
	server := New(Config{MaxPayload: 100_000}, newRecorder())
	f.Cleanup(server.Shutdown)
	f.Fuzz(func(t *testing.T, data []byte, size byte) {
		c := &socket{server: server, session: &Session{server: server, reason: "none"}}
		c.conn = drip{rest: bytes.NewReader(data), size: int(size) + 1}
		total := 0
		for {
			message, binary, err := c.message()
			if err != nil {
				v := (*violation)(nil)
				if !errors.As(err, &v) && !errors.Is(err, io.EOF) && !errors.Is(err, errClosed) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if !binary && !utf8.Valid(message) {
				t.Fatalf("a text is not UTF-8: %q", message)
			}
			if total += len(message); total > len(data) {
				t.Fatalf("%d bytes came out of %d", total, len(data))
			}
			_, _ = parsePacket(3, message, binary)
			_, _ = parsePacket(4, message, binary)
		}
	})
}

func TestFramesComeInPartsOfAnySize(t *testing.T) {
	server := New(Config{}, newRecorder())
	defer server.Shutdown()
	var data []byte
	var want []string
	for _, n := range []int{0, 1, 100, 125, 126, 5000, 65535, 65536, 200_000, 3} {
		text := strings.Repeat("€", n/3) + strings.Repeat("x", n%3)
		want = append(want, text)
		data = append(data, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))...)
	}
	for _, size := range []int{1, 2, 3, 7, 16, 100, 4096, 1 << 20} {
		c := &socket{server: server, conn: drip{rest: bytes.NewReader(data), size: size}}
		for i, text := range want {
			got, binary, err := c.message()
			if err != nil || binary || string(got) != text {
				t.Fatalf("in parts of %d, message %d of %d bytes came with %d, %v", size, i, len(text), len(got), err)
			}
		}
	}
}
