package main

import (
	"cmp"
	"crypto/sha256"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Namespaces of OpenID Authentication 2.0 and of its two extensions for profiles,
// Simple Registration and Attribute Exchange.
const (
	spaceOpenID = "http://specs.openid.net/auth/2.0"
	spaceSReg   = "http://openid.net/extensions/sreg/1.1"
	spaceAX     = "http://openid.net/srv/ax/1.0"
)

// Attributes of Attribute Exchange, behind one of two prefixes.
const (
	spaceAXSchema  = "http://axschema.org/"
	spaceAXSchema2 = "http://schema.openid.net/"

	axName     = "namePerson"
	axNickname = "namePerson/friendly"
	axEmail    = "contact/email"
	axFirst    = "namePerson/first"
	axLast     = "namePerson/last"
)

// Bounds of a response_nonce: how far its time may be off, and its length.
const (
	nonceWindow = 5 * time.Minute
	maxNonce    = 255
)

// maxVerdict bounds the answer of a provider that is asked about a response.
const maxVerdict = 16 << 10

// beginOpenID finds the provider of an OpenID and returns where the browser is to
// go. There is no association with the provider: it is asked about the response
// directly, so that no key of its has to be kept.
func beginOpenID(r *guest.Request, a *attempt, identifier, state string) (location string, err error) {
	if err := checkAudience(r); err != nil {
		return "", err
	}
	identifier, err = normalize(identifier)
	if err != nil {
		return "", err
	}
	d, err := discover(r, identifier)
	if err != nil {
		return "", err
	}
	s := d.services[0]
	a.endpoint = s.endpoint
	claimed, local := identifierSelect, identifierSelect
	if !s.server {
		a.claimed, a.local = d.claimed, cmp.Or(s.local, d.claimed)
		claimed, local = a.claimed, a.local
	}
	q := url.Values{}
	for name, value := range map[string]string{
		"ns": spaceOpenID, "mode": "checkid_setup", "claimed_id": claimed, "identity": local,
		"return_to": returnTo(r, state), "realm": r.BaseURL() + "/1.0/",
		"ns.sreg": spaceSReg, "sreg.required": "nickname,fullname,email",
		"ns.ax": spaceAX, "ax.mode": "fetch_request",
		"ax.type.fullname": spaceAXSchema + axName, "ax.type.nickname": spaceAXSchema + axNickname,
		"ax.type.email": spaceAXSchema + axEmail, "ax.type.first": spaceAXSchema + axFirst,
		"ax.type.last": spaceAXSchema + axLast,
		"ax.required":  "fullname,nickname,email", "ax.if_available": "first,last",
	} {
		q.Set("openid."+name, value)
	}
	separator := "?"
	if strings.Contains(a.endpoint, "?") {
		separator = "&"
	}
	return a.endpoint + separator + q.Encode(), nil
}

var errAudience = guest.Errorf(403, "any_host",
	"This deployment serves any host, so nobody could tell whom a login is for. Its operator has to set base_url, or its hosts.")

// checkAudience refuses logins to a server that answers to every name. A provider
// vouches for somebody to the site in return_to. Were that whatever the client
// says, another site could have its visitors sign in there, and show us, under
// its own name, what the provider has told it. To a name of the machine itself a
// provider sends nobody but who sits at it.
func checkAudience(r *guest.Request) error {
	if !r.AnyHost() {
		return nil
	}
	u, err := url.Parse(r.BaseURL())
	if err == nil {
		host := u.Hostname()
		if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.Unmap().IsLoopback() {
			return nil
		}
	}
	return errAudience
}

// returnTo is where the provider sends the browser back to.
func returnTo(r *guest.Request, state string) string { return callback(r) + "?state=" + state }

// A response is what a provider says through the browser: its fields, without
// the "openid." before each.
type response map[string]string

// readResponse refuses a field that comes twice: the provider might look at one of
// them, and this plugin at the other. So it does if a field has several lines: what
// is signed has one for each field, and one of them could be taken for two.
func readResponse(pairs abi.Pairs) (response, error) {
	m, twice, lines := response{}, false, false
	pairs.Each(func(name, value []byte) bool {
		key, ok := strings.CutPrefix(string(name), "openid.")
		if !ok {
			return true
		}
		_, twice = m[key]
		m[key] = string(value)
		lines = strings.ContainsAny(key, ":\n") || strings.Contains(m[key], "\n")
		return !twice && !lines
	})
	if twice {
		return nil, badAssertion("a field comes twice")
	}
	if lines {
		return nil, badAssertion("a field has several lines, or a colon in its name")
	}
	return m, nil
}

func badAssertion(why string) *guest.Error {
	return guest.Errorf(403, "bad_assertion", "The OpenID provider's answer does not hold: %s.", why)
}

// finishOpenID checks a response by section 11 of OpenID Authentication 2.0 and
// returns who the provider says it is.
func finishOpenID(r *guest.Request, a *attempt, state string) (who identity, err error) {
	if err := checkAudience(r); err != nil {
		return who, err
	}
	m, err := readResponse(r.QueryPairs())
	if err != nil {
		return who, err
	}
	if m["ns"] != spaceOpenID {
		return who, badAssertion("it is not of OpenID 2.0")
	}
	switch m["mode"] {
	case "id_res":
	case "cancel":
		return who, errCancelled
	case "error":
		r.Logf(abi.LogInfo, "login: the provider %q reports an error: %.200q", a.endpoint, m["error"])
		return who, guest.Errorf(502, "provider_error", "The OpenID provider reports an error.")
	default:
		return who, badAssertion("its mode is not known")
	}
	if m["return_to"] != returnTo(r, state) {
		return who, badAssertion("it was meant for another place")
	}
	if m["op_endpoint"] != a.endpoint {
		return who, badAssertion("it is not from the provider that was asked")
	}
	if err := m.checkSigned(); err != nil {
		return who, err
	}
	if err := m.checkNonce(r); err != nil {
		return who, err
	}
	if err := m.verify(r, a.endpoint); err != nil {
		return who, err
	}
	if err := m.checkClaim(r, a); err != nil {
		return who, err
	}
	who = m.profile()
	who.id = m["claimed_id"]
	return who, nil
}

// signed returns the names of the fields that the provider has signed.
func (m response) signed() []string { return strings.Split(m["signed"], ",") }

// checkSigned looks for the fields that must be signed.
func (m response) checkSigned() error {
	if m["sig"] == "" {
		return badAssertion("it has no signature")
	}
	signed := m.signed()
	for _, name := range []string{"op_endpoint", "return_to", "response_nonce", "assoc_handle", "claimed_id", "identity"} {
		if m[name] == "" {
			return badAssertion(name + " is missing")
		}
		if !slices.Contains(signed, name) {
			return badAssertion(name + " is not signed")
		}
	}
	return nil
}

// nonceKey is where it stands that a nonce was used: q/<SHA-256 of provider and
// nonce>, without a value.
func nonceKey(endpoint, nonce string) []byte {
	hash := sha256.Sum256([]byte(endpoint + "\n" + nonce))
	return append([]byte("q/"), hash[:]...)
}

// checkNonce takes a response once. How long its nonce has to be remembered
// follows from how old it may be.
func (m response) checkNonce(r *guest.Request) error {
	const layout = "2006-01-02T15:04:05Z"
	nonce := m["response_nonce"]
	for i := range len(nonce) {
		if nonce[i] <= ' ' || nonce[i] > '~' {
			return badAssertion("its nonce is malformed")
		}
	}
	if len(nonce) < len(layout) || len(nonce) > maxNonce {
		return badAssertion("its nonce is malformed")
	}
	made, err := time.Parse(layout, nonce[:len(layout)])
	if err != nil {
		return badAssertion("its nonce is malformed")
	}
	if r.Time().Sub(made).Abs() > nonceWindow {
		return badAssertion("it is too old, or the clocks differ")
	}
	key := nonceKey(m["op_endpoint"], nonce)
	_, found, err := r.KV().Get(key)
	if err != nil {
		return err
	}
	if found {
		return badAssertion("it was used before")
	}
	return r.KV().PutTTL(key, nil, 2*nonceWindow+time.Minute)
}

// verify asks the provider whether it has made the response.
func (m response) verify(r *guest.Request, endpoint string) error {
	q := url.Values{}
	for name, value := range m {
		q.Set("openid."+name, value)
	}
	q.Set("openid.mode", "check_authentication")
	var headers abi.Writer
	headers.Array()
	headers.Text("Content-Type")
	headers.Text("application/x-www-form-urlencoded")
	headers.End()
	reply, err := ask(r, &abi.Fetch{Method: "POST", URL: endpoint, Headers: abi.Pairs(headers.Value()),
		Body: []byte(q.Encode()), MaxReply: maxVerdict})
	if err != nil {
		return err
	}
	fields, ok := readKeyValues(string(reply.Body))
	if reply.Status != 200 || !ok {
		r.Logf(abi.LogInfo, "login: the provider %q answers with status %d to check_authentication", endpoint, reply.Status)
		return errUnreachable
	}
	if fields["is_valid"] != "true" {
		return badAssertion("the provider has not signed it")
	}
	return nil
}

// readKeyValues reads the key-value form of section 4.1.1: lines of "key:value".
func readKeyValues(text string) (map[string]string, bool) {
	m := map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		key, value, ok := strings.Cut(line, ":")
		if _, twice := m[key]; !ok || twice {
			return nil, false
		}
		m[key] = value
	}
	return m, true
}

// checkClaim finds out whether the provider may speak for the identifier. What
// was discovered for the attempt holds for the identifier of the attempt; for any
// other one, its own page has to name the provider.
func (m response) checkClaim(r *guest.Request, a *attempt) error {
	claimed := m["claimed_id"]
	if n, err := normalizeURL(claimed); err != nil || n != claimed {
		return badAssertion("claimed_id is not a URL in normal form")
	}
	// The fragment tells the present holder of an identifier from former ones:
	// it belongs to the identity, and not to the page.
	page, _, _ := strings.Cut(claimed, "#")
	if page == a.claimed {
		if m["identity"] != a.local {
			return badAssertion("identity is another one")
		}
		return nil
	}
	d, err := discover(r, page)
	if err != nil {
		return err
	}
	vouches := func(s service) bool {
		return !s.server && s.endpoint == a.endpoint && cmp.Or(s.local, d.claimed) == m["identity"]
	}
	if d.claimed != page || !slices.ContainsFunc(d.services, vouches) {
		return badAssertion("the page of claimed_id does not name this provider")
	}
	return nil
}

// profile reads what the provider tells of the user, by either extension. Only
// what is signed counts.
func (m response) profile() (who identity) {
	sreg, ax := m.extension(spaceSReg), m.attributes()
	who.name = cmp.Or(sreg["fullname"], ax[axName], strings.TrimSpace(ax[axFirst]+" "+ax[axLast]))
	who.nickname = cmp.Or(sreg["nickname"], ax[axNickname])
	who.email = cmp.Or(sreg["email"], ax[axEmail])
	return who
}

// extension returns the signed fields of an extension, under whatever alias the
// provider sends it.
func (m response) extension(space string) map[string]string {
	fields := map[string]string{}
	alias := ""
	for key, value := range m {
		if name, ok := strings.CutPrefix(key, "ns."); ok && value == space && (alias == "" || name < alias) {
			alias = name
		}
	}
	if alias == "" {
		return fields
	}
	for _, key := range m.signed() {
		name, ok := strings.CutPrefix(key, alias+".")
		if value, sent := m[key]; ok && sent {
			fields[name] = value
		}
	}
	return fields
}

// attributes returns the attributes of a fetch response by their types, without
// the prefix; of several values the first.
func (m response) attributes() map[string]string {
	fields, list := m.extension(spaceAX), map[string]string{}
	if fields["mode"] != "fetch_response" {
		return list
	}
	for key, kind := range fields {
		alias, ok := strings.CutPrefix(key, "type.")
		if !ok {
			continue
		}
		for _, prefix := range []string{spaceAXSchema, spaceAXSchema2} {
			if name, ok := strings.CutPrefix(kind, prefix); ok {
				list[name] = cmp.Or(list[name], fields["value."+alias], fields["value."+alias+".1"])
			}
		}
	}
	return list
}
