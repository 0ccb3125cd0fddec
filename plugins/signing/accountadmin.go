package main

import "github.com/edgeset/edgeset/abi/guest"

// namedAccount returns the account that the path of an operator's request names.
func namedAccount(r *guest.Request) (id string, a account, err error) {
	id = r.Param("id")
	found := isRandom(id, accountIDSize)
	if found {
		a, found, err = findAccount(r.KV(), id)
	}
	if err == nil && !found {
		err = guest.Errorf(404, "not_found", "There is no account with this id.")
	}
	return id, a, err
}

// showAccount answers GET /accounts/:id: what an operator needs to know whom an
// application or a token is of.
func showAccount(w *guest.Response, r *guest.Request) error {
	id, a, err := namedAccount(r)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	entry(v, "id", id)
	for _, field := range [][2]string{
		{"name", a.name}, {"username", a.username}, {"openid", a.openid}, {"nickname", a.nickname}, {"email", a.email},
	} {
		if field[1] != "" {
			entry(v, field[0], field[1])
		}
	}
	entryTime(v, "created", a.created)
	v.End()
	return nil
}

// revokeAccount answers POST /accounts/:id/revoke: it ends every token and every
// session of an account. Who knows its password, or its OpenID, can log in again.
func revokeAccount(w *guest.Response, r *guest.Request) error {
	id, _, err := namedAccount(r)
	if err != nil {
		return err
	}
	n, err := revokeTokens(r.KV(), id, "")
	if err != nil {
		return err
	}
	v := w.Value()
	v.Map()
	entry(v, "id", id)
	entryInt(v, "revoked", int64(n))
	v.End()
	return nil
}

func routeAccounts(accounts *guest.Family) {
	operator := guest.Auth(operatorProof)
	accounts.GET("/accounts/:id", showAccount, operator)
	accounts.POST("/accounts/:id/revoke", revokeAccount, operator)
}
