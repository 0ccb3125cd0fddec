package main

import (
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Bounds of what is set of an application.
const (
	maxList   = 16 // families, or origins
	maxFamily = 100
	maxRate   = 1_000_000_000
	maxGrace  = 30 * 24 * time.Hour
)

// A field is what a body says under one name: a value of JSON, or the texts of a
// form, whose fields can be repeated. null and an empty text say that there is
// to be nothing.
type field struct {
	name  string
	value abi.Value
	texts []string // nil: it is of JSON
}

// fields returns what the body of a request names, a JSON object or a form.
func fields(r *guest.Request) (list []field, err error) {
	switch r.BodyKind() {
	case abi.BodyForm:
		r.Form().Each(func(name, value []byte) bool {
			i := slices.IndexFunc(list, func(f field) bool { return f.name == string(name) })
			if i < 0 {
				i, list = len(list), append(list, field{name: string(name)})
			}
			list[i].texts = append(list[i].texts, strings.TrimSpace(string(value)))
			return true
		})
		return list, nil
	case abi.BodyValue:
		if r.Body().Kind() == abi.Map {
			for e := r.Body().Entries(); e.Next(); {
				list = append(list, field{name: string(e.Key()), value: e.Value()})
			}
			return list, nil
		}
	}
	return nil, guest.Errorf(400, "missing_parameter", "The body must be a JSON object, or a form, of what to set.")
}

// bad refuses a field.
func (f *field) bad(want string) error {
	return guest.Errorf(400, "bad_parameter", "%s: %s", f.name, want)
}

func (f *field) unknown() error {
	name := f.name
	if len(name) > 40 {
		name = name[:40] + "…"
	}
	return guest.Errorf(400, "bad_parameter", "%q is not a field that can be set here.", name)
}

// text returns a text without blanks around it.
func (f *field) text() (string, error) {
	switch {
	case len(f.texts) > 1:
		return "", f.bad("want it once.")
	case f.texts != nil:
		return f.texts[0], nil
	case f.value.IsNil():
		return "", nil
	}
	s, ok := f.value.Text()
	if !ok {
		return "", f.bad("want a text.")
	}
	return strings.TrimSpace(s), nil
}

// number returns a whole number, 0 for nothing.
func (f *field) number(least, most int64) (n int64, err error) {
	ok := true
	switch {
	case f.texts != nil:
		var s string
		if s, err = f.text(); err != nil || s == "" {
			return 0, err
		}
		n, err = strconv.ParseInt(s, 10, 64)
		ok = err == nil
	case !f.value.IsNil():
		n, ok = f.value.Int()
	}
	if !ok || n < least || n > most {
		return 0, f.bad("want a whole number from " + strconv.FormatInt(least, 10) + " to " + strconv.FormatInt(most, 10) + ".")
	}
	return n, nil
}

// list returns texts, each once and in the form that clean gives it; clean says
// no to what cannot stand there. In a form they are separated by commas.
func (f *field) list(clean func(string) (string, bool), want string) (list []string, err error) {
	all := f.texts
	switch {
	case f.texts != nil:
		all = splitList(strings.Join(f.texts, ","))
	case f.value.IsNil():
	case f.value.Kind() != abi.Array:
		return nil, f.bad("want a list of texts.")
	default:
		for it := f.value.Items(); it.Next(); {
			s, ok := it.Value().Text()
			if !ok {
				return nil, f.bad("want a list of texts.")
			}
			all = append(all, s)
		}
	}
	for _, s := range all {
		s, ok := clean(s)
		if !ok {
			return nil, f.bad("want " + want + ".")
		}
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	if len(list) > maxList {
		return nil, f.bad("want at most " + strconv.Itoa(maxList) + ".")
	}
	return list, nil
}

// splitList takes a list apart whose elements are separated by commas.
func splitList(s string) (list []string) {
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

var errNoName = guest.Errorf(400, "missing_parameter", "name: want a text that is not empty.")

// appName returns the name of an application, which cannot be taken away.
func (f *field) appName() (string, error) {
	s, err := f.text()
	if err == nil && s == "" {
		err = errNoName
	}
	if err != nil {
		return "", err
	}
	return s, checkText("name", s, maxName)
}

func cleanScheme(s string) (string, bool) { return s, slices.Contains(allSchemes, s) }

// cleanFamily takes the prefix of a family of APIs. Which there are, this plugin
// cannot know.
func cleanFamily(s string) (string, bool) {
	ok := len(s) > 1 && len(s) <= maxFamily && s[0] == '/' && s[len(s)-1] != '/' && !strings.Contains(s, "//")
	for i := range len(s) {
		c := s[i]
		ok = ok && (isAlphanumeric(c) || strings.IndexByte("/._~-", c) >= 0)
	}
	return s, ok
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// The Ed25519 public key of 32 bytes, and what stands before it in a
// SubjectPublicKeyInfo.
const (
	keySize   = 32
	keyPrefix = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"
)

// publicKey returns an Ed25519 public key, nil for nothing: in base64 of either
// alphabet, padded or not, or in PEM.
func (f *field) publicKey() ([]byte, error) {
	s, err := f.text()
	if err != nil || s == "" {
		return nil, err
	}
	if strings.HasPrefix(s, "-----BEGIN ") {
		block, rest := pem.Decode([]byte(s))
		if block != nil && block.Type == "PUBLIC KEY" && strings.TrimSpace(string(rest)) == "" {
			if key, ok := strings.CutPrefix(string(block.Bytes), keyPrefix); ok && len(key) == keySize {
				return []byte(key), nil
			}
		}
		return nil, f.bad("want a PEM block PUBLIC KEY that has an Ed25519 key.")
	}
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	key, err := base64.RawStdEncoding.Strict().DecodeString(strings.TrimSuffix(s, "="))
	if err != nil || len(key) != keySize {
		return nil, f.bad("want an Ed25519 public key, as base64 of its 32 bytes or as PEM.")
	}
	return key, nil
}

var errFixed = guest.Errorf(403, "set_by_operator", "An operator has set this, and only an operator can change it.")

// change sets of an application what the fields say, for its developer or for an
// operator. It writes nothing: the caller does, if there is no error.
func (a *app) change(r *guest.Request, list []field, operator bool) (err error) {
	for i := range list {
		f := &list[i]
		switch {
		case f.name == "name":
			a.name, err = f.appName()
		case f.name == "schemes":
			err = a.restrict(&a.schemes, f, operator, cleanScheme, "some of "+strings.Join(allSchemes, ", "))
			if err == nil && len(a.schemes) == 0 {
				a.schemes, err = defaultSchemes(r)
			}
		case f.name == "families":
			err = a.restrict(&a.families, f, operator, cleanFamily, "prefixes of families, such as /1.0")
		case f.name == "origins":
			err = a.restrict(&a.origins, f, operator, webOrigin, "web origins, such as https://example.org")
		case f.name == "rate" && operator:
			a.maxRate, err = f.number(0, maxRate)
		case f.name == "rate":
			a.rate, err = f.number(0, maxRate)
		case f.name == "ed25519_key":
			err = a.changeKey(r, f)
		case f.name == "owner" && operator:
			a.owner, err = f.account(r)
		default:
			err = f.unknown()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// restrict sets one of the lists. What an operator has set, its developer can
// repeat and not change.
func (a *app) restrict(list *[]string, f *field, operator bool, clean func(string) (string, bool), want string) error {
	wish, err := f.list(clean, want)
	if err != nil {
		return err
	}
	isFixed := slices.Contains(a.fixed, f.name)
	switch {
	case isFixed && !operator && !slices.Equal(wish, *list):
		e := *errFixed
		e.Message = f.name + ": " + e.Message
		return &e
	case operator && !isFixed && len(wish) > 0:
		a.fixed = append(a.fixed, f.name)
		slices.Sort(a.fixed)
	case operator && len(wish) == 0:
		a.fixed = slices.DeleteFunc(a.fixed, func(s string) bool { return s == f.name })
	}
	*list = wish
	return nil
}

func (a *app) changeKey(r *guest.Request, f *field) error {
	key, err := f.publicKey()
	if err != nil {
		return err
	}
	grace, err := rotationGrace(r)
	if err != nil {
		return err
	}
	a.setKey(key, r.Time().UnixMicro(), grace)
	return nil
}

// account returns the id of an account that there is, "" for nothing.
func (f *field) account(r *guest.Request) (string, error) {
	id, err := f.text()
	if err != nil || id == "" {
		return "", err
	}
	found := isRandom(id, accountIDSize)
	if found {
		if _, found, err = findAccount(r.KV(), id); err != nil {
			return "", err
		}
	}
	if !found {
		return "", f.bad("there is no account with this id.")
	}
	return id, nil
}
