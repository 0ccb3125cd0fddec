package gateway

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
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
	sources []abi.CredentialSource
	cache   answers
	fuel    prometheus.Counter
}

func newAuthenticator(g *Gateway, d *deploy.Deployment, p *deploy.Plugin) *authenticator {
	a := &authenticator{gateway: g, space: d.Spec.Name, plugin: p, sources: p.Desc.Credentials,
		fuel: g.metrics.fuel.WithLabelValues(d.Spec.Name, p.Spec.Name, "credential check")}
	a.cache.init()
	return a
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
	}
	return nil
}

// find returns the first credential of a request that the route takes.
func (a *authenticator) find(ctx *fasthttp.RequestCtx, r *route) (kind string, value []byte) {
	for i := range a.sources {
		src := &a.sources[i]
		if !slices.Contains(r.Auth, src.Kind) {
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
		}
		if len(value) > 0 {
			return src.Kind, value
		}
	}
	return "", nil
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
		if len(header) > 0 && equalFold(header, src.Header) {
			return true
		}
		if len(query) > 0 && src.Query == string(query) {
			return true
		}
	}
	return false
}

// withoutCookies returns the value of a Cookie header less the cookies that carry
// a credential.
func (a *authenticator) withoutCookies(header []byte) []byte {
	secret := func(cookie []byte) bool {
		name, _, _ := bytes.Cut(cookie, []byte{'='})
		name = bytes.TrimSpace(name)
		return slices.ContainsFunc(a.sources, func(src abi.CredentialSource) bool {
			return src.Cookie != "" && src.Cookie == string(name)
		})
	}
	var kept [][]byte
	for cookie := range bytes.SplitSeq(header, []byte{';'}) {
		if !secret(cookie) {
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

// caller finds out who makes a request to a route that wants to know.
func (a *authenticator) caller(ctx *fasthttp.RequestCtx, x *exchange, r *route) (abi.Caller, error) {
	kind, value := a.find(ctx, r)
	if kind == "" {
		if r.Optional {
			return abi.Caller{}, nil
		}
		return abi.Caller{}, &abi.Error{Status: 401, Code: r.family.Code(abi.HostUnauthenticated),
			Message: "This call needs a credential: send an access token as \"Authorization: Bearer …\"."}
	}
	if len(value) > maxCredential {
		return abi.Caller{}, &abi.Error{Status: 401, Code: r.family.Code(abi.HostUnauthenticated),
			Message: fmt.Sprintf("The credential has more than %d bytes.", maxCredential)}
	}
	x.scratch = append(append(append(x.scratch[:0], kind...), 0), value...)
	id := digest(sha256.Sum256(x.scratch))
	if c, ok := a.cache.get(id, x.at.UnixMicro()); ok {
		return c, nil
	}
	return a.ask(x, id, abi.Credential{Kind: kind, Value: string(value)})
}

// ask has the plugin check a credential, in a read-only transaction of its own.
func (a *authenticator) ask(x *exchange, id digest, cred abi.Credential) (caller abi.Caller, err error) {
	// Neither the client's address nor its headers: the answer holds for whoever
	// shows the same credential.
	var w abi.Writer
	(&abi.Request{Kind: abi.CallAuthenticate, Credential: cred, Time: x.at.UnixMicro(), ID: string(x.id)}).Append(&w)

	// If it is for the same plugin, the request's own instance does: whoever waits
	// for a second one may wait for ever, since everybody may have one already.
	lease := x.leased
	if a.plugin != x.route.plugin {
		if lease, err = a.plugin.Runner.Lease(&x.life, true); err != nil {
			return abi.Caller{}, err
		}
		defer lease.Release()
	}
	var call edge.Call
	call.Start(&x.life, a.plugin.Edge, string(x.id))
	call.TrackReads = true
	seen := a.cache.generation()
	err = a.gateway.store.View(&x.life, a.space, func(txn store.Txn) error {
		call.Begin(txn)
		frame, fuel, err := lease.Call(&x.life, &call, w.Value(), nil)
		x.spend(fuel, a.fuel)
		if call.Failure() != nil {
			return call.Failure()
		}
		if err != nil {
			return err
		}
		caller, err = readAuthentication(frame)
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
	return len(keys) <= 16 && len(c.Account)+len(c.App)+len(c.Proof)+len(c.Token) <= 1<<10
}

// A digest stands for a credential.
type digest [sha256.Size]byte

// answers is a bounded cache of callers by the digest of their credential: the
// credentials themselves are not kept.
type answers struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[digest, *answer]
	byKey map[string]map[digest]struct{} // which answers depend on a key of the store
	gen   uint64                         // counts commits of the plugin
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

func (c *answers) generation() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gen
}

// put remembers an answer, unless the plugin committed something since the
// generation was looked up: that may have been what the answer rests on.
func (c *answers) put(id digest, gen uint64, caller abi.Caller, keys [][]byte, now time.Time) {
	a := &answer{caller: caller, keys: keys, until: now.Add(maxAnswerAge).UnixMicro()}
	if caller.Expires > 0 {
		a.until = min(a.until, caller.Expires)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if gen != c.gen {
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

// forget drops the answers that rest on keys that were just written. It is
// called after the commit and before the response.
func (c *answers) forget(keys [][]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen++
	for _, key := range keys {
		for id := range c.byKey[string(key)] {
			c.lru.Remove(id)
		}
	}
}
