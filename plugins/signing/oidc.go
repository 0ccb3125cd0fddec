package main

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// What an operator sets for logins with OpenID Connect. The manifest's egress has
// to let the plugin reach the providers, with all the endpoints that their metadata
// names, and each has to know, as redirect URI, this server's own URL with
// /1.0/login/callback.
//
//	oidc                       names of the providers: "google corp"  none
//	oidc_<name>_issuer         the provider's URL, as it states it
//	oidc_<name>_client_id      by which the provider knows this server
//	oidc_<name>_client_secret  its secret                             none: a public client
//	oidc_<name>_scopes         what is asked for                      openid profile email

// An oidcProvider is an OpenID Connect provider that the operator has set.
type oidcProvider struct {
	name         string // a-z, 0-9, '-'
	issuer       string
	clientID     string
	clientSecret string
	scopes       string
}

// oidcFor finds the provider that somebody means who gives it in place of an
// OpenID: by its name, its issuer however that is spelled, or its host.
func oidcFor(r *guest.Request, identifier string) (p *oidcProvider, found bool, err error) {
	providers, err := oidcProviders(r)
	if err != nil {
		return nil, false, err
	}
	place := placeOf(identifier)
	var there []*oidcProvider
	for _, p := range providers {
		issuer := placeOf(p.issuer)
		if strings.EqualFold(strings.TrimSpace(identifier), p.name) || place != "" && place == issuer {
			return p, true, nil
		}
		if host, _, _ := strings.Cut(issuer, "/"); place != "" && place == host {
			there = append(there, p)
		}
	}
	if len(there) != 1 { // a host of several says nothing
		return nil, false, nil
	}
	return there[0], true, nil
}

// oidcNamed finds a provider by its exact name.
func oidcNamed(r *guest.Request, name string) (p *oidcProvider, found bool, err error) {
	providers, err := oidcProviders(r)
	if err != nil {
		return nil, false, err
	}
	i := slices.IndexFunc(providers, func(p *oidcProvider) bool { return p.name == name })
	if i < 0 {
		return nil, false, nil
	}
	return providers[i], true, nil
}

// oidcProviders reads the settings of all providers. Whoever looks for one fails
// if one of them is wrong: it could be the one that was meant.
func oidcProviders(r *guest.Request) (list []*oidcProvider, err error) {
	names := strings.FieldsFunc(r.Config("oidc", ""), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' })
	for i, name := range names {
		if !isProviderName(name) || slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("setting oidc: %q: want names of a-z, 0-9 and '-', each once", name)
		}
		key := "oidc_" + name
		p := &oidcProvider{
			name:         name,
			issuer:       r.Config(key+"_issuer", ""),
			clientID:     r.Config(key+"_client_id", ""),
			clientSecret: r.Config(key+"_client_secret", ""),
			scopes:       r.Config(key+"_scopes", "openid profile email"),
		}
		u, err := url.Parse(p.issuer)
		if err != nil || !isWeb(u) || u.RawQuery != "" || u.ForceQuery || strings.Contains(p.issuer, "#") || u.User != nil {
			return nil, fmt.Errorf("setting %s_issuer: %q: want a URL such as https://accounts.example.com, without query and fragment", key, p.issuer)
		}
		if p.clientID == "" {
			return nil, fmt.Errorf("setting %s_client_id: is missing", key)
		}
		if !slices.Contains(strings.Fields(p.scopes), "openid") {
			return nil, fmt.Errorf("setting %s_scopes: %q: want openid among them", key, p.scopes)
		}
		list = append(list, p)
	}
	return list, nil
}

func isProviderName(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isWeb tells whether u is the URL of something on the web.
func isWeb(u *url.URL) bool { return (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" }

// placeOf returns host and path of a URL, in which spellings that people do not
// tell apart are alike: with and without scheme, default port and last slash. It
// is "" for what is no URL.
func placeOf(s string) string {
	s, err := normalize(s)
	if err != nil {
		return ""
	}
	_, place, _ := strings.Cut(s, "://")
	return strings.TrimRight(place, "/")
}

// verifierSize makes the code verifier as long as RFC 7636 wants it.
const verifierSize = 52 // 260 bits

// begin returns where to send the browser, and notes in the attempt what finish
// has to compare. The provider sends the browser on to returnTo, which is always
// the same place, since it is registered there.
func (p *oidcProvider) begin(r *guest.Request, a *attempt, state, returnTo string) (location string, err error) {
	m, err := p.metadata(r, metadataFresh)
	if err != nil {
		return "", err
	}
	a.provider, a.nonce, a.verifier = p.name, random(tokenSize), random(verifierSize)
	challenge := sha256.Sum256([]byte(a.verifier))
	u, err := url.Parse(m.Authorization)
	if err != nil {
		return "", err // metadata has looked
	}
	q := u.Query()
	q.Set("response_type", "code")
	q.Set("client_id", p.clientID)
	q.Set("redirect_uri", returnTo)
	q.Set("scope", p.scopes)
	q.Set("state", state)
	q.Set("nonce", a.nonce)
	q.Set("code_challenge", base64.RawURLEncoding.EncodeToString(challenge[:]))
	q.Set("code_challenge_method", "S256")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// finish takes what the provider's redirect has brought, and returns who the
// provider says has logged in.
//
// The code can be redeemed once. Should this run again because other requests
// got in between, the replies that it had are recorded, in their order: so that
// redeeming comes first, and what may be in the store or not, after it.
func (p *oidcProvider) finish(r *guest.Request, a *attempt, returnTo string) (nobody identity, err error) {
	m, err := p.metadata(r, metadataKept)
	if err != nil {
		return nobody, err
	}
	// RFC 9207: the answer is of the provider that was asked, not of another one
	// that would like to be sent its code.
	if (m.StatesIssuer || r.HasQuery("iss")) && r.Query("iss") != p.issuer {
		return nobody, guest.Errorf(403, "login_refused", "The login was answered by another provider than the one that was asked.")
	}
	if code := r.Query("error"); code != "" {
		if code == "access_denied" {
			return nobody, errCancelled
		}
		r.Logf(abi.LogWarn, "login: provider %s: %.100q: %.300q", p.name, code, r.Query("error_description"))
		return nobody, errProvider
	}
	code, err := parameter(r, "code")
	if err != nil {
		return nobody, err
	}
	t, err := p.redeem(r, m, code, a.verifier, returnTo)
	if err != nil {
		return nobody, err
	}
	claims, err := p.checkIDToken(r, m, t, a.nonce)
	if err != nil {
		return nobody, err
	}
	subject := claims["sub"]
	who := identity{id: fmt.Sprintf("%s#%s", p.issuer, subject)}
	claims.describe(&who)
	if (who.name == "" || who.nickname == "" || who.email == "") && m.UserInfo != "" && t.Access != "" {
		profile, err := p.userInfo(r, m, t.Access)
		if err != nil {
			return nobody, err
		}
		if profile["sub"] != subject {
			return nobody, guest.Errorf(403, "login_refused", "The provider's profile is that of another user than its ID token.")
		}
		profile.describe(&who)
	}
	return who, nil
}

// claims are what a provider states of somebody.
type claims map[string]any

func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return strings.TrimSpace(s)
}

// describe fills in what is not known yet.
func (c claims) describe(who *identity) {
	for _, f := range []struct {
		value  *string
		claims []string
	}{
		{&who.name, []string{"name"}},
		{&who.nickname, []string{"nickname", "preferred_username"}},
		{&who.email, []string{"email"}},
	} {
		for _, name := range f.claims {
			if *f.value == "" {
				*f.value = c.text(name)
			}
		}
	}
}
