package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/store"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
)

// An authenticator asks the plugin of a deployment that checks credentials, and
// remembers what it said.
//
// An answer depends on nothing but the credential, the keys that the plugin
// read, and time. So it is remembered together with those keys, and forgotten
// when a commit writes one of them: whoever revokes a token has to know nothing
// of this cache, and the next request is refused.
type authenticator struct {
	gateway *Gateway
	space   string
	plugin  *deploy.Plugin
	rests   []string // plugins whose keys it can read
	sources []abi.CredentialSource
	cache   answers
	fuel    prometheus.Counter
}

func newAuthenticator(g *Gateway, d *deploy.Deployment, p *deploy.Plugin) *authenticator {
	a := &authenticator{gateway: g, space: d.Spec.Name, plugin: p, sources: p.Desc.Credentials,
		fuel: g.metrics.fuel.WithLabelValues(d.Spec.Name, p.Spec.Name, "credential check")}
	for _, other := range d.Plugins {
		if other == p || slices.Contains(p.Spec.Grants, abi.GrantRead+other.Spec.Name) {
			a.rests = append(a.rests, other.Spec.Name)
		}
	}
	a.cache.init()
	return a
}

// restsOn tells whether answers may rest on what a plugin writes.
func (a *authenticator) restsOn(plugin string) bool {
	return a != nil && slices.Contains(a.rests, plugin)
}

// serves tells what is wrong with the kinds of credentials that a route takes,
// if anything: one that nobody can show would close it without a word.
func (a *authenticator) serves(r *route) error {
	if len(r.Auth) == 0 {
		return nil
	}
	if a == nil {
		return fmt.Errorf("auth %q: no plugin of the deployment checks credentials", r.Auth)
	}
	var kinds []string
	for i := range a.sources {
		kinds = append(kinds, a.sources[i].Kind)
	}
	for _, kind := range r.Auth {
		if !slices.Contains(kinds, kind) {
			return fmt.Errorf("auth %q: plugin %q checks no credentials of that kind: want one of %q",
				kind, a.plugin.Spec.Name, slices.Compact(slices.Sorted(slices.Values(kinds))))
		}
		if r.lasts() && slices.ContainsFunc(a.sources, func(src abi.CredentialSource) bool { return src.Kind == kind && src.Request }) {
			return fmt.Errorf("auth %q: a credential that is the request cannot be checked again when the request is over, and what it subscribes goes on", kind)
		}
	}
	return nil
}

// find returns the first credential of a request that the route takes, and the
// source that has it; nil if there is none.
func (a *authenticator) find(x *exchange) (src *abi.CredentialSource, value []byte, err error) {
	ctx := x.ctx
	for i := range a.sources {
		src = &a.sources[i]
		if !slices.Contains(x.route.Auth, src.Kind) {
			continue
		}
		switch {
		case src.Header != "":
			value = ctx.Request.Header.Peek(src.Header)
			if src.Scheme != "" {
				value = afterScheme(value, src.Scheme)
			}
		case src.Query != "":
			value = ctx.QueryArgs().Peek(src.Query)
		case src.Cookie != "":
			value = ctx.Request.Header.Cookie(src.Cookie)
		case src.Param != "":
			if value, err = x.parameter(src.Param); err != nil {
				return nil, nil, err
			}
		}
		if len(value) > 0 {
			return src, value, nil
		}
	}
	return nil, nil, nil
}

// afterScheme returns what follows a scheme's name, in any case, and blanks.
func afterScheme(header []byte, scheme string) []byte {
	if len(header) <= len(scheme) || !bytes.EqualFold(header[:len(scheme)], []byte(scheme)) || header[len(scheme)] != ' ' {
		return nil
	}
	return bytes.TrimSpace(header[len(scheme):])
}

// isSource tells whether a header or query parameter carries a credential, so
// that it is kept from plugins that have no need to see it.
func (a *authenticator) isSource(header, query []byte) bool {
	for i := range a.sources {
		src := &a.sources[i]
		if src.Request {
			continue // what marks it is of no use to who has seen it
		}
		if len(header) > 0 && equalFold(header, src.Header) {
			return true
		}
		if len(query) > 0 && src.Query == string(query) {
			return true
		}
	}
	return false
}

// isCookie tells whether a cookie, "name=value" and perhaps attributes, carries a
// credential.
func (a *authenticator) isCookie(cookie []byte) bool {
	name, _, _ := bytes.Cut(cookie, []byte{';'})
	name = bytes.TrimLeft(name, "= \t") // "=sid=1" has no name, and comes back as "sid=1"
	name, _, _ = bytes.Cut(name, []byte{'='})
	name = bytes.TrimSpace(name)
	return slices.ContainsFunc(a.sources, func(src abi.CredentialSource) bool {
		return src.Cookie != "" && src.Cookie == string(name)
	})
}

// withoutCookies returns the value of a Cookie header less the cookies that carry
// a credential.
func (a *authenticator) withoutCookies(header []byte) []byte {
	var kept [][]byte
	for cookie := range bytes.SplitSeq(header, []byte{';'}) {
		if !a.isCookie(cookie) {
			kept = append(kept, bytes.TrimSpace(cookie))
		}
	}
	return bytes.Join(kept, []byte("; "))
}

func equalFold(b []byte, s string) bool {
	return s != "" && len(b) == len(s) && bytes.EqualFold(b, []byte(s))
}

// maxCredential bounds what is taken for a credential.
const maxCredential = 4 << 10

// caller finds out who makes a request to a route that wants to know. If the
// credential is the request itself, that is left to be found out in the
// transaction: x.signed has it.
func (a *authenticator) caller(x *exchange) (abi.Caller, error) {
	r := x.route
	src, value, err := a.find(x)
	if err != nil {
		return abi.Caller{}, err
	}
	if src == nil {
		if r.Optional {
			return abi.Caller{}, nil
		}
		return abi.Caller{}, &abi.Error{Status: 401, Code: r.family.Code(abi.HostUnauthenticated),
			Message: "This call needs a credential: " + a.wanted(r) + "."}
	}
	if len(value) > maxCredential {
		return abi.Caller{}, &abi.Error{Status: 401, Code: r.family.Code(abi.HostUnauthenticated),
			Message: fmt.Sprintf("The credential has more than %d bytes.", maxCredential)}
	}
	if src.Cookie != "" {
		if err := x.checkOrigin(); err != nil {
			return abi.Caller{}, err
		}
	}
	cred := abi.Credential{Kind: src.Kind, Family: r.family.Prefix, Origin: x.origin()}
	if src.Request {
		x.signed = cred
		x.signed.Value = string(value)
		return abi.Caller{}, nil
	}
	cred.Value = unsafeString(value)
	return a.identify(x, cred)
}

// identify finds out who shows a credential. Its value may share the memory of the
// request.
func (a *authenticator) identify(x *exchange, cred abi.Credential) (abi.Caller, error) {
	x.scratch = x.scratch[:0]
	for _, part := range [...]string{cred.Kind, cred.Family, cred.Origin, cred.Value} {
		x.scratch = append(append(x.scratch, part...), 0)
	}
	x.shown, x.shownID, x.shownAt = cred, sha256.Sum256(x.scratch), x.site.live.hub.Generation()
	if c, ok := a.cache.get(x.shownID, x.at.UnixMicro()); ok {
		return c, nil
	}
	cred.Value = strings.Clone(cred.Value)
	return a.ask(x, x.shownID, cred)
}

// wanted says what a route takes, for who has shown nothing.
func (a *authenticator) wanted(r *route) string {
	how := map[string]string{}
	for i := range a.sources {
		src := &a.sources[i]
		if how[src.Kind] != "" || !slices.Contains(r.Auth, src.Kind) {
			continue
		}
		switch {
		case src.Request:
			how[src.Kind] = "a signature"
		case src.Cookie != "":
			how[src.Kind] = "a session (sign in first)"
		case src.Scheme != "":
			how[src.Kind] = "a " + src.Kind + " as \"" + src.Header + ": " + src.Scheme + " …\""
		default:
			how[src.Kind] = "a " + src.Kind
		}
	}
	var list []string
	for _, kind := range r.Auth {
		list = append(list, how[kind])
	}
	return strings.Join(list, ", or ")
}

// instance returns an instance of the plugin that checks, to be given back with
// release. If it is for the same plugin, the request's own instance does: whoever
// waits for a second one may wait for ever, since everybody may have one already.
func (a *authenticator) instance(x *exchange) (engine.Lease, error) {
	if a.plugin == x.route.plugin {
		return x.leased, nil
	}
	return a.plugin.Runner.Lease(&x.life, true)
}

// release gives an instance back, unless it is the request's own.
func (a *authenticator) release(x *exchange, lease engine.Lease) {
	if a.plugin != x.route.plugin {
		lease.Release()
	}
}

// ask has the plugin check a credential, in a read-only transaction of its own.
func (a *authenticator) ask(x *exchange, id digest, cred abi.Credential) (caller abi.Caller, err error) {
	// Neither the client's address nor its headers: the answer holds for whoever
	// shows the same credential.
	var w abi.Writer
	(&abi.Request{Kind: abi.CallAuthenticate, Credential: cred, Time: x.at.UnixMicro(), ID: string(x.id)}).Append(&w)

	lease, err := a.instance(x)
	if err != nil {
		return abi.Caller{}, err
	}
	defer a.release(x, lease)
	call := &x.check
	call.Start(&x.life, a.plugin.Edge, string(x.id))
	call.TrackReads = true
	seen := a.cache.generation()
	err = a.gateway.store.View(&x.life, a.space, func(txn store.Txn) (err error) {
		call.Begin(txn)
		caller, err = a.call(x, lease, w.Value())
		return err
	})
	if err != nil {
		return abi.Caller{}, err
	}
	if !call.Scanned && cacheable(&caller, call.Reads) {
		a.cache.put(id, seen, caller, call.Reads, x.at)
	}
	return caller, nil
}

// call runs the check on x.check.
func (a *authenticator) call(x *exchange, lease engine.Lease, request []byte) (abi.Caller, error) {
	frame, fuel, err := lease.Call(&x.life, &x.check, request, x.checkReply[:0])
	x.checkReply = frame
	x.spend(fuel, a.fuel)
	if x.check.Failure() != nil {
		return abi.Caller{}, x.check.Failure()
	}
	if err != nil {
		return abi.Caller{}, err
	}
	return readAuthentication(frame)
}

func readAuthentication(frame []byte) (abi.Caller, error) {
	var reply abi.Reply
	if err := abi.ReadReply(frame, &reply); err != nil {
		return abi.Caller{}, err
	}
	switch reply.BodyKind {
	case abi.BodyCaller:
		c, err := abi.ReadCaller(reply.Body)
		if err == nil && (c.IsZero() || c.Proof == operatorKind) {
			err = errors.New("gateway: the authenticator named no proof, or one that it cannot give")
		}
		return c, err
	case abi.BodyError, abi.BodyRefusal:
		refusal, err := abi.ReadError(reply.Status, reply.Body)
		if err != nil {
			return abi.Caller{}, err
		}
		return abi.Caller{}, refusal
	}
	return abi.Caller{}, abi.ErrFrame
}

// cacheable tells whether an answer is as small as answers are: the cache counts
// them, not their bytes.
func cacheable(c *abi.Caller, keys [][]byte) bool {
	return len(keys) <= 16 && len(c.Account)+len(c.App)+len(c.Proof)+len(c.Token)+len(c.Scheme)+len(c.Name) <= 1<<10
}

// A digest stands for a credential.
type digest [sha256.Size]byte

// answers is a bounded cache of callers by the digest of their credential: the
// credentials themselves are not kept.
type answers struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[digest, *answer]
	byKey map[string]map[digest]struct{} // which answers depend on a key of the store
	gen   uint64                         // counts the keys that were written
	seed  maphash.Seed
	last  [256]uint64 // hashes of the last keys that were written, by gen
}

type answer struct {
	caller abi.Caller
	until  int64 // microseconds since the epoch
	keys   [][]byte
}

const (
	maxAnswers   = 1 << 16
	maxAnswerAge = 5 * time.Minute
)

func (c *answers) init() {
	c.byKey = map[string]map[digest]struct{}{}
	c.seed = maphash.MakeSeed()
	c.lru, _ = simplelru.NewLRU(maxAnswers, c.unlink) // fails for a size below 1 only
}

// unlink takes an answer that leaves the cache out of the index.
func (c *answers) unlink(id digest, a *answer) {
	for _, key := range a.keys {
		ids := c.byKey[string(key)]
		delete(ids, id)
		if len(ids) == 0 {
			delete(c.byKey, string(key))
		}
	}
}

func (c *answers) get(id digest, now int64) (abi.Caller, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, ok := c.lru.Get(id)
	if !ok {
		return abi.Caller{}, false
	}
	if now >= a.until {
		c.lru.Remove(id)
		return abi.Caller{}, false
	}
	return a.caller, true
}

// basis returns the keys that the answer for a credential rests on, if there is one.
func (c *answers) basis(id digest) ([][]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a, ok := c.lru.Peek(id); ok {
		return a.keys, true
	}
	return nil, false
}

func (c *answers) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// put remembers an answer, unless one of the keys that it rests on may have been
// written since the generation was looked up.
func (c *answers) put(id digest, gen uint64, caller abi.Caller, keys [][]byte, now time.Time) {
	// The list is the call's, which fills it anew for the next request.
	keys = slices.Clone(keys)
	a := &answer{caller: caller, keys: keys, until: now.Add(maxAnswerAge).UnixMicro()}
	if caller.Expires > 0 {
		a.until = min(a.until, caller.Expires)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written(keys, gen) {
		return
	}
	c.lru.Remove(id)
	c.lru.Add(id, a)
	for _, key := range keys {
		ids := c.byKey[string(key)]
		if ids == nil {
			ids = map[digest]struct{}{}
			c.byKey[string(key)] = ids
		}
		ids[id] = struct{}{}
	}
}

// written tells whether one of the keys may have been written since a generation.
func (c *answers) written(keys [][]byte, gen uint64) bool {
	if c.gen-gen > uint64(len(c.last)) {
		return true
	}
	for ; gen != c.gen; gen++ {
		hash := c.last[gen%uint64(len(c.last))]
		if slices.ContainsFunc(keys, func(key []byte) bool { return maphash.Bytes(c.seed, key) == hash }) {
			return true
		}
	}
	return false
}

// forget drops the answers that rest on keys that were just written. It is
// called after the commit and before the response.
func (c *answers) forget(keys [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		c.last[c.gen%uint64(len(c.last))] = maphash.Bytes(c.seed, key)
		c.gen++
		for id := range c.byKey[string(key)] {
			c.lru.Remove(id)
		}
	}
}
