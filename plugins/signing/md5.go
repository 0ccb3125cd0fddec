package main

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// The signature of /1.0's document is an MD5 of values: those of all parameters,
// in the order of their names, and the secret behind them. It is what its clients
// send, and weak: who sees a request can move characters between neighbouring
// values. It is no more than what it says, and the new way is RFC 9421.
//
// Where the document and its samples differ, both are taken: the signature is in
// "hash" or in "authtoken"; the time is in milliseconds or in seconds; "referrer"
// is signed or left out.

// Names with a meaning for the signature.
const (
	identityParam  = "identity"
	timestampParam = "timestamp"
	hashParam      = "hash"
	authtokenParam = "authtoken"
	referrerParam  = "referrer"
)

// parameters are those of a request that is signed in this way.
type parameters struct {
	list      []param // that are signed, in the order in which they are
	identity  []byte
	timestamp []byte
	signature []byte // as it was sent
	two       bool   // hash and authtoken differ
	referrer  bool   // there is one
	text      []byte // room for what is signed
	sent      [md5.Size]byte
}

type param struct{ name, value []byte }

var (
	errNoIdentity  = refusal("unknown_key", `The parameter "identity" is missing: the public id of the application.`)
	errNoTimestamp = refusal("bad_timestamp", `The parameter "timestamp" is missing: the time of the request in milliseconds since 1970.`)
	errNotTime     = refusal("bad_timestamp", `The parameter "timestamp" is not a whole number of milliseconds, or seconds, since 1970.`)
	errNoSignature = refusal("bad_signature", `The signature is missing: the parameter "hash", or "authtoken".`)
	errTwoHashes   = refusal("bad_signature", `The parameters "hash" and "authtoken" differ: both are the signature, and one is enough.`)
	errNotMD5      = refusal("bad_signature", "The signature is not an MD5, which has 32 hexadecimal digits.")
	errNotForm     = refusal("body_not_covered", "The body is not a form, so that a signature of the parameters does not cover it. Sign as RFC 9421 says.")
)

// read collects the parameters of the query, then those of the form, and puts
// them in order.
func (p *parameters) read(r *guest.Request) {
	*p = parameters{list: p.list[:0], text: p.text[:0]}
	query, form := r.QueryPairs(), r.Form()
	query.Each(p.add)
	form.Each(p.add)
	p.sort()
}

// sort puts the parameters in the order of their names; those of one name stay in
// theirs. There are few, mostly, and clients send them nearly in order.
func (p *parameters) sort() {
	const few = 32
	if len(p.list) > few {
		slices.SortStableFunc(p.list, func(a, b param) int { return bytes.Compare(a.name, b.name) })
		return
	}
	for i := 1; i < len(p.list); i++ {
		one, at := p.list[i], i
		for ; at > 0 && string(one.name) < string(p.list[at-1].name); at-- {
			p.list[at] = p.list[at-1]
		}
		p.list[at] = one
	}
}

func (p *parameters) add(name, value []byte) bool {
	switch string(name) {
	case hashParam, authtokenParam:
		if len(value) == 0 {
			return true // a field of a form that was not filled in
		}
		if p.signature != nil && !bytes.EqualFold(p.signature, value) {
			p.two = true
		}
		p.signature = value
		return true
	case identityParam:
		if p.identity == nil {
			p.identity = value
		}
	case timestampParam:
		if p.timestamp == nil {
			p.timestamp = value
		}
	case referrerParam:
		p.referrer = true
	}
	p.list = append(p.list, param{name, value})
	return true
}

func (p *parameters) identify(s *signature) error {
	p.read(s.r)
	s.scheme = schemeMD5
	if len(p.signature) == 2*md5.Size {
		if _, err := hex.Decode(p.sent[:], p.signature); err == nil {
			s.sum = p.sent[:]
		}
	}
	if len(p.identity) == 0 {
		return errNoIdentity
	}
	return s.find(unsafe.String(unsafe.SliceData(p.identity), len(p.identity))) // good for as long as the request
}

func (p *parameters) date(s *signature) error {
	if len(p.timestamp) == 0 {
		return errNoTimestamp
	}
	n, ok := whole(p.timestamp)
	if !ok {
		return errNotTime
	}
	s.created = micros(n, timeUnit(n))
	return nil
}

// whole reads a whole number of at most 18 digits.
func whole(text []byte) (n int64, ok bool) {
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(text) <= 18
}

// timeUnit tells the unit of a time, in microseconds: what would be a time after
// the year 5000 in seconds is one in milliseconds, which began in 1973.
func timeUnit(n int64) int64 {
	if n < 1e11 {
		return 1e6
	}
	return 1e3
}

func (p *parameters) cover(s *signature) error {
	if k := s.r.BodyKind(); k == abi.BodyValue || k == abi.BodyRaw {
		empty, err := isEmpty(s.r)
		if err != nil {
			return err
		}
		if !empty {
			return errNotForm
		}
	}
	return nil
}

func (p *parameters) match(s *signature) error {
	switch {
	case len(p.signature) == 0:
		return errNoSignature
	case p.two:
		return errTwoHashes
	case s.sum == nil:
		return errNotMD5
	}
	if p.signedWith(s.app.secret, s.sum) {
		return nil
	}
	for _, secret := range s.app.secrets(s.r.Time().UnixMicro())[1:] {
		if p.signedWith(secret, s.sum) {
			return nil
		}
	}
	return errSignature
}

// signedWith tells whether the sum is that of the parameters with the secret. The
// document's sample in JavaScript leaves the referrer out of it.
func (p *parameters) signedWith(secret string, sum []byte) bool {
	if secret == "" {
		return false // of an application that has none
	}
	own := p.sum(secret, "")
	if subtle.ConstantTimeCompare(own[:], sum) == 1 {
		return true
	}
	if !p.referrer {
		return false
	}
	own = p.sum(secret, referrerParam)
	return subtle.ConstantTimeCompare(own[:], sum) == 1
}

// sum is what the parameters, but for those of one name, are signed with.
func (p *parameters) sum(secret, without string) (sum [md5.Size]byte) {
	p.text = p.text[:0]
	for i := range p.list {
		if without == "" || string(p.list[i].name) != without {
			p.text = append(p.text, p.list[i].value...)
		}
	}
	p.text = append(p.text, secret...)
	return md5.Sum(p.text)
}
