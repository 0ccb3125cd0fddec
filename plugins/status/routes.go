package main

import "github.com/edgeset/edgeset/abi/guest"

// maxSmallBody bounds the bodies of requests about one record.
const maxSmallBody = 16 << 10

// routePeople adds identities, their contacts, blocks and groups.
func routePeople(f *guest.Family) {
	token, small := guest.Auth("token"), guest.MaxBody(maxSmallBody)

	// Stores the identity if it is the first time, so it writes.
	f.GET("/v1/identities/me", getOwnIdentity, token, guest.Writes)
	f.PUT("/v1/identities/me", putOwnIdentity, token, guest.JSON, small)
	f.GET("/v1/identities/:uuid", getIdentity, token)

	contactBook().route(f, "/v1/contacts")
	blockBook().route(f, "/v1/blocks")

	f.POST("/v1/groups", createGroup, token, guest.JSON, small)
	f.GET("/v1/groups", listGroups, token)
	f.GET("/v1/groups/:uuid", getGroup, token)
	f.PUT("/v1/groups/:uuid", putGroup, token, guest.JSON, small)
	f.DELETE("/v1/groups/:uuid", deleteGroup, token)
	f.GET("/v1/groups/:uuid/members", listMembers, token)
	f.POST("/v1/groups/:uuid/members", addMember, token, guest.JSON, small)
	f.DELETE("/v1/groups/:uuid/members/:member", removeMember, token)
	f.POST("/v1/groups/:uuid/join", joinGroup, token)
	f.POST("/v1/groups/:uuid/leave", leaveGroup, token)
}

// routeSharing adds permissions, and the ways to what is shared.
func routeSharing(f *guest.Family) {
	token, small := guest.Auth("token"), guest.MaxBody(maxSmallBody)

	f.POST("/v1/status/permissions", createPermission, token, guest.JSON, small)
	f.GET("/v1/status/permissions", listPermissions, token)
	f.GET("/v1/permissions", listPermissions, token) // as the document spells it where it speaks of pages
	f.GET("/v1/status/permissions/:id", getPermission, token)
	f.PUT("/v1/status/permissions/:id", putPermission, token, guest.JSON, small)
	f.DELETE("/v1/status/permissions/:id", deletePermission, token)

	f.GET("/v1/status/shared", getShared, token)
	f.GET("/v1/status/stream", stream, token, guest.Stream)
	f.Socket("/v1/socket/").On("LISTEN", listen, "access_token", "token")
}
