package abi_test

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// value returns what write writes.
func value(write func(w *abi.Writer)) abi.Value {
	var w abi.Writer
	write(&w)
	return w.Value()
}

// pairs returns names and values as Pairs.
func pairs(texts ...string) abi.Pairs {
	return abi.Pairs(value(func(w *abi.Writer) {
		w.Array()
		for _, s := range texts {
			w.Text(s)
		}
		w.End()
	}))
}

// longer returns the record v with one more element, as a newer version of the
// contract might send it.
func longer(t *testing.T, v abi.Value) abi.Value {
	t.Helper()
	return value(func(w *abi.Writer) {
		w.Array()
		for it := v.Items(); it.Next(); {
			w.Raw(it.Value())
		}
		w.Map()
		w.Key("new")
		w.Bool(true)
		w.EndAll()
	})
}

// shorter returns the first n elements of the record v, as an older version of
// the contract might send it.
func shorter(v abi.Value, n int) abi.Value {
	return value(func(w *abi.Writer) {
		w.FixedArray(n)
		for it := v.Items(); n > 0 && it.Next(); n-- {
			w.Raw(it.Value())
		}
	})
}

func TestRequestsComeThrough(t *testing.T) {
	caller := abi.Caller{Account: "a1", App: "app", Proof: "token", Token: "t1", Expires: 1700000000000000,
		Scheme: "md5", Name: "Ann", Limit: 100, Window: 3600}
	files := []abi.File{{Field: "image", Name: "me é.jpg", Type: "image/jpeg", Size: 1 << 40}, {}}
	sent := abi.Request{
		Kind: abi.CallRequest, Route: 300, Method: "POST", Path: "/v2/ü", Params: abi.Value(pairs("x", "y")),
		Query: pairs("q", "1"), Headers: pairs("Content-Type", "application/json"),
		BodyKind: abi.BodyValue, Body: value(func(w *abi.Writer) { w.Array(); w.Int(-5); w.End() }),
		Caller: caller, Credential: abi.Credential{Kind: "token", Value: "secret", Family: "/v2", Origin: "https://app.example"},
		Time: 1700000000000001, Remote: "2001:db8::1", ID: "r1", BaseURL: "https://example.org", Target: "/v2/%C3%BC", AnyHost: true,
		Connection: "c1", Files: files,
	}
	frame := value(sent.Append)
	if !frame.Valid() {
		t.Fatalf("frame % x is not valid", []byte(frame))
	}
	for name, frame := range map[string]abi.Value{"as sent": frame, "from a newer host": longer(t, frame)} {
		t.Run(name, func(t *testing.T) {
			var got abi.RawRequest
			if err := abi.ReadRequest(frame, &got); err != nil {
				t.Fatal(err)
			}
			want := abi.RawRequest{
				Kind: sent.Kind, Route: sent.Route, Method: []byte(sent.Method), Path: []byte(sent.Path), Params: sent.Params,
				Query: sent.Query, Headers: sent.Headers, BodyKind: sent.BodyKind, Body: sent.Body,
				Caller: got.Caller, Credential: got.Credential,
				Time: sent.Time, Remote: []byte(sent.Remote), ID: []byte(sent.ID), BaseURL: []byte(sent.BaseURL), Target: []byte(sent.Target), AnyHost: true,
				Connection: []byte("c1"), Files: got.Files,
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			if list := abi.ReadFiles(got.Files); !reflect.DeepEqual(list, files) {
				t.Errorf("files %+v", list)
			}
			for _, v := range []abi.Value{got.Caller, longer(t, got.Caller)} {
				if c, err := abi.ReadCaller(v); err != nil || c != caller {
					t.Errorf("caller %+v, %v", c, err)
				}
			}
			for _, v := range []abi.Value{got.Credential, longer(t, got.Credential)} {
				if c, err := abi.ReadCredential(v); err != nil || c != sent.Credential {
					t.Errorf("credential %+v, %v", c, err)
				}
			}
		})
	}
	t.Run("from an older host", func(t *testing.T) {
		var got abi.RawRequest
		if err := abi.ReadRequest(shorter(frame, 15), &got); err != nil || string(got.BaseURL) != sent.BaseURL || len(got.Target) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if err := abi.ReadRequest(shorter(frame, 17), &got); err != nil || string(got.Target) != sent.Target || len(got.Connection) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
		c, err := abi.ReadCaller(shorter(got.Caller, 5))
		if want := (abi.Caller{Account: "a1", App: "app", Proof: "token", Token: "t1", Expires: caller.Expires}); err != nil || c != want {
			t.Errorf("caller %+v, %v", c, err)
		}
		cred, err := abi.ReadCredential(shorter(got.Credential, 2))
		if want := (abi.Credential{Kind: "token", Value: "secret"}); err != nil || cred != want {
			t.Errorf("credential %+v, %v", cred, err)
		}
		if _, err := abi.ReadCaller(shorter(got.Caller, 4)); err == nil {
			t.Error("a caller of 4 is taken")
		}
		if err := abi.ReadRequest(shorter(frame, 14), &got); err == nil {
			t.Error("a request of 14 is taken")
		}
	})
	t.Run("reading one allocates nothing", func(t *testing.T) {
		var got abi.RawRequest
		if n := testing.AllocsPerRun(100, func() {
			if err := abi.ReadRequest(frame, &got); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("allocates %v times", n)
		}
	})
	t.Run("the empty request", func(t *testing.T) {
		var empty abi.Request
		var got abi.RawRequest
		if err := abi.ReadRequest(value(empty.Append), &got); err != nil {
			t.Fatal(err)
		}
		if c, err := abi.ReadCaller(got.Caller); err != nil || !c.IsZero() {
			t.Errorf("caller %+v, %v", c, err)
		}
		if !got.Params.IsNil() || !got.Body.IsNil() || !got.Credential.IsNil() || len(got.Query) != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestPairsAreSearched(t *testing.T) {
	p := pairs("a", "1", "B", "2", "a", "3", "", "empty")
	for _, c := range []struct {
		name, want string
		found      bool
	}{{"a", "1", true}, {"b", "", false}, {"B", "2", true}, {"", "empty", true}, {"1", "", false}} {
		if got, found := p.Get(c.name); got != c.want || found != c.found {
			t.Errorf("Get(%q) = %q, %t", c.name, got, found)
		}
	}
	if got, found := p.GetFold("b"); got != "2" || !found {
		t.Errorf("GetFold(b) = %q, %t", got, found)
	}
	if _, found := p.GetFold("[\x7f"); found {
		t.Error("GetFold folds more than letters")
	}
	for _, broken := range []abi.Pairs{nil, abi.Pairs("\xdd\xff\xff\xff\xff\xa1a\xa1b"), abi.Pairs("\x92\xa1a\x01"), abi.Pairs("\x91\xa1a"), abi.Pairs("\x05")} {
		if _, found := broken.Get(""); found {
			t.Errorf("% x: found something", []byte(broken))
		}
		broken.Each(func(k, v []byte) bool { t.Errorf("% x: walked %q", []byte(broken), k); return true })
	}
}

func TestRepliesComeThrough(t *testing.T) {
	problem := abi.Error{Status: 409, Code: "taken", Message: "the name is taken", Detail: value(func(w *abi.Writer) { w.Text("name") })}
	caller := abi.Caller{Account: "a1", Proof: "token"}
	for name, sent := range map[string]abi.Reply{
		"no body": {Status: 204, BodyKind: abi.BodyNone, Body: abi.Value("\xc0")},
		"a value": {Status: 200, BodyKind: abi.BodyValue, Body: value(func(w *abi.Writer) { w.Map(); w.Key("a"); w.Int(1); w.End() })},
		"bytes":   {Status: 200, Headers: pairs("Content-Type", "image/png"), BodyKind: abi.BodyRaw, Body: value(func(w *abi.Writer) { w.Bytes([]byte{1, 2}) })},
		"error":   {Status: 409, BodyKind: abi.BodyError, Body: value(problem.Append)},
		"caller":  {Status: 200, BodyKind: abi.BodyCaller, Body: value(func(w *abi.Writer) { abi.AppendCaller(w, &caller) })},
	} {
		t.Run(name, func(t *testing.T) {
			frame := value(sent.Append)
			var got abi.Reply
			for _, frame := range []abi.Value{frame, longer(t, frame)} {
				if err := abi.ReadReply(frame, &got); err != nil || !reflect.DeepEqual(got, sent) {
					t.Errorf("got %+v, %v, want %+v", got, err, sent)
				}
			}
		})
	}
	for _, body := range []abi.Value{value(problem.Append), longer(t, value(problem.Append))} {
		if got, err := abi.ReadError(409, body); err != nil || !reflect.DeepEqual(*got, problem) || got.Error() != "taken: the name is taken" {
			t.Errorf("error %+v, %v", got, err)
		}
	}
}

func TestRepliesThatAreRefused(t *testing.T) {
	for name, frame := range map[string]string{
		"nothing":                       "",
		"no array":                      "\x01",
		"too few fields":                "\x93\x01\xc0\x00",
		"something behind it":           "\x94\x01\xc0\x00\xc0\xc0",
		"a status beyond HTTP":          "\x94\xcd\x03\xe8\xc0\x00\xc0",
		"a negative status":             "\x94\xff\xc0\x00\xc0",
		"an unknown kind of body":       "\x94\x01\xc0\x07\xc0",
		"a form":                        "\x94\x01\xc0\x03\xc0",
		"a kind that wraps to a known":  "\x94\x01\xc0\xcd\x01\x01\xc0",
		"a header without value":        "\x94\x01\x91\xa1a\x00\xc0",
		"a header that is no text":      "\x94\x01\x92\xa1a\x01\x00\xc0",
		"headers that are no list":      "\x94\x01\x80\x00\xc0",
		"raw bytes that are text":       "\x94\x01\xc0\x02\xa1a",
		"a body nested too deep":        "\x94\x01\xc0\x01" + strings.Repeat("\x91", 64) + "\x90",
		"a body with a number for key":  "\x94\x01\xc0\x01\x81\x01\x01",
		"a body that is no number":      "\x94\x01\xc0\x01\xd5\x01,,",
		"a body of an unknown type":     "\x94\x01\xc0\x01\xd4\x02x",
		"headers nested beyond a stack": "\x94\x01" + strings.Repeat("\x91", 1<<20),
	} {
		t.Run(name, func(t *testing.T) {
			var p abi.Reply
			if err := abi.ReadReply([]byte(frame), &p); !errors.Is(err, abi.ErrFrame) {
				t.Errorf("got %v, %+v", err, p)
			}
		})
	}
}

func TestPagesComeThrough(t *testing.T) {
	for name, sent := range map[string]abi.Page{
		"empty":   {},
		"full":    {Entries: []abi.Entry{{Key: []byte("a"), Value: []byte("1")}, {Key: []byte("b"), Value: []byte{}}}, More: true},
		"partial": {Entries: []abi.Entry{{Key: []byte("a"), Value: make([]byte, 70000)}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := abi.ReadPage(value(sent.Append))
			if err != nil || !reflect.DeepEqual(got, sent) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for name, list := range map[string]string{
		"nothing": "", "no array": "\x01", "a key without value": "\x92\xc2\xc4\x00", "no flag": "\x90",
		"a lying count": "\xdd\xff\xff\xff\xff\xc2", "text for a key": "\x93\xc2\xa1a\xc4\x00", "something behind it": "\x91\xc2\xc2",
	} {
		if _, err := abi.ReadPage([]byte(list)); !errors.Is(err, abi.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func description() abi.Description {
	return abi.Description{
		ABI: abi.Version, Name: "hello-1", Version: "1.2.3",
		Families: []abi.Family{{Prefix: "/v1", Errors: value(func(w *abi.Writer) { w.Text("$code") }),
			Codes: [][2]string{{abi.HostNotFound, "gone"}, {abi.HostBusy, "later"}}}, {Prefix: "/", Errors: abi.Value("\xc0")}},
		Routes: []abi.Route{
			{Method: "GET", Pattern: "/v1/a/:b", Family: 0, Auth: []string{"token", "session"}, Optional: true},
			{Method: "POST", Pattern: "/x", Family: 1, Write: true, Body: abi.JSONBody, MaxBody: 1 << 20, Deadline: 1500 * time.Millisecond},
			{Method: "GET", Pattern: "/feed", Family: 1, Write: true, Stream: true},
		},
		Sockets:     []abi.Socket{{Path: "/v1/socket/", Family: 1, Events: []abi.SocketEvent{{Name: "LISTEN", Auth: []string{"token"}, Field: "access_token"}, {Name: "ping"}}}},
		Credentials: []abi.CredentialSource{{Kind: "token", Header: "Authorization", Scheme: "Bearer"}, {Kind: "session", Query: "q", Cookie: "c"}},
		Grants: []string{abi.GrantKV, abi.GrantPasswords, "read:other-1", "egress:*", "egress:*.example.com", "egress:192.0.2.1:8443",
			"a grant of a newer contract"},
		Wants: []string{abi.GrantMail, "webhook:sms"}, Outcomes: true,
		Schema: abi.Schema{Version: 3, Reads: 0, Keeps: 2, Migrates: true},
	}
}

func TestDescriptionsComeThrough(t *testing.T) {
	sent := description()
	frame := append(abi.Value(nil), value(sent.Append)...)
	got, err := abi.ReadDescription(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range frame {
		frame[i] = 0xc1 // the result shares nothing with it
	}
	if !reflect.DeepEqual(*got, sent) {
		t.Errorf("got %+v\nwant %+v", *got, sent)
	}
}

func TestDescriptionsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(d *abi.Description)
		want   string
	}{
		{"another version of the contract", func(d *abi.Description) { d.ABI = 2 }, "description: plugin was built for ABI version 2, this host has version 1"},
		{"no name", func(d *abi.Description) { d.Name = "" }, `description: name "": want 1 to 23 of a-z, 0-9 and '-', a letter first`},
		{"a name that begins with a digit", func(d *abi.Description) { d.Name = "1a" }, `description: name "1a": want 1 to 23 of a-z, 0-9 and '-', a letter first`},
		{"a relative prefix", func(d *abi.Description) { d.Families[1].Prefix = "v1" }, `description: family 1: prefix "v1": want it to begin with '/'`},
		{"a relative pattern", func(d *abi.Description) { d.Routes[0].Pattern = "a" }, "description: route GET a: want the pattern to begin with '/'"},
		{"an unknown method", func(d *abi.Description) { d.Routes[0].Method = "get" }, "description: route get /v1/a/:b: method: want GET, POST, PUT, PATCH or DELETE"},
		{"an unknown body", func(d *abi.Description) { d.Routes[1].Body = "xml" }, `description: route POST /x: body "xml": want json, form, upload, raw, any or nothing`},
		{"a family that is not there", func(d *abi.Description) { d.Routes[1].Family = 2 }, "description: route POST /x: family 2 is not one of the 2 described"},
		{"a negative size", func(d *abi.Description) { d.Routes[1].MaxBody = -1 }, "description: route POST /x: max_body -1 is negative"},
		{"a negative deadline", func(d *abi.Description) { d.Routes[1].Deadline = -time.Minute }, "description: route POST /x: deadline of -59999 ms: want 0 to 86400000"},
		{"a deadline of more than a day", func(d *abi.Description) { d.Routes[1].Deadline = 24*time.Hour + 1 }, "description: route POST /x: deadline of 86400001 ms: want 0 to 86400000"},
		{"a stream that only reads", func(d *abi.Description) { d.Routes[2].Write = false }, "description: route GET /feed: stream: want a GET that writes"},
		{"a socket that is no folder", func(d *abi.Description) { d.Sockets[0].Path = "/v1/socket" }, "description: socket /v1/socket: want the path to begin and to end with '/'"},
		{"a socket's family that is not there", func(d *abi.Description) { d.Sockets[0].Family = -1 }, "description: socket /v1/socket/: family -1 is not one of the 2 described"},
		{"an event that socket.io has reserved", func(d *abi.Description) { d.Sockets[0].Events[1].Name = "disconnect" }, "description: socket /v1/socket/: event disconnect: want a name of 1 to 128 bytes that socket.io has not reserved"},
		{"an event whose credential is nowhere", func(d *abi.Description) { d.Sockets[0].Events[0].Field = "" }, `description: socket /v1/socket/: event LISTEN: auth ["token"]: want the field with the credential`},
		{"a grant to read nothing", func(d *abi.Description) { d.Grants[2] = "read:" }, `description: grant "read:": want "read:" and the name of a plugin`},
		{"a grant to read all", func(d *abi.Description) { d.Grants[2] = "read:*" }, `description: grant "read:*": want "read:" and the name of a plugin`},
		{"a grant to read its own", func(d *abi.Description) { d.Grants[2] = "read:hello-1" }, `description: grant "read:hello-1": its own key space is "kv"`},
		{"a grant to call a URL", func(d *abi.Description) { d.Grants[3] = "egress:https://x.example" }, `description: grant "egress:https://x.example": want "egress:" and a host, such as "api.example.com", "*.example.com" or "api.example.com:8443"`},
		{"a grant to call every webhook", func(d *abi.Description) { d.Grants[3] = "webhook:" }, `description: grant "webhook:": want "webhook:" and a name of a-z, 0-9 and '-'`},
		{"a wish to call a webhook by its address", func(d *abi.Description) { d.Wants[1] = "webhook:https://x.example" }, `description: grant "webhook:https://x.example": want "webhook:" and a name of a-z, 0-9 and '-'`},
		{"a wish to read its own", func(d *abi.Description) { d.Wants[0] = "read:hello-1" }, `description: grant "read:hello-1": its own key space is "kv"`},
		{"many grants and wishes", func(d *abi.Description) { d.Wants = make([]string, 58) }, "description: 65 grants: want at most 64"},
		{"a long grant", func(d *abi.Description) { d.Grants[0] = strings.Repeat("x", 301) }, "description: a grant of 301 bytes: want at most 300"},
		{"many grants", func(d *abi.Description) { d.Grants = make([]string, 63) }, "description: 65 grants: want at most 64"},
		{"a negative schema", func(d *abi.Description) { d.Schema = abi.Schema{Version: -1, Reads: -1, Keeps: -1} }, "description: schema: version -1: want 1 to 2147483647, or no schema"},
		{"a schema that reads newer ones", func(d *abi.Description) { d.Schema.Reads = 4 }, "description: schema: reads 4: want 0 to its version, 3"},
		{"a schema that keeps newer ones", func(d *abi.Description) { d.Schema.Keeps = 4 }, "description: schema: keeps 4: want 0 to its version, 3"},
		{"a migration of what it cannot read", func(d *abi.Description) { d.Schema.Reads = 3 }, "description: schema: migrates, and reads 3 alone: want it to read what it migrates"},
		{"a source without a kind", func(d *abi.Description) { d.Credentials[1].Kind = "" }, "description: credential 1: want a kind"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := description()
			c.change(&d)
			if _, err := abi.ReadDescription(value(d.Append)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	// entry writes a description with one entry of its own.
	entry := func(key string, write func(w *abi.Writer)) abi.Value {
		return value(func(w *abi.Writer) {
			w.Map()
			w.Key("abi")
			w.Int(abi.Version)
			w.Key("name")
			w.Text("x")
			w.Key("families")
			w.Array()
			w.Map()
			w.Key("prefix")
			w.Text("/")
			w.End()
			w.End()
			w.Key(key)
			write(w)
			w.End()
		})
	}
	route := func(key string, write func(w *abi.Writer)) abi.Value {
		return entry("routes", func(w *abi.Writer) {
			w.Array()
			w.Map()
			w.Key("method")
			w.Text("GET")
			w.Key("pattern")
			w.Text("/")
			w.Key(key)
			write(w)
			w.End()
			w.End()
		})
	}
	token := func(w *abi.Writer) { w.Text("token") }
	for _, c := range []struct {
		name string
		v    abi.Value
		want string
	}{
		{"one kind instead of a list, which would open the route", route("auth", token), "description: route GET /: auth: want an array, got a string"},
		{"a list of numbers", route("auth", func(w *abi.Writer) { w.Array(); w.Int(1); w.End() }), "description: route GET /: auth: want strings, got an integer"},
		{"a word for a boolean", route("write", token), "description: route GET /: write: want a boolean, got a string"},
		{"an integer beyond 64 bits", route("max_body", func(w *abi.Writer) { w.Uint(math.MaxUint64) }), "description: route GET /: max_body: is out of range"},
		{"wishes that are no list", entry("wants", token), "description: wants: want an array, got a string"},
		{"a word for whether it is told outcomes", entry("outcomes", token), "description: outcomes: want a boolean, got a string"},
		{"routes that are no list", entry("routes", token), "description: routes: want an array, got a string"},
		{"a route that is no object", entry("routes", func(w *abi.Writer) { w.Array(); w.Nil(); w.End() }), "description: route: want an object, got null"},
		{"a code that is no string", entry("families", func(w *abi.Writer) {
			w.Array()
			w.Map()
			w.Key("codes")
			w.Map()
			w.Key("busy")
			w.Int(1)
			w.End()
			w.End()
			w.End()
		}), "description: family 0: codes: busy: want a string, got an integer"},
		{"codes that are no object", entry("families", func(w *abi.Writer) {
			w.Array()
			w.Map()
			w.Key("codes")
			w.Array()
			w.End()
			w.End()
			w.End()
		}), "description: family 0: codes: want an object, got an array"},
		{"not an object", value(token), "description: want an object, got a string"},
		{"not a value", abi.Value("\x81\x01"), "description: abi: malformed frame"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := abi.ReadDescription(c.v); err == nil || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("null is as good as absent", func(t *testing.T) {
		d, err := abi.ReadDescription(route("auth", func(w *abi.Writer) { w.Nil() }))
		if err != nil || d.Routes[0].Auth != nil {
			t.Errorf("got %+v, %v", d, err)
		}
	})
}

func TestCodesAndErrorsBelongTogether(t *testing.T) {
	for _, err := range []error{abi.ErrKey, abi.ErrValue, abi.ErrTooLarge, abi.ErrReadOnly, abi.ErrDenied, abi.ErrArgument, abi.ErrHost, abi.ErrLimited} {
		code := abi.CodeOf(err)
		if code >= abi.CodeNotFound || abi.ErrorOf(code) != err {
			t.Errorf("%v has code %d, which stands for %v", err, code, abi.ErrorOf(code))
		}
	}
	if abi.CodeOf(errors.New("other")) != abi.CodeHost || abi.ErrorOf(-1000) != abi.ErrHost {
		t.Error("what is unknown is not the host's failure")
	}
}

func FuzzFrames(f *testing.F) {
	d, q, p := description(), abi.Request{Caller: abi.Caller{Proof: "x"}, Credential: abi.Credential{Kind: "x"}}, abi.Reply{Headers: pairs("a", "b")}
	page := abi.Page{Entries: []abi.Entry{{Key: []byte("k")}}}
	batch, migration := abi.Batch{Cursor: []byte("k"), Done: 1}, abi.Migration{To: 1}
	for _, write := range []func(*abi.Writer){batch.Append, migration.Append, d.Append, q.Append, p.Append, page.Append, (&abi.Error{Code: "c"}).Append} {
		f.Add([]byte(value(write)))
	}
	f.Add([]byte("\xdd\xff\xff\xff\xff\xc2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		frame := append([]byte(nil), b...)
		var q abi.RawRequest
		if abi.ReadRequest(frame, &q) == nil {
			abi.ReadCaller(q.Caller)
			abi.ReadCredential(q.Credential)
			q.Query.Get("a")
			q.Headers.GetFold("a")
		}
		var p abi.Reply
		if abi.ReadReply(frame, &p) == nil {
			if !p.Body.Valid() {
				t.Fatalf("% x: body is not valid", b)
			}
			n := 0
			p.Headers.Each(func(k, v []byte) bool { n += 2; return true })
			if n != abi.Value(p.Headers).Len() {
				t.Fatalf("% x: headers are not pairs of text", b)
			}
			var again abi.Reply
			if err := abi.ReadReply(value(p.Append), &again); err != nil || !reflect.DeepEqual(p, again) {
				t.Fatalf("% x: read as %+v, again as %+v, %v", b, p, again, err)
			}
			abi.ReadError(p.Status, p.Body)
			abi.ReadCaller(p.Body)
		}
		if d, err := abi.ReadDescription(frame); err == nil {
			again, err := abi.ReadDescription(value(d.Append))
			if err != nil || len(again.Routes) != len(d.Routes) {
				t.Fatalf("% x: read as %+v, again as %+v, %v", b, d, again, err)
			}
		}
		abi.ReadMigration(frame)
		if batch, err := abi.ReadBatch(frame); err == nil {
			if again, err := abi.ReadBatch(value(batch.Append)); err != nil || !reflect.DeepEqual(batch, again) {
				t.Fatalf("% x: batch %+v is read as %+v, %v", b, batch, again, err)
			}
		}
		if page, err := abi.ReadPage(frame); err == nil {
			if _, err := abi.ReadPage(value(page.Append)); err != nil {
				t.Fatalf("% x: page %+v does not come through", b, page)
			}
		}
		if string(frame) != string(b) {
			t.Fatal("a frame was changed by reading it")
		}
	})
}
