package main

import (
	"crypto/sha256"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Kinds of callers that routes ask for.
const (
	tokenProof     = "token"     // an access token
	signatureProof = "signature" // the request is signed by an application
	sessionProof   = "session"   // the cookie of somebody who has signed in with an OpenID
	operatorProof  = "operator"  // only the host's admin API supplies it
)

// sessionCookie is the name of the cookie that a session's token is in.
const sessionCookie = "edgeset_session"

// tokenParam is the parameter of the query that an access token may be in.
const tokenParam = "oauth_token"

// sources are where credentials stand in a request, in the order in which they
// count: who shows a token means it, whatever cookie the browser adds.
var sources = []abi.CredentialSource{
	{Kind: tokenProof, Header: "Authorization", Scheme: "Bearer"},
	{Kind: tokenProof, Header: "Authorization", Scheme: "Glympse"},
	{Kind: tokenProof, Query: tokenParam},
	{Kind: signatureProof, Header: "Signature-Input", Request: true},
	{Kind: signatureProof, Param: "hash", Request: true},
	{Kind: signatureProof, Param: "authtoken", Request: true},
	{Kind: sessionProof, Cookie: sessionCookie},
}

// authenticate finds out who makes a request: the one check for all families.
func authenticate(r *guest.Request, c abi.Credential) (abi.Caller, error) {
	switch c.Kind {
	case tokenProof:
		return checkToken(r, c)
	case sessionProof:
		return checkSession(r, c)
	}
	return checkSignature(r, c)
}

// checkToken finds out who presents a token. The host may keep the answer until one
// of the three entries changes that it reads: token, application, and the account,
// for the name that others see.
func checkToken(r *guest.Request, c abi.Credential) (nobody abi.Caller, err error) {
	t, err := findToken(r.KV(), c.Value)
	if err != nil {
		return nobody, err
	}
	if t.account == "" || t.session {
		return nobody, errToken
	}
	a, found, err := findApp(r.KV(), t.app)
	if err != nil {
		return nobody, err
	}
	if !found || a.revoked != 0 {
		return nobody, errRevoked
	}
	if t.expires <= r.Time().UnixMicro() {
		return nobody, errExpired
	}
	if err := a.admits(schemeToken, &c); err != nil {
		return nobody, err
	}
	who, found, err := findAccount(r.KV(), t.account)
	if err != nil {
		return nobody, err
	}
	if !found {
		return nobody, errToken
	}
	caller := abi.Caller{
		Account: t.account, App: t.app, Proof: tokenProof, Token: t.id, Expires: t.expires, Name: who.publicName(),
	}
	caller.Limit, caller.Window, err = a.limit(r)
	return caller, err
}

// findToken returns the record of a token, or of a session; without an account
// if there is none.
func findToken(kv *guest.KV, secret string) (t token, err error) {
	if !isRandom(secret, tokenSize) {
		return t, nil
	}
	hash := sha256.Sum256([]byte(secret))
	record, found, err := kv.Get(tokenKey(hash[:]))
	if err != nil || !found {
		return t, err
	}
	return readToken(record)
}
