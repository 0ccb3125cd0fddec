package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"

	"github.com/dunglas/httpsfv"
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A message is a request that is signed as RFC 9421 says: keyid is the public id
// of the application, the key is its secret (hmac-sha256) or the key pair whose
// public half it has registered (ed25519).
type message struct {
	label      string
	input      httpsfv.InnerList // covered components, and the parameters
	components []string          // the covered components as they are written
	sent       *httpsfv.Dictionary
	parts      parts
	base       []byte
}

// maxLabels bounds how many signatures of one request are looked at.
const maxLabels = 8

// maxComponents bounds how many components a signature covers.
const maxComponents = 64

func badInput(message string) error { return refusal("bad_signature_input", message) }

// identify chooses the first signature that is by an application and covers what
// it must. If there is none, the first that is by an application is refused with
// the reason.
func (m *message) identify(s *signature) error {
	inputs, err := dictionary(s.r.Headers(), "signature-input")
	if err != nil {
		return badInput("The header Signature-Input is not a dictionary of structured fields: " + err.Error() + ".")
	}
	if m.sent, err = dictionary(s.r.Headers(), "signature"); err != nil {
		return badInput("The header Signature is not a dictionary of structured fields: " + err.Error() + ".")
	}
	labels := inputs.Names()
	if len(labels) == 0 || len(labels) > maxLabels {
		return badInput("The header Signature-Input has no signature, or more than 8.")
	}
	m.parts = partsOf(s.r)
	var chosen *message
	fits := false
	var of signature
	var all []signature
	var reason error
	for _, label := range labels {
		member, _ := inputs.Get(label)
		one, by := *m, *s
		if err := one.read(&by, label, member); err != nil {
			if _, ok := isRefusal(err); !ok {
				return err
			}
			if reason == nil || reason == error(errUnknownKey) {
				reason = err
			}
			continue
		}
		all = append(all, by)
		if !fits {
			fits = len(labels) == 1 || one.cover(&by) == nil
			if chosen == nil || fits {
				chosen, of = &one, by
			}
		}
	}
	if chosen == nil {
		return reason
	}
	*m, *s = *chosen, of
	s.way = m
	// A request is good once, however many signatures of the application it has.
	for i := range all {
		if one := &all[i]; one.id == s.id && !bytes.Equal(one.sum, s.sum) {
			one.key = nil // which it shares
			s.others = append(s.others, one.seenKey())
		}
	}
	return nil
}

// read reads one signature, and finds its application: last, so that what is
// wrong with the header is told alike whoever's it is.
func (m *message) read(s *signature, label string, member httpsfv.Member) error {
	list, ok := member.(httpsfv.InnerList)
	if !ok {
		return badInput(`Signature-Input: "` + label + `" is not a list of components in parentheses.`)
	}
	m.label, m.input = label, list
	if err := m.readComponents(); err != nil {
		return err
	}
	value, _ := m.sent.Get(label)
	item, _ := value.(httpsfv.Item)
	if s.sum, ok = item.Value.([]byte); !ok {
		return badInput(`The header Signature has no bytes in colons under the label "` + label + `".`)
	}
	algorithm, ok := m.input.Params.Get("alg")
	if ok && algorithm != schemeHMAC && algorithm != schemeEd25519 {
		return badInput("Signature-Input: alg is neither hmac-sha256 nor ed25519.")
	}
	id, ok := textParam(list.Params, "keyid")
	if !ok {
		return refusal("unknown_key", `Signature-Input: "`+label+`" has no keyid: the public id of the application.`)
	}
	if err := s.find(id); err != nil {
		return err
	}
	// Where the signature does not say how it is made, its length does. A key is
	// never used but in its own scheme.
	s.scheme, ok = algorithm.(string)
	if !ok {
		s.scheme = schemeHMAC
		if len(s.app.key) > 0 && len(s.sum) != sha256.Size {
			s.scheme = schemeEd25519
		}
	}
	return nil
}

// readComponents writes the names of the covered components as they stand in the
// signature base.
func (m *message) readComponents() error {
	if len(m.input.Items) > maxComponents {
		return badInput("Signature-Input: more than 64 components.")
	}
	m.components = make([]string, 0, len(m.input.Items))
	for _, item := range m.input.Items {
		name, ok := item.Value.(string)
		if !ok || name == "" || strings.ToLower(name) != name {
			return badInput("Signature-Input: a component is not a name in lower case and quotes.")
		}
		written, err := `"`+name+`"`, error(nil)
		if len(item.Params.Names()) > 0 || strings.ContainsAny(name, `"\\`) {
			written, err = httpsfv.Marshal(item)
		}
		if err != nil {
			return badInput("Signature-Input: a component cannot be written: " + err.Error() + ".")
		}
		if slices.Contains(m.components, written) {
			return badInput("Signature-Input: the component " + written + " is listed twice.")
		}
		m.components = append(m.components, written)
	}
	return nil
}

var (
	errNoCreated  = refusal("bad_timestamp", "Signature-Input: the parameter created is missing, or no whole number of seconds since 1970.")
	errBadExpires = refusal("bad_timestamp", "Signature-Input: the parameter expires is no whole number of seconds since 1970.")
	errEnded      = refusal("stale", "The signature has expired: its parameter expires is not later than the server's time.")
)

func (m *message) date(s *signature) error {
	created, _ := m.input.Params.Get("created")
	n, ok := created.(int64)
	if !ok {
		return errNoCreated
	}
	s.created = micros(n, 1e6)
	if expires, ok := m.input.Params.Get("expires"); ok {
		n, ok := expires.(int64)
		if !ok {
			return errBadExpires
		}
		if micros(n, 1e6) <= s.r.Time().UnixMicro() {
			return errEnded
		}
	}
	return nil
}

// cover checks that the signature is of the method, of the whole URL and, by its
// digest, of the body.
func (m *message) cover(s *signature) error {
	for _, want := range [...]string{"@method", "@authority", "@path", "@query"} {
		switch {
		case m.covers(want):
		case want == "@method", !m.covers("@target-uri") && (want != "@query" || m.parts.query() != ""):
			return missing(want)
		}
	}
	if !m.covers("content-digest") {
		empty, err := isEmpty(s.r)
		if err != nil || empty {
			return err
		}
		return missing("content-digest")
	}
	return checkDigest(s.r)
}

// covers tells whether a component is covered as a whole, not just a part of it.
func (m *message) covers(name string) bool {
	return slices.Contains(m.components, `"`+name+`"`)
}

func missing(component string) error {
	return refusal("component_missing", `The signature does not cover "`+component+`", as it must.`)
}

func (m *message) match(s *signature) (err error) {
	if m.base, err = m.parts.signatureBase(m.input, m.components); err != nil {
		return err
	}
	return m.verify(s, m.base)
}

var errNoPublicKey = refusal("unknown_key", "The application has registered no public key, which a signature by ed25519 needs.")

// verify tells whether the signature is that of a base, with a key of the
// application.
func (m *message) verify(s *signature, base []byte) error {
	now := s.r.Time().UnixMicro()
	if s.scheme == schemeEd25519 {
		keys := s.app.keys(now)
		if len(keys) == 0 {
			return errNoPublicKey
		}
		for _, key := range keys {
			if ok, err := s.r.VerifyEd25519(key, base, s.sum); ok || err != nil {
				return err
			}
		}
		return errSignature
	}
	for _, secret := range s.app.secrets(now) {
		if secret == "" {
			continue // of an application that has none
		}
		sum, err := s.r.HMACSHA256([]byte(secret), base)
		if err != nil {
			return err
		}
		if hmac.Equal(sum, s.sum) {
			return nil
		}
	}
	return errSignature
}

// emptyDigest is the SHA-256 of nothing.
var emptyDigest = sha256.Sum256(nil)

// isEmpty tells whether the plugin that is called is given no body. A route that
// takes none ignores what is sent.
func isEmpty(r *guest.Request) (bool, error) {
	if r.BodyKind() == abi.BodyNone {
		return true, nil
	}
	digest, err := r.BodyDigest("sha-256")
	if errors.Is(err, abi.ErrArgument) {
		return false, nil // an upload whose digest nobody has asked for
	}
	return bytes.Equal(digest, emptyDigest[:]), err
}

func badDigest(message string) error { return refusal("digest_mismatch", message) }

// digests are the algorithms of Content-Digest (RFC 9530) that are good.
var digests = [...]string{"sha-256", "sha-512"}

// checkDigest compares the header Content-Digest with the body.
func checkDigest(r *guest.Request) error {
	sent, err := dictionary(r.Headers(), "content-digest")
	if err != nil {
		return badDigest("The header Content-Digest is not a dictionary of structured fields: " + err.Error() + ".")
	}
	known := false
	for _, algorithm := range digests {
		member, ok := sent.Get(algorithm)
		if !ok {
			continue
		}
		item, _ := member.(httpsfv.Item)
		digest, _ := item.Value.([]byte)
		own, err := r.BodyDigest(algorithm)
		if err != nil {
			return err
		}
		if subtle.ConstantTimeCompare(own, digest) == 0 {
			return badDigest("The body is not the one whose " + algorithm + " the header Content-Digest has.")
		}
		known = true
	}
	if !known {
		return badDigest("The header Content-Digest is missing, or has neither sha-256 nor sha-512.")
	}
	return nil
}

// dictionary reads a header that is a dictionary of structured fields.
func dictionary(headers abi.Pairs, name string) (*httpsfv.Dictionary, error) {
	values, _ := fieldValues(headers, name)
	return httpsfv.UnmarshalDictionary(values)
}

// fieldValues returns the values of a header field, without the space around
// them, in the order in which they were sent.
func fieldValues(headers abi.Pairs, name string) (values []string, found bool) {
	headers.Each(func(n, v []byte) bool {
		if len(n) == len(name) && strings.EqualFold(string(n), name) {
			values, found = append(values, string(bytes.Trim(v, " \t"))), true
		}
		return true
	})
	return values, found
}

// textParam returns a parameter that is a string.
func textParam(params *httpsfv.Params, name string) (string, bool) {
	value, _ := params.Get(name)
	s, ok := value.(string)
	return s, ok
}
