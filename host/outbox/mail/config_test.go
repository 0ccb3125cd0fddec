package mail

import (
	"strings"
	"testing"
)

func TestAServerIsReadFromItsURL(t *testing.T) {
	for _, c := range []struct {
		url  string
		want Config
	}{
		{"smtp://mail.example.com", Config{Host: "mail.example.com"}},
		{"smtp://127.0.0.1:2525/", Config{Host: "127.0.0.1", Port: 2525}},
		{"smtp://[::1]:25?tls=none", Config{Host: "::1", Port: 25, TLS: NoTLS}},
		{"smtp://mail.example.com?tls=required", Config{Host: "mail.example.com", TLS: RequiredTLS}},
		{"smtps://ann%40example.com:p%3Aw%2F@mail.example.com", Config{Host: "mail.example.com", TLS: ImplicitTLS, User: "ann@example.com", Password: "p:w/"}},
	} {
		if got, err := ParseServer(c.url); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v", c.url, got, err)
		}
	}
}

func TestAServerThatIsNotOneIsRefused(t *testing.T) {
	for url, want := range map[string]string{
		"":                                  "want smtp or smtps",
		"mail.example.com:25":               "",
		"http://mail.example.com":           "want smtp or smtps",
		"smtp://":                           "want the name",
		"smtp://a b":                        "not a URL",
		"smtp://mail;example":               "want the name",
		"smtp://host:0":                     "want 1 to 65535",
		"smtp://host:99999":                 "want 1 to 65535",
		"smtp://ann@host":                   "user and password",
		"smtp://:secretword@host":           "user and password",
		"smtp://ann:secretword@host/path":   "nothing behind",
		"smtp://ann:secretword@host#x":      "nothing behind",
		"smtp://ann:secret%ZZword@host":     "percent-encoded",
		"smtp://ann:secretword@ho%20st":     "",
		"smtp://ann:secretword@host:port":   "",
		"smtp://host?tls=maybe":             "want required or none",
		"smtp://host?tls=none&tls=required": "that once",
		"smtp://host?ssl=yes":               "no parameters but tls",
		"smtps://host?tls=none":             "smtps always has it",
	} {
		c, err := ParseServer(url)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: %+v, %v", url, c, err)
		}
	}
}

func TestATransportNeedsAServerAndASender(t *testing.T) {
	good := Config{Host: "mail.example.com", From: "Edge <no-reply@example.com>"}
	transport, err := New(good)
	if err != nil || transport.pool.address != "mail.example.com:587" {
		t.Fatal(transport, err)
	}
	for want, change := range map[string]func(*Config){
		"name or the address of a host": func(c *Config) { c.Host = "" },
		"port of 1 to 65535":            func(c *Config) { c.Port = 70000 },
		"want one of OfferedTLS":        func(c *Config) { c.TLS = 9 },
		"user and password":             func(c *Config) { c.Password = "secretword" },
		"want an address such as":       func(c *Config) { c.From = "" },
		"mail from":                     func(c *Config) { c.From = "no-reply@exa mple.com" },
		"letters of ASCII":              func(c *Config) { c.From = "jürgen@example.com" },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secretword") {
			t.Errorf("want %q: %v", want, err)
		}
	}
	good.TLS = ImplicitTLS
	if transport, err = New(good); err != nil || transport.pool.address != "mail.example.com:465" {
		t.Fatal(transport, err)
	}
}

func FuzzParseServer(f *testing.F) {
	for _, url := range []string{"smtp://ann:pw@host:25?tls=required", "smtps://[::1]", "smtp://a%ZZ", "smtp://host?tls=none;x"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		c, err := ParseServer(url)
		if err != nil {
			return
		}
		c.From = "a@example.com"
		if _, err = New(c); err != nil {
			t.Fatalf("%q is a server, and no transport is made of it: %v", url, err)
		}
	})
}
