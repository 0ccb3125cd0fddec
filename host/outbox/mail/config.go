package mail

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
)

// A Config says which server takes mails, and from whom they are.
type Config struct {
	Host     string
	Port     int // 0: 587, or 465 with ImplicitTLS
	TLS      TLS
	User     string // empty: without logging in
	Password string
	From     string // "Name <address@example.com>", or an address alone
	// RootCAs are whose certificates of servers count; nil: the system's.
	RootCAs *x509.CertPool
	// Connections is how many are open at a time, at most; default 10.
	Connections int
}

// TLS says how a connection is encrypted. Where it is, the server's certificate has to
// be good.
type TLS int

// The values of TLS.
const (
	OfferedTLS  TLS = iota // by STARTTLS, if the server offers that
	RequiredTLS            // by STARTTLS, or nothing is sent
	ImplicitTLS            // from the first byte on
	NoTLS                  // not at all
)

const (
	submissionPort  = 587
	submissionsPort = 465
	connections     = 10
)

// ParseServer reads the URL of a server: "smtp://[user:password@]host[:port]", by default
// at port 587, with "?tls=required" or "?tls=none"; or "smtps://…", by default at port
// 465. Its errors do not show the password.
func ParseServer(server string) (Config, error) {
	u, err := url.Parse(server)
	if err != nil {
		return Config{}, errors.New(`mail server: not a URL: want "smtp://[user:password@]host[:port]" or "smtps://…", with what is special in user and password percent-encoded`)
	}
	c := Config{Host: u.Hostname()}
	switch u.Scheme {
	case "smtp":
	case "smtps":
		c.TLS = ImplicitTLS
	default:
		return Config{}, fmt.Errorf("mail server: scheme %.20q: want smtp or smtps", u.Scheme)
	}
	shown := u.Scheme + "://" + u.Host
	if !isHost(c.Host) {
		return Config{}, fmt.Errorf("mail server %.100q: want the name or the address of a host", shown)
	}
	if port := u.Port(); port != "" {
		c.Port, err = strconv.Atoi(port)
		if err != nil || c.Port < 1 || c.Port > 65535 {
			return Config{}, fmt.Errorf("mail server %.100q: port %.20s: want 1 to 65535", shown, port)
		}
	}
	if u.User != nil {
		c.User = u.User.Username()
		c.Password, _ = u.User.Password()
		if c.User == "" || c.Password == "" {
			return Config{}, fmt.Errorf("mail server %.100q: want user and password, or neither", shown)
		}
	}
	if u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Config{}, fmt.Errorf("mail server %.100q: want nothing behind the host and its port but ?tls=", shown)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, fmt.Errorf("mail server %.100q: want no parameters but tls", shown)
	}
	for name, values := range query {
		switch {
		case name != "tls" || len(values) != 1:
			return Config{}, fmt.Errorf("mail server %.100q: want no parameters but tls, and that once", shown)
		case c.TLS == ImplicitTLS:
			return Config{}, fmt.Errorf("mail server %.100q: tls is for smtp: smtps always has it", shown)
		case values[0] == "required":
			c.TLS = RequiredTLS
		case values[0] == "none":
			c.TLS = NoTLS
		default:
			return Config{}, fmt.Errorf("mail server %.100q: tls=%.20s: want required or none", shown, values[0])
		}
	}
	return c, nil
}

// isHost tells whether a name can be that of a host: an address, or letters, digits,
// '-', '_' and dots.
func isHost(name string) bool {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Zone() == ""
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.') {
			return false
		}
	}
	return name != "" && len(name) <= 253
}
