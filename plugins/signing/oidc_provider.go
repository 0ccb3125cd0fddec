package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// errProvider is for a provider that answers, and not with a login. The log says
// more.
var errProvider = guest.Errorf(502, "provider_error", "The OpenID provider has reported an error, or has answered what makes no sense.")

// Bounds of a provider's replies, in bytes.
const (
	maxPublished = 128 << 10
	maxReplies   = 64 << 10 // tokens, a profile
)

// metadata is what a provider publishes of itself.
type metadata struct {
	Issuer        string   `json:"issuer"`
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	UserInfo      string   `json:"userinfo_endpoint"` // may be ""
	Keys          string   `json:"jwks_uri"`
	TokenAuth     []string `json:"token_endpoint_auth_methods_supported"`
	StatesIssuer  bool     `json:"authorization_response_iss_parameter_supported"`
}

// How old metadata may be. A login goes on with what it began with, wherever it
// can: see finish.
const (
	metadataFresh = time.Hour
	metadataKept  = 2 * time.Hour
)

func metadataKey(issuer string) []byte { return []byte("p/m/" + issuer) }

// metadata returns what the provider publishes of itself, or has published less
// than maxAge ago.
func (p *oidcProvider) metadata(r *guest.Request, maxAge time.Duration) (*metadata, error) {
	key := metadataKey(p.issuer)
	doc, found, err := findPublished(r, key, maxAge)
	if err != nil {
		return nil, err
	}
	if !found {
		if doc, err = fetchPublished(r, strings.TrimSuffix(p.issuer, "/")+"/.well-known/openid-configuration"); err != nil {
			return nil, err
		}
	}
	m, err := p.readMetadata(doc.body)
	if err != nil {
		r.Logf(abi.LogWarn, "login: provider %s: metadata: %v", p.name, err)
		return nil, errProvider
	}
	if !found {
		if err := r.KV().PutTTL(key, doc.record(), metadataKept); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (p *oidcProvider) readMetadata(document []byte) (*metadata, error) {
	var m metadata
	if err := json.Unmarshal(document, &m); err != nil {
		return nil, err
	}
	// Another issuer's document would send logins, and the secret, elsewhere.
	if m.Issuer != p.issuer {
		return nil, fmt.Errorf("is of issuer %.300q, not %q", m.Issuer, p.issuer)
	}
	for _, e := range []struct {
		name, url string
		optional  bool
	}{
		{"authorization_endpoint", m.Authorization, false},
		{"token_endpoint", m.Token, false},
		{"jwks_uri", m.Keys, false},
		{"userinfo_endpoint", m.UserInfo, true},
	} {
		if e.url == "" && e.optional {
			continue
		}
		u, err := url.Parse(e.url)
		if err != nil || !isWeb(u) || u.Fragment != "" || u.Scheme == "http" && strings.HasPrefix(p.issuer, "https:") {
			return nil, fmt.Errorf("%s: %.300q: want a URL with https", e.name, e.url)
		}
	}
	return &m, nil
}

// published is a document of a provider, as it was fetched: its metadata, under
// p/m/ and its issuer, and its keys, under p/k/.
type published struct {
	fetched int64
	body    []byte
}

func (d *published) record() []byte {
	var w abi.Writer
	w.FixedArray(2)
	w.Int(d.fetched)
	w.Bytes(d.body)
	return w.Value()
}

func readPublished(record []byte) (d published, err error) {
	err = read(record, "published", 2, func(r *abi.Reader, _ int) int {
		d = published{fetched: r.Int(), body: r.Bytes()}
		return 0
	})
	return d, err
}

// findPublished returns a document that is stored and not too old.
func findPublished(r *guest.Request, key []byte, maxAge time.Duration) (d published, found bool, err error) {
	record, found, err := r.KV().Get(key)
	if err != nil || !found {
		return d, false, err
	}
	if d, err = readPublished(record); err != nil {
		return d, false, err
	}
	return d, d.age(r) < maxAge, nil
}

func (d *published) age(r *guest.Request) time.Duration {
	return r.Time().Sub(time.UnixMicro(d.fetched))
}

func fetchPublished(r *guest.Request, place string) (d published, err error) {
	reply, err := ask(r, &abi.Fetch{URL: place, Headers: pairs("Accept", "application/json"), Follow: true, MaxReply: maxPublished})
	if err != nil {
		return d, err
	}
	if reply.Status != 200 {
		r.Logf(abi.LogWarn, "login: %q: status %d", place, reply.Status)
		return d, errUnreachable
	}
	return published{fetched: r.Time().UnixMicro(), body: reply.Body}, nil
}

// tokens are what a code is redeemed for.
type tokens struct {
	ID     string `json:"id_token"`
	Access string `json:"access_token"`
}

// redeem exchanges the code for tokens. The verifier proves that it is us who
// have begun the login.
func (p *oidcProvider) redeem(r *guest.Request, m *metadata, code, verifier, redirect string) (*tokens, error) {
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirect}, "code_verifier": {verifier},
	}
	header := []string{"Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json"}
	switch {
	case p.clientSecret == "":
		form.Set("client_id", p.clientID)
	case len(m.TokenAuth) == 0 || slices.Contains(m.TokenAuth, "client_secret_basic"):
		// RFC 6749, section 2.3.1: both are form-encoded first.
		pair := url.QueryEscape(p.clientID) + ":" + url.QueryEscape(p.clientSecret)
		header = append(header, "Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case slices.Contains(m.TokenAuth, "client_secret_post"):
		form.Set("client_id", p.clientID)
		form.Set("client_secret", p.clientSecret)
	default:
		return nil, fmt.Errorf("provider %s: takes a client's secret neither by client_secret_basic nor by client_secret_post", p.name)
	}
	reply, err := ask(r, &abi.Fetch{
		Method: "POST", URL: m.Token, Headers: pairs(header...), Body: []byte(form.Encode()), MaxReply: maxReplies,
	})
	if err != nil {
		return nil, err
	}
	if reply.Status != 200 {
		var e struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}
		json.Unmarshal(reply.Body, &e) // for the log, if it can be read
		r.Logf(abi.LogWarn, "login: provider %s: token endpoint: status %d: %.100q: %.300q", p.name, reply.Status, e.Error, e.Description)
		if e.Error == "invalid_grant" {
			return nil, guest.Errorf(403, "login_refused", "The provider does not know the code of this login, or it was used already.")
		}
		return nil, errProvider
	}
	var t tokens
	if err := json.Unmarshal(reply.Body, &t); err != nil || t.ID == "" {
		r.Logf(abi.LogWarn, "login: provider %s: token endpoint: no ID token (%v)", p.name, err)
		return nil, errProvider
	}
	return &t, nil
}

// userInfo returns the claims that the provider tells whoever has the access
// token.
func (p *oidcProvider) userInfo(r *guest.Request, m *metadata, access string) (c claims, err error) {
	reply, err := ask(r, &abi.Fetch{
		URL: m.UserInfo, Headers: pairs("Authorization", "Bearer "+access, "Accept", "application/json"), MaxReply: maxReplies,
	})
	if err != nil {
		return nil, err
	}
	if reply.Status == 200 {
		err = json.Unmarshal(reply.Body, &c)
	}
	if reply.Status != 200 || err != nil {
		r.Logf(abi.LogWarn, "login: provider %s: userinfo endpoint: status %d (%v)", p.name, reply.Status, err)
		return nil, errProvider
	}
	return c, nil
}

// pairs makes a list of names and values, given in turn.
func pairs(list ...string) abi.Pairs {
	var w abi.Writer
	w.FixedArray(len(list))
	for _, s := range list {
		w.Text(s)
	}
	return abi.Pairs(w.Value())
}
