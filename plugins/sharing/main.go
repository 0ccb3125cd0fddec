// Sharing is the plugin for live location: tickets that hold a trail and its
// properties for a while, and invites, whose codes let others watch one.
//
// Accounts and tokens belong to the signing plugin; here a caller is an account.
package main

import (
	"errors"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func main() {}

func init() { guest.Serve(plugin()) }

// Bounds of the bodies, with room for generous spacing: a batch of points takes
// about 80 bytes a point.
const (
	maxPointsBody     = 512 << 10
	maxPropertiesBody = 1 << 20
)

func plugin() *guest.Plugin {
	p := guest.New("sharing", "1.0.0")
	p.Schema(1)
	p.Want(abi.GrantEvents) // without it, viewers poll
	deliver(p)
	api := p.Family("/v2", failure).Code(abi.HostUnauthenticated, "oauth_token")
	token := guest.Auth("token")

	get := func(path string, h guest.Handler, opts ...guest.RouteOption) {
		api.GET(path, refusable(h), append(opts, token)...)
	}
	post := func(path string, h guest.Handler, opts ...guest.RouteOption) {
		api.POST(path, refusable(h), append(opts, token)...)
	}

	post("/v2/users/self/create_ticket", createTicket, guest.Form)
	get("/v2/users/self/tickets", listTickets)
	get("/v2/tickets/:id", getTicket)
	post("/v2/tickets/:id/update", updateTicket, guest.Form)
	post("/v2/tickets/:id/expire", expireTicket, guest.Form)
	post("/v2/tickets/:id/delete", deleteTicket, guest.Form)
	post("/v2/tickets/:id/set_visibility", setVisibility, guest.Form)

	post("/v2/tickets/:id/append_location", appendLocation, guest.JSON, guest.MaxBody(maxPointsBody))
	post("/v2/tickets/:id/append_data", appendData, guest.JSON, guest.MaxBody(maxPropertiesBody))
	post("/v2/tickets/append_location", appendLocationToAll, guest.JSON, guest.MaxBody(maxPointsBody))
	post("/v2/tickets/append_data", appendDataToAll, guest.JSON, guest.MaxBody(maxPropertiesBody))

	post("/v2/tickets/:id/create_invite", createInvite, guest.Form)
	get("/v2/tickets/:id/invites", listInvites)
	post("/v2/invites/:code/update", updateInvite, guest.Form)
	post("/v2/invites/:code/delete", dismissing(deleteInvite), guest.Form)
	// Writes down what time alone has changed: see settle.
	get("/v2/users/self/invites", pollInvites, guest.Writes)

	// Whoever has the code may look. The view is counted, so it writes.
	get("/v2/invites/:code", viewInvite, guest.Optional, guest.Writes)
	get("/v2/invites/:code/stream", streamInvite, guest.Optional, guest.Stream)
	post("/v2/invites/:code/leave", leaveInvite, guest.Optional)
	get("/v2/invites/:code/properties", viewProperties, guest.Optional)

	servePages(p, built)
	return p
}

// refusable turns what the store refuses for its size into an answer that the
// client can act on.
func refusable(h guest.Handler) guest.Handler {
	return func(w *guest.Response, r *guest.Request) error {
		err := h(w, r)
		if errors.Is(err, abi.ErrTooLarge) {
			return guest.Errorf(413, "too_large", "the request writes more than fits one transaction; send it in smaller parts")
		}
		return err
	}
}
