package main

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func routeSigning(f *guest.Family) {
	anybody := guest.Auth(tokenProof, signatureProof, sessionProof)
	f.GET("/1.0/signing", guide)
	f.GET("/1.0/signing/whoami", whoami, anybody)
	f.POST("/1.0/signing/whoami", whoami, anybody, guest.Any, guest.ReadOnly)
	f.POST("/1.0/signing/verify", verifySignature, guest.Auth(tokenProof, sessionProof), guest.Any, guest.ReadOnly)
}

// signatureWindow is how far the time of a signature may be from the server's,
// before it or behind it.
func signatureWindow(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "signature_window", 10*time.Minute, 10*time.Second, 24*time.Hour)
}

// seenLonger is how much longer a signature is remembered than it is good: a
// request is checked by the time at which it came, and may have waited since.
const seenLonger = 2 * time.Minute

// A signature is what a request shows to prove which application makes it, and
// what the check has found out about it.
type signature struct {
	r      *guest.Request
	place  abi.Credential
	way    way
	window time.Duration

	// From the way it is made in.
	scheme  string
	id      string // of the application
	app     app
	created int64    // as the signature says
	sum     []byte   // the signature itself: the same bytes however it is spelled
	key     []byte   // room for a key of the store
	others  [][]byte // where it stands of other signatures of the request that they have been seen
}

// A way of signing knows where a request has the parts of a signature. Each of
// these is a step of the check, and does not rely on those before it to have
// succeeded, except for identify.
type way interface {
	// identify finds the application, and all that stands in the request.
	identify(s *signature) error
	// date finds out when the signature was made.
	date(s *signature) error
	// cover checks that the signature is of all that matters.
	cover(s *signature) error
	// match checks that it is made with the key of the application.
	match(s *signature) error

	// explain writes what a step has seen, in the entries of a map that is open.
	explain(step string, s *signature, v *abi.Writer)
	// hints says by what mistake, of those that are common, a signature would
	// come out as it has.
	hints(s *signature) []string
}

// steps are what is checked, in this order.
var steps = [...]struct {
	name  string
	check func(*signature) error
}{
	{"identity", (*signature).identify},
	{"application", (*signature).admit},
	{"timestamp", (*signature).date},
	{"coverage", (*signature).cover},
	{"signature", (*signature).match},
	{"replay", (*signature).unseen},
}

// Why a signature is refused; errors of one way alone are with it.
var (
	errUnknownKey = refusal("unknown_key", "There is no application with the public id that the request is signed for.")
	errKeyGone    = refusal("key_revoked", "The application that the request is signed for was revoked.")
	errSignature  = refusal("bad_signature", "The signature is not the one that this request has with the key of the application.")
	errReplayed   = refusal("replayed", "This signature has been used before. Every request is signed anew, with a time of its own.")
)

func refusal(code, message string) *guest.Error {
	return &guest.Error{Status: 401, Code: code, Message: message}
}

// A room is the memory that a check takes. It is used again: a plugin in Wasm
// pays more for garbage than one that is not. It answers one call at a time, so
// one room that is kept is enough.
type room struct {
	signature  signature
	parameters parameters
	message    message
}

var spare atomic.Pointer[room]

// takeRoom takes the room that was kept, or makes one.
func takeRoom() *room {
	if m := spare.Swap(nil); m != nil {
		return m
	}
	return new(room)
}

// leave gives the room back, unless a request has made it large.
func (m *room) leave() {
	if cap(m.parameters.list) <= 256 && cap(m.parameters.text) <= 64<<10 {
		spare.Store(m)
	}
}

// begin makes the room ready for a request.
func (m *room) begin(r *guest.Request, place abi.Credential) (*signature, error) {
	window, err := signatureWindow(r)
	if err != nil {
		return nil, err
	}
	s := &m.signature
	*s = signature{r: r, place: place, window: window, key: s.key[:0]}
	if r.Header("Signature-Input") != "" {
		m.message = message{}
		s.way = &m.message
	} else {
		s.way = &m.parameters
	}
	return s, nil
}

// checkSignature finds out which application has signed a request. It is told
// only once: the second one with the same signature is refused.
func checkSignature(r *guest.Request, c abi.Credential) (nobody abi.Caller, err error) {
	m := takeRoom()
	defer m.leave()
	s, err := m.begin(r, c)
	if err != nil {
		return nobody, err
	}
	for i := range steps {
		if err := steps[i].check(s); err != nil {
			return nobody, err
		}
	}
	// Until its time has left the window, also if that is still to come.
	good := time.Duration(s.created-r.Time().UnixMicro())*time.Microsecond + s.window
	if err := r.KV().PutTTL(s.seenKey(), nil, good+seenLonger); err != nil {
		return nobody, err
	}
	for _, key := range s.others {
		if err := r.KV().PutTTL(key, nil, 2*s.window+seenLonger); err != nil {
			return nobody, err
		}
	}
	caller := abi.Caller{App: s.id, Proof: signatureProof, Scheme: s.scheme}
	caller.Limit, caller.Window, err = s.app.limit(r)
	return caller, err
}

func (s *signature) identify() error { return s.way.identify(s) }
func (s *signature) cover() error    { return s.way.cover(s) }
func (s *signature) match() error    { return s.way.match(s) }

// find finds the application by its public id.
func (s *signature) find(id string) error {
	found, err := s.app.find(s.r.KV(), id, s.key)
	if err != nil {
		return err
	}
	if !found {
		return errUnknownKey
	}
	s.id = id
	return nil
}

func (s *signature) admit() error {
	if s.app.revoked != 0 {
		return errKeyGone
	}
	return s.app.admits(s.scheme, &s.place)
}

func (s *signature) date() error {
	if err := s.way.date(s); err != nil {
		return err
	}
	if age := s.age(); age > s.window {
		return s.stale(age, "behind")
	} else if -age > s.window {
		return s.stale(-age, "ahead of")
	}
	return nil
}

// age is how long ago the signature was made; less than nothing if it is said to
// have been made later.
func (s *signature) age() time.Duration {
	return time.Duration(s.r.Time().UnixMicro()-s.created) * time.Microsecond
}

func (s *signature) stale(off time.Duration, side string) error {
	return refusal("stale", "The time of the signature is "+seconds(off)+" s "+side+" the server's, which is "+
		strconv.FormatInt(s.r.Time().UnixMilli(), 10)+" ms; it may be "+seconds(s.window)+" s off.")
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// unseen refuses a signature that was good once already.
func (s *signature) unseen() error {
	if len(s.sum) == 0 || len(s.sum) > maxSum {
		return errSignature
	}
	_, seen, err := s.r.KV().Get(s.seenKey())
	if err == nil && seen {
		err = errReplayed
	}
	return err
}

// maxSum is how long a signature is at most: one by ed25519.
const maxSum = 64

// seenKey is where it stands that a signature has been seen.
func (s *signature) seenKey() []byte {
	key := append(append(append(s.key[:0], "s/"...), s.id...), '/')
	s.key = append(append(append(key, s.scheme...), '/'), s.sum...)
	return s.key
}

// latest is a time that is as wrong as any later one, and with which one can
// still reckon in nanoseconds.
const latest = 9e15

// micros returns a time, given in a unit of so many microseconds.
func micros(n, unit int64) int64 {
	return min(max(n, 0), latest/unit) * unit
}

// whoami answers /1.0/signing/whoami: who the server takes the caller for.
func whoami(w *guest.Response, r *guest.Request) error {
	c := r.Caller()
	name := c.Name
	if c.Account == "" {
		a, _, err := findApp(r.KV(), c.App)
		if err != nil {
			return err
		}
		name = a.name
	}
	v := w.Value()
	v.Map()
	for _, e := range [...][2]string{
		{"account", c.Account}, {"application", c.App}, {"name", name}, {"proof", c.Proof}, {"scheme", c.Scheme},
	} {
		if e[1] != "" {
			entry(v, e[0], e[1])
		}
	}
	if c.Expires != 0 {
		entryTime(v, "expires", c.Expires)
	}
	v.End()
	return nil
}

// isRefusal tells a refusal from a failure of the host.
func isRefusal(err error) (*guest.Error, bool) {
	var e *guest.Error
	ok := errors.As(err, &e)
	return e, ok
}
