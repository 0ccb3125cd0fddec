// Plugin status keeps what people say of their status, updates of many types and
// sources, and shows it to those with whom they share it: when these ask, and as it
// comes.
//
// A noun a file.
//
//	update       a status update: its forms, its record
//	upload       new ones; own: the owner's list; erase: the owner's deletions
//	head         where somebody's updates are, by topic
//	feed         pages of updates, merged from many feeds
//
//	identity     people and groups; contact, block: lists of people
//	group        membership; group_api
//
//	permission   who is shown which updates; permission_api
//	shared       what others share with somebody
//	audience     whom new updates are told at once; listen, stream: to what end
//
//	keys         what is stored under which keys
//	uuid, date   what clients write these as
//	routes       of people and of sharing
package main

import "github.com/edgeset/edgeset/abi/guest"

func main() {}

func init() { guest.Serve(plugin()) }

func plugin() *guest.Plugin {
	p := guest.New("status", "1.0.0")
	p.Schema(1)
	f := p.Family("/v1", nil)
	token := guest.Auth("token")
	f.POST("/v1/status", upload, token, guest.JSON)
	f.GET("/v1/status", getOwn, token)
	f.DELETE("/v1/status", deleteOwn, token)
	routeSharing(f)
	routePeople(f)
	return p
}
