// Command guard is a plugin that checks credentials: who shows a word that was
// granted has the account of that name.
package main

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("guard", "1.0.0")
	p.Authenticate(check,
		abi.CredentialSource{Kind: "token", Header: "Authorization", Scheme: "Bearer"},
		abi.CredentialSource{Kind: "token", Query: "token"},
		abi.CredentialSource{Kind: "session", Cookie: "sid"},
		abi.CredentialSource{Kind: "signature", Header: "X-Signed", Request: true},
		abi.CredentialSource{Kind: "signature", Param: "signed", Request: true},
	)
	g := p.Family("/g", nil)
	g.POST("/g/grant/:word", grant)
	g.POST("/g/revoke/:word", revoke)
	g.GET("/g/seen", seen, guest.Auth("token", "session"))
	g.POST("/g/signed", seen, guest.Auth("signature"), guest.Form)
	g.GET("/g/used/:word", used)
	g.POST("/g/limit/:limit", limit)
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
	if c.Kind == "signature" {
		return checkSigned(r, c)
	}
	if !found {
		return abi.Caller{}, guest.Errorf(401, "unknown", "This %s was not granted.", c.Kind)
	}
	caller := abi.Caller{Account: c.Value, App: "app of " + c.Value, Proof: c.Kind, Name: c.Family + " " + c.Origin}
	most, found, err := r.KV().Get([]byte("limit"))
	if found {
		caller.Limit, _ = strconv.ParseInt(string(most), 10, 64)
		caller.Window = 3600
	}
	return caller, err
}

// checkSigned takes a word once. What it was shown of the request stands in the
// caller's name.
func checkSigned(r *guest.Request, c abi.Credential) (abi.Caller, error) {
	used := []byte("u/" + c.Value)
	_, found, err := r.KV().Get(used)
	if err != nil {
		return abi.Caller{}, err
	}
	if found {
		return abi.Caller{}, guest.Errorf(401, "replayed", "This word was used.")
	}
	digest, err := r.BodyDigest("sha-256")
	if err != nil {
		return abi.Caller{}, err
	}
	line := []string{r.Method(), r.Target(), c.Family, r.Header("X-Signed"), hex.EncodeToString(digest[:4]), strconv.Itoa(int(r.BodyKind()))}
	for _, pairs := range []abi.Pairs{r.QueryPairs(), r.Form()} {
		pairs.Each(func(name, value []byte) bool {
			line = append(line, string(name)+"="+string(value))
			return true
		})
	}
	if strings.HasPrefix(c.Value, "mail-") {
		// Of such a word somebody is told.
		d := abi.Dispatch{Key: c.Value, Via: abi.GrantMail, To: "ann@example.com", Text: "It was used."}
		if err := r.Dispatch(&d); err != nil {
			return abi.Caller{}, err
		}
	} else if err := r.KV().Put(used, nil); err != nil {
		return abi.Caller{}, err
	}
	return abi.Caller{App: c.Value, Proof: c.Kind, Scheme: "word", Name: strings.Join(line, " ")}, nil
}

func used(w *guest.Response, r *guest.Request) error {
	_, found, err := r.KV().Get([]byte("u/" + r.Param("word")))
	w.Value().Bool(found)
	return err
}

func limit(w *guest.Response, r *guest.Request) error {
	w.Status(204)
	return r.KV().Put([]byte("limit"), []byte(r.Param("limit")))
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
		{"app", r.Caller().App}, {"name", r.Caller().Name}, {"scheme", r.Caller().Scheme},
	} {
		v.Key(f[0])
		v.Text(f[1])
	}
	v.End()
	return nil
}
