// Plugin signing finds out who makes a request, for all families of APIs: it keeps
// accounts, applications, access tokens and sessions, checks signatures of
// requests, and lets people sign in with an OpenID.
//
// A noun a file.
//
//	credential   the check that the host asks for, and where credentials stand
//	account      creation and passwords; accountadmin: what operators do to them
//	user         profiles
//	token        login, devices, logout
//	throttle     guessing passwords
//
//	app          API keys: their life, for operators; ownapp: for developers
//	appfields    what a body says of an application; origin: web origins
//
//	signature    the steps of a check, and who am I
//	md5, hint    signatures of parameters; by what mistake one is wrong
//	message      RFC 9421; base: what is signed
//	verify       what is wrong with a signature; guide: the page for authors
//
//	login        to the provider and back; session: cookies
//	identifier   OpenIDs in their normal form; discovery: whose they are
//	openid       OpenID 2.0
//	oidc         OpenID Connect; oidc_provider, idtoken, jwks: what it needs
//
//	record       what is stored and under which keys; record_app
//	settings     what an operator can set
//	envelope     the forms of answers
package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() { guest.Serve(plugin()) }

func main() {}

func plugin() *guest.Plugin {
	p := guest.New("signing", "1.0.0")
	p.Schema(1)
	p.Need(abi.GrantPasswords)
	p.Authenticate(authenticate, sources...)
	routeV2(p.Family("/v2", envelope).Code(abi.HostUnauthenticated, "oauth_token"))
	posts := p.Family("/1.0", problem).Docs("/1.0/signing")
	routeLogin(posts)
	routeSigning(posts)
	routeOwnApps(posts)
	routeApps(p.Family("/apps", nil))
	routeAccounts(p.Family("/accounts", nil))
	return p
}

func routeV2(v2 *guest.Family) {
	// A form of parameters is small; the bound keeps anybody from having large
	// ones parsed.
	small := guest.MaxBody(16 << 10)
	user := guest.Auth(tokenProof)

	// Clients in the field call these two by GET as well, although they write.
	v2.POST("/v2/account/create", createAccount, guest.Form, small)
	v2.GET("/v2/account/create", createAccount, guest.Writes)
	v2.POST("/v2/account/login", login, guest.Form, small)
	v2.GET("/v2/account/login", login, guest.Writes)

	v2.POST("/v2/account/logout", logout, user, guest.Form, small)
	v2.POST("/v2/account/password", changePassword, user, guest.Form, small)
	v2.GET("/v2/account/devices", listDevices, user)
	v2.DELETE("/v2/account/devices/:id", revokeDevice, user)
	v2.POST("/v2/account/devices/:id/delete", revokeDevice, user)

	v2.GET("/v2/users/self", self, user)
	v2.POST("/v2/users/self/update", updateSelf, user, guest.Form, small)
	v2.GET("/v2/users/:id", showUser, user)
}
