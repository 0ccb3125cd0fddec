package guest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A Request is what a handler is asked. Strings it returns are the handler's to
// keep; values and byte slices are valid until the handler returns.
type Request struct {
	raw    abi.RawRequest
	plugin *Plugin
	caller abi.Caller
	host   abi.Host
	kv     KV
	out    abi.Writer // a message to be published
}

// Method returns the HTTP method. A HEAD request arrives as GET.
func (r *Request) Method() string { return string(r.raw.Method) }

// Path returns the decoded path.
func (r *Request) Path() string { return string(r.raw.Path) }

// Target returns path and query as they were sent. It is empty unless the plugin
// is the one that checks credentials, which stand there, too.
func (r *Request) Target() string { return string(r.raw.Target) }

// Param returns what a ":name" or "*name" of the route's pattern matched.
func (r *Request) Param(name string) string { return string(r.ParamBytes(name)) }

// ParamBytes is Param without a copy.
func (r *Request) ParamBytes(name string) []byte {
	pattern := r.plugin.desc.Routes[r.raw.Route].Pattern
	params := r.raw.Params.Read()
	n := params.Array()
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != ':' && pattern[i] != '*' || pattern[i-1] != '/' {
			continue
		}
		end := i + 1
		for end < len(pattern) && pattern[end] != '/' {
			end++
		}
		if n--; n < 0 {
			return nil
		}
		if value := params.TextBytes(); pattern[i+1:end] == name {
			return value
		}
		i = end
	}
	return nil
}

// Query returns the first query parameter of that name, or "".
func (r *Request) Query(name string) string { s, _ := r.raw.Query.Get(name); return s }

// HasQuery tells whether there is a query parameter of that name.
func (r *Request) HasQuery(name string) bool { _, ok := r.raw.Query.Get(name); return ok }

// Value returns a parameter from the query or, if it is not there, from the
// form in the body; and whether there is one.
func (r *Request) Value(name string) (string, bool) {
	if s, ok := r.raw.Query.Get(name); ok {
		return s, true
	}
	if r.raw.BodyKind == abi.BodyForm {
		return abi.Pairs(r.raw.Body).Get(name)
	}
	return "", false
}

// Int returns a parameter as a whole number, def if it is absent, and an error
// for the client if it is not a number.
func (r *Request) Int(name string, def int64) (int64, error) {
	s, ok := r.Value(name)
	if !ok {
		return def, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, Errorf(400, "bad_parameter", "%s: %q is not a whole number", name, s)
	}
	return n, nil
}

// Bool returns a parameter as a boolean, def if it is absent, and an error for
// the client if it is neither true nor false (1 nor 0).
func (r *Request) Bool(name string, def bool) (bool, error) {
	s, ok := r.Value(name)
	if !ok {
		return def, nil
	}
	switch s {
	case "true", "1", "":
		return true, nil
	case "false", "0":
		return false, nil
	}
	return false, Errorf(400, "bad_parameter", "%s: %q is neither true nor false", name, s)
}

// QueryPairs returns all query parameters in their order.
func (r *Request) QueryPairs() abi.Pairs { return r.raw.Query }

// Form returns the fields of a form body in their order.
func (r *Request) Form() abi.Pairs {
	if r.raw.BodyKind != abi.BodyForm {
		return nil
	}
	return abi.Pairs(r.raw.Body)
}

// Header returns the first header of that name, in any case, or "".
func (r *Request) Header(name string) string { s, _ := r.raw.Headers.GetFold(name); return s }

// Headers returns all headers in their order, with names in any case.
func (r *Request) Headers() abi.Pairs { return r.raw.Headers }

// Cookie returns the value of the first cookie of that name, or "".
func (r *Request) Cookie(name string) string {
	for cookie := range strings.SplitSeq(r.Header("Cookie"), ";") {
		if k, v, ok := strings.Cut(strings.TrimSpace(cookie), "="); ok && k == name {
			return v
		}
	}
	return ""
}

// BodyKind tells as what the body was parsed.
func (r *Request) BodyKind() abi.BodyKind { return r.raw.BodyKind }

// BodyDigest returns the digest of the body as it came, by "sha-256" or "sha-512".
func (r *Request) BodyDigest(algorithm string) ([]byte, error) { return r.host.BodyDigest(algorithm) }

// Body returns the value of a JSON body; no value if the body is empty.
func (r *Request) Body() abi.Value {
	if r.raw.BodyKind != abi.BodyValue {
		return nil
	}
	return r.raw.Body
}

// RawBody returns the bytes of a raw body.
func (r *Request) RawBody() []byte {
	if r.raw.BodyKind != abi.BodyRaw {
		return nil
	}
	return r.raw.Body
}

// Caller returns who makes the request; the zero Caller on routes that are open.
func (r *Request) Caller() *abi.Caller { return &r.caller }

// Time returns the time of the request: the same for all of it, and for a
// second run of it.
func (r *Request) Time() time.Time { return time.UnixMicro(r.raw.Time) }

// Remote returns the client's address without its port.
func (r *Request) Remote() string { return string(r.raw.Remote) }

// ID returns the request's id, as it stands in the host's log.
func (r *Request) ID() string { return string(r.raw.ID) }

// BaseURL returns scheme and host as the client used them, for building links.
func (r *Request) BaseURL() string { return string(r.raw.BaseURL) }

// AnyHost tells that nobody but the client says that BaseURL is a name of the
// deployment, which serves all hosts. It does for a link; it does not where
// somebody else relies on the name.
func (r *Request) AnyHost() bool { return r.raw.AnyHost }

// KV returns the plugin's key space, within the transaction of this request.
func (r *Request) KV() *KV { return &r.kv }

// GetShared returns what another plugin of the deployment has under a key, and whether
// there is something. The plugin needs the grant "read:" and the other one's name. It
// is read within the transaction of this request, and in the format of whatever
// version the other plugin has.
func (r *Request) GetShared(plugin string, key []byte) ([]byte, bool, error) {
	return r.host.GetShared(plugin, key)
}

// ScanShared reads a page of a range of what another plugin of the deployment has: see
// GetShared.
func (r *Request) ScanShared(plugin string, keys abi.Range) (abi.Page, error) {
	return r.host.ScanShared(plugin, keys)
}

// Config returns a setting from the operator's manifest, or def.
func (r *Request) Config(key, def string) string {
	if s, ok := r.host.Config(key); ok {
		return s
	}
	return def
}

// HashPassword returns a hash of a password for storing.
func (r *Request) HashPassword(password string) ([]byte, error) {
	return r.host.HashPassword([]byte(password))
}

// VerifyPassword compares a password with a stored hash. Give it no hash where
// there is no account: it then takes as long, and says no.
func (r *Request) VerifyPassword(hash []byte, password string) (bool, error) {
	return r.host.VerifyPassword(hash, []byte(password))
}

// HMACSHA256 returns the HMAC-SHA-256 of a message.
func (r *Request) HMACSHA256(key, message []byte) ([]byte, error) {
	return r.host.HMACSHA256(key, message)
}

// VerifyEd25519 tells whether a signature of a message is by the holder of the
// key.
func (r *Request) VerifyEd25519(key, message, signature []byte) (bool, error) {
	return r.host.VerifyEd25519(key, message, signature)
}

// Fetch makes an outbound request, to a host that the manifest lets the plugin
// reach. A reply with Error is one that did not come; a returned error is the
// host's failure.
func (r *Request) Fetch(f *abi.Fetch) (*abi.FetchReply, error) { return r.host.Fetch(f) }

// Logf writes a line to the host's log.
func (r *Request) Logf(level abi.LogLevel, format string, args ...any) {
	r.host.Log(level, fmt.Sprintf(format, args...))
}
