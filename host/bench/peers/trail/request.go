package trail

import "strings"

// A Request is what a host knows of a request before it asks the guest: it has
// routed it and checked its token, as edgeset does for its plugins.
type Request struct {
	Kind  Kind
	Owner string // the caller of Create and Append
	ID    string // the ticket of Append, the code of View
}

// Kind is what is asked for.
type Kind int

// The kinds of requests.
const (
	Unknown Kind = iota
	Empty        // GET /empty
	Create       // POST /v2/users/self/create_ticket
	Append       // POST /v2/tickets/:id/append_location
	View         // GET /v2/invites/:code
)

// Tokens are the accounts by access token.
type Tokens map[string]string

// Route finds out what is asked for, and by whom. ok is false if the request
// needs a token and has none.
func (t Tokens) Route(method, path, authorization string) (r Request, ok bool) {
	rest, isTicket := strings.CutPrefix(path, "/v2/tickets/")
	code, isView := strings.CutPrefix(path, "/v2/invites/")
	id, isAppend := strings.CutSuffix(rest, "/append_location")
	switch {
	case method == "GET" && path == "/empty":
		return Request{Kind: Empty}, true
	case method == "GET" && isView:
		return Request{Kind: View, ID: code}, true
	case method == "POST" && isTicket && isAppend:
		r = Request{Kind: Append, ID: id}
	case method == "POST" && path == "/v2/users/self/create_ticket":
		r = Request{Kind: Create}
	default:
		return Request{}, true
	}
	token, _ := strings.CutPrefix(authorization, "Bearer ")
	r.Owner, ok = t[token]
	return r, ok
}
