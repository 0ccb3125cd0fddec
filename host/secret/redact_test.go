package secret

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/slogtest"
	"time"
)

func TestRedactLeavesNothingOfAValue(t *testing.T) {
	for _, c := range []struct {
		s      string
		values []string
		want   string
	}{
		{"no secrets here", []string{"hunter2"}, "no secrets here"},
		{"login hunter2 failed", []string{"hunter2"}, "login [secret] failed"},
		{"hunter2", []string{"hunter2"}, "[secret]"},
		{"hunter2, hunter2", []string{"hunter2"}, "[secret], [secret]"},
		{"hunter2hunter2", []string{"hunter2"}, "[secret]"},
		{"hunter22", []string{"hunter2", "hunter22"}, "[secret]"},
		{"hunter22", []string{"hunter22", "hunter2"}, "[secret]"},
		{"abcdef!", []string{"abcd", "cdef"}, "[secret]!"},
		{"aaaaaa!", []string{"aaaa"}, "[secret]!"},
		{"abc", []string{"abc"}, "abc"}, // too short to be told from other words
		{"x", nil, "x"},
		{"x", []string{""}, "x"},
		{"the hunter2", []string{" hunter2\n"}, "the [secret]"},
		{"the\thunter2\nis", []string{"\thunter2\n"}, "the[secret]is"},
		{`parse "a\"b\\c d"`, []string{`a"b\c d`}, `parse "[secret]"`},
		{"GET /?k=a%2Fb+c%26 HTTP", []string{"a/b c&"}, "GET /?k=[secret] HTTP"},
		{"GET /a%2Fb%20c& HTTP", []string{"a/b c&"}, "GET /[secret] HTTP"},
		{"the secret is out", []string{"secret"}, "the [secret] is out"},
		{"it began with hunt…", []string{"hunter2"}, "it began with [secret]…"},
		{"it began with hun…", []string{"hunter2"}, "it began with hun…"},
		{"it began with hunt", []string{"hunter2"}, "it began with hunt"},
		{"key hunter2 and hunter…", []string{"hunter2"}, "key [secret] and [secret]…"},
		{"pass ünter…", []string{"ünter…"}, "pass [secret]"},
	} {
		if got := Redact(c.s, c.values); got != c.want {
			t.Errorf("%q without %q is %q, want %q", c.s, c.values, got, c.want)
		}
	}
}

type account struct{ Password string }

type stringer struct{ text string }

func (s stringer) String() string { return "of " + s.text }

type marshaler struct{ text *string } // fmt shows the address alone

func (m marshaler) MarshalText() ([]byte, error) { return []byte(*m.text), nil }

type valuer struct{ text string }

func (v valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", v.text), slog.Int("n", 1))
}

type panics struct{}

func (*panics) MarshalText() ([]byte, error) { panic("no text") }

func TestNoValueComesThroughALog(t *testing.T) {
	const value = "hunter2 \"is\" <it>"
	number := "271828182"
	text := "hidden " + value
	shown := []any{
		"string", text,
		"error", fmt.Errorf("login: %w", errors.New(text)),
		"quoted", fmt.Errorf("bad value %q", value),
		"url", &url.Error{Op: "Get", URL: "http://127.0.0.1/?q=" + url.QueryEscape(value), Err: errors.New("refused")},
		"stringer", stringer{value},
		"text", marshaler{&text},
		"valuer", valuer{value},
		"bytes", []byte(text),
		"struct", account{value},
		"pointer", &account{value},
		"map", map[string]any{"deep": []any{&account{value}}},
		"number", 271828182,
		"key " + value, 1,
		slog.Group("group", "a", value, slog.Group("b", "c", errors.New(value))),
		"nil", (*panics)(nil),
	}
	for name, made := range map[string]func(b *bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelInfo})
		},
		"JSON": func(b *bytes.Buffer) slog.Handler {
			return slog.NewJSONHandler(b, &slog.HandlerOptions{Level: slog.LevelInfo})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			log := Redacted(slog.New(made(&b)), []string{value, number})
			log.Info("message with "+value, shown...)
			log.With(shown...).Info("with")
			log.WithGroup("group "+value).Info("in a group", shown...)
			log.Debug("debug " + value)
			out := b.String()
			for _, part := range []string{"hunter2", "hidden hunter", number} {
				if strings.Contains(out, part) {
					t.Errorf("%q stands in %s", part, out)
				}
			}
			if n := strings.Count(out, mark); n < 40 || strings.Contains(out, "debug") {
				t.Errorf("%d marks in %s", n, out)
			}
		})
	}
}

func TestALogKeepsWhatIsNoSecret(t *testing.T) {
	var b bytes.Buffer
	plain := slog.New(slog.NewJSONHandler(&b, nil))
	log := Redacted(plain, []string{"hunter2"})
	log.With("n", 1).WithGroup("g").Info("message", "f", 1.5, "b", true, "d", time.Second, "a", account{"x"}, "e", errors.New("bad"))
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	delete(got, "time")
	want := `{"g":{"a":{"Password":"x"},"b":true,"d":1000000000,"e":"bad","f":1.5},"level":"INFO","msg":"message","n":1}`
	if text, err := json.Marshal(got); err != nil || string(text) != want {
		t.Errorf("%s, want %s", text, want)
	}
	for _, none := range [][]string{nil, {}, {""}, {"abc"}} {
		if Redacted(plain, none) != plain {
			t.Errorf("with %q to look for the log is another", none)
		}
	}
}

func TestARedactedLogIsASlogHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		b.Reset()
		return Redacted(slog.New(slog.NewJSONHandler(&b, nil)), []string{"hunter2"}).Handler()
	}, func(t *testing.T) map[string]any {
		var m map[string]any
		if err := json.Unmarshal(b.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	})
}

// FuzzRedact compares with a byte by byte search, and looks for the values in what
// is left and in what a log writes.
func FuzzRedact(f *testing.F) {
	f.Add("login hunter2 failed", "hunter2", "login")
	f.Add("abcdef", "abcd", "cdef")
	f.Add("aaaaaaaa…", "aaaa", "aaaaaaaaaaaaaaaa")
	f.Add("[secret][secret]", "secret", "[sec")
	f.Add("a\"b\\c\n…", "a\"b\\c\n", " b\\c")
	f.Add("\xff\xfe\xfd\xfc…", "\xff\xfe\xfd\xfc", "\xfd\xfc…\x00")
	f.Fuzz(func(t *testing.T, s, a, b string) {
		values := []string{a, b}
		got := Redact(s, values)
		if want := slowly(s, newRedactor(values)); got != want {
			t.Fatalf("%q without %q is %q, want %q", s, values, got, want)
		}
		var buffer bytes.Buffer
		Redacted(slog.New(slog.NewJSONHandler(&buffer, nil)), values).Info(s, "k", errors.New(s))
		var line struct{ Msg string }
		if err := json.Unmarshal(buffer.Bytes(), &line); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			// One with a bracket may come about beside a mark, and a part of the mark does stand in it.
			if len(v) < minRedacted || strings.ContainsAny(v, "[]") || strings.Contains(mark, v) {
				continue
			}
			if strings.Contains(got, v) || strings.Contains(line.Msg, v) && !strings.Contains(v, "\ufffd") {
				t.Fatalf("%q stands in %q, or in %q", v, got, line.Msg)
			}
		}
	})
}

// slowly is what text does, by another way: each byte that belongs to a value is
// marked, and each run of such bytes replaced.
func slowly(s string, r redactor) string {
	hidden := make([]bool, len(s))
	for _, value := range r {
		for i := 0; i+len(value) <= len(s); i++ {
			if s[i:i+len(value)] == value {
				for j := range len(value) {
					hidden[i+j] = true
				}
			}
		}
		if rest, cut := strings.CutSuffix(s, cutMark); cut {
			for i := 0; i+minRedacted <= len(rest); i++ {
				if strings.HasPrefix(value, rest[i:]) && len(rest)-i < len(value) {
					for j := i; j < len(rest); j++ {
						hidden[j] = true
					}
				}
			}
		}
	}
	var out strings.Builder
	for i := range len(s) {
		if !hidden[i] {
			out.WriteByte(s[i])
		} else if i == 0 || !hidden[i-1] {
			out.WriteString(mark)
		}
	}
	return out.String()
}
