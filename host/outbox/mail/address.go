package mail

import (
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"golang.org/x/net/idna"

	"github.com/edgeset/edgeset/abi"
)

const (
	maxAddress = 254 // bytes, by RFC 5321
	maxLocal   = 64
)

// parseFrom reads the address of a sender, which may have a name.
func parseFrom(from string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(from)
	if err != nil || !abi.PlainLine(from) {
		return nil, fmt.Errorf(`mail from %.100q: want an address such as "Name <address@example.com>"`, from)
	}
	a.Address, err = checkAddress(a.Address)
	if err != nil || !isASCII(a.Address) {
		return nil, fmt.Errorf("mail from %.100q: want an address that has letters of ASCII before the @, and a domain behind it", from)
	}
	return a, nil
}

// parseRecipient reads the address of a recipient, which stands alone.
func parseRecipient(to string) (string, error) {
	if a, err := netmail.ParseAddress(to); err == nil && abi.PlainLine(to) &&
		(a.Address == to || envelope(a.Address) == "<"+to+">") {
		if address, err := checkAddress(a.Address); err == nil {
			return address, nil
		}
	}
	return "", fmt.Errorf("recipient %.100q: want one mail address", to)
}

// checkAddress checks an address further than its syntax, and returns it with a domain
// that any server knows.
func checkAddress(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	local, domain := address[:at+1], address[at+1:]
	if !isASCII(domain) {
		ascii, err := idna.Lookup.ToASCII(domain)
		if err != nil {
			return "", err
		}
		domain = ascii
	}
	switch {
	case !isHost(domain):
		return "", errors.New("want the name of a domain")
	case len(local) > maxLocal+1 || len(local)+len(domain) > maxAddress:
		return "", errors.New("it is too long")
	}
	return local + domain, nil
}

// envelope writes an address as it stands in commands: quoted, if need be.
func envelope(address string) string {
	return (&netmail.Address{Address: address}).String()
}

// domainOf returns what stands behind the @.
func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
