package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestTheHostsMailIsWhatTheCommandLineSays(t *testing.T) {
	for _, c := range []struct{ server, from, wantServer, wantFrom string }{
		{"smtp://mail.example.com", "", "mail.example.com", "no-reply@mail.example.com"},
		{"smtps://ann%40example.com:hush@mail.example.com:4465", "", "mail.example.com", "ann@example.com"},
		{"smtp://127.0.0.1:1025", "", "127.0.0.1", "no-reply@localhost"},
		{"smtp://ann:hush@mail.example.com", "Edge <edge@example.com>", "mail.example.com", "Edge <edge@example.com>"},
	} {
		got, err := mailConfig(c.server, c.from)
		if err != nil {
			t.Errorf("%s: %v", c.server, err)
		} else if got.Host != c.wantServer || got.From != c.wantFrom || strings.Contains(c.server, "hush") != (got.Password == "hush") {
			t.Errorf("%s: %+v", c.server, got)
		}
	}
	if got, err := mailConfig("", ""); got != nil || err != nil {
		t.Errorf("%v, %v", got, err)
	}
	for _, c := range []struct{ server, from, want string }{
		{"", "edge@example.com", "--mail-from: want --smtp-url as well"},
		{"smtp://mail.example.com", "Edge", `--mail-from: "Edge": want an address`},
		{"mail.example.com", "", "--smtp-url: mail server: scheme"},
		{"http://mail.example.com", "", "want smtp or smtps"},
		{"smtp://ann@mail.example.com", "", "want user and password, or neither"},
		{"smtp://ann:hush@mail.example.com?tls=some", "", "tls=some: want required or none"},
	} {
		if _, err := mailConfig(c.server, c.from); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: got %v, want %s", c.server, err, c.want)
		}
	}
}

// Whatever a URL is taken for that nobody has written as URLs are written.
func TestAURLThatIsWrongDoesNotShowItsPassword(t *testing.T) {
	for _, server := range []string{
		"smtp://ann:PW@", "smtp://ann:PW@host:port", "smtp://ann:PW@host/path", "smtp://ann:PW@host#part", "smtp://ann:PW@host:0", "smtp://ann:PW@a b", "smtp:// ann:PW@host",
		"smtp://ann:PW/x@host", "smtp://ann:x/PW@host", "smtp://ann:PW?x@host", "smtp://ann:1?PW@host", "smtp://ann:PW#x@host", "smtp://ann:1#PW@host", "smtp://ann:PW%@host",
		"smtp://ann:PW\n@host", "http://ann:PW@host", "smtp:ann:PW@host", "ann:PW@host", "//ann:PW@host", "PW://ann@host", "PW:ann@host", "smtp://ann:PW@host?PW@=1", "smtp://ann:PW@host?tls=no@PW", "smtp:///ann:PW@host",
	} {
		for _, password := range []string{"7531", "hush"} {
			_, err := mailConfig(strings.ReplaceAll(server, "PW", password), "")
			if err == nil {
				t.Errorf("%s is taken", server)
			} else if strings.Contains(err.Error(), password) && !strings.HasPrefix(server, "PW://") {
				t.Errorf("%s: %v", server, err)
			}
		}
	}
}

func TestAnInspectionTellsWhatAPluginWants(t *testing.T) {
	var i inspection
	i.note(&abi.Description{Name: "p", Grants: []string{"kv"}, Wants: []string{"mail", "webhook:sms", "read:q"}})
	var out bytes.Buffer
	if err := i.print(&out); err != nil {
		t.Fatal(err)
	}
	const want = `
grants that it wants, and can do without
  mail         to send mail
  webhook:sms  to call the webhook sms of the manifest
  read:q       to read the state of plugin q
`
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	text, err := json.Marshal(&i)
	if err != nil || !strings.Contains(string(text), `"wants":[{"grant":"mail","for":"send mail"},`) {
		t.Errorf("%s, %v", text, err)
	}
}
