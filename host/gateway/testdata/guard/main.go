// Command guard is a plugin that checks credentials: who shows a word that was
// granted has the account of that name.
package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("guard", "1.0.0")
	p.Authenticate(check,
		abi.CredentialSource{Kind: "token", Header: "Authorization", Scheme: "Bearer"},
		abi.CredentialSource{Kind: "token", Query: "token"},
		abi.CredentialSource{Kind: "session", Cookie: "sid"},
	)
	g := p.Family("/g", nil)
	g.POST("/g/grant/:word", grant)
	g.POST("/g/revoke/:word", revoke)
	g.GET("/g/seen", seen, guest.Auth("token", "session"))
	g.POST("/g/words/:word", grant, guest.Auth("operator"))
	g.GET("/g/words/:word", seen, guest.Auth("operator"))
	guest.Serve(p)
}

func main() {}

func key(word string) []byte { return []byte("w/" + word) }

func check(r *guest.Request, c abi.Credential) (abi.Caller, error) {
	_, found, err := r.KV().Get(key(c.Value))
	if err != nil {
		return abi.Caller{}, err
	}
	if !found {
		return abi.Caller{}, guest.Errorf(401, "unknown", "This %s was not granted.", c.Kind)
	}
	return abi.Caller{Account: c.Value, Proof: c.Kind}, nil
}

func grant(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().Put(key(r.Param("word")), nil)
}

func revoke(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().Delete(key(r.Param("word")))
}

// seen tells what arrived of the credentials.
func seen(w *guest.Response, r *guest.Request) error {
	v := w.Value()
	v.Map()
	for _, f := range [][2]string{
		{"authorization", r.Header("Authorization")}, {"cookie", r.Header("Cookie")}, {"token", r.Query("token")},
		{"account", r.Caller().Account}, {"proof", r.Caller().Proof}, {"path", r.Path()}, {"word", r.Param("word")},
	} {
		v.Key(f[0])
		v.Text(f[1])
	}
	v.End()
	return nil
}
