package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// owns tells whether a caller may change what was posted by an account, or through
// an application that acts for nobody else.
func owns(c *abi.Caller, account, app string) bool {
	if c.Account != "" {
		return c.Account == account
	}
	return c.App != "" && c.App == app
}

var errNotYours = guest.Errorf(403, "not_yours",
	"Somebody else has posted this: the account that posted it can change it, or the application, signing for no account.")

// flagger returns who flags, in a text that no other has: the account, or the user
// of an application, which tells its users apart by the parameter udid.
func flagger(r *guest.Request) string {
	c := r.Caller()
	if c.Account != "" {
		return "account\x00" + c.Account
	}
	udid := filterText(r, "udid")
	return "app\x00" + c.App + "\x00" + udid
}
