// Plugin signing keeps applications, accounts and access tokens, and is what
// the host asks who presents a credential.
//
// A noun a file: app.go (API keys, for operators), account.go (creation and
// passwords), user.go (profiles), token.go (login, devices, logout, the
// credential check), throttle.go (guessing passwords), record.go (what is stored
// and under which keys), settings.go (what an operator can set), envelope.go
// (the form of /v2).
package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Kinds of callers that routes ask for.
const (
	tokenProof    = "token"    // an access token, checked by authenticate
	operatorProof = "operator" // only the host's admin API supplies it
)

func init() { guest.Serve(plugin()) }

func main() {}

func plugin() *guest.Plugin {
	p := guest.New("signing", "1.0.0")
	p.Need(abi.GrantPasswords)
	p.Authenticate(authenticate,
		abi.CredentialSource{Kind: tokenProof, Header: "Authorization", Scheme: "Bearer"},
		abi.CredentialSource{Kind: tokenProof, Header: "Authorization", Scheme: "Glympse"},
		abi.CredentialSource{Kind: tokenProof, Query: "oauth_token"},
	)
	routeV2(p.Family("/v2", envelope).Code(abi.HostUnauthenticated, "oauth_token"))
	routeApps(p.Family("/apps", nil))
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

func routeApps(apps *guest.Family) {
	operator := guest.Auth(operatorProof)
	apps.POST("/apps", createApp, operator, guest.JSON, guest.MaxBody(16<<10))
	apps.GET("/apps", listApps, operator)
	apps.GET("/apps/:id", showApp, operator)
	apps.DELETE("/apps/:id", revokeApp, operator)
}
