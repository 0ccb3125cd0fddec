// Plugin posts keeps photos that people post, with what they say of them and where
// they were taken, and the comments of others.
//
// A noun a file.
//
//	resource     what posts and comments have in common: their calls and routes
//	format       how results are written; params: what requests say
//	referrer     the way back to the page of a form
//	owner        who may change what
//
//	record       what is stored of a post; counter: numbers, and times of changes
//	post_api     posts as they are read; post_write: as they are written
//	picture      what is made of an upload, and who may see it
//
//	comment      what is stored of a comment; comment_api, comment_write
//	thread       the comments of a post
//
//	feed         what RSS and Atom have in common; rss, atom; calendar: dates in them
//	item         posts and comments as JSON and property lists
//
//	flag         who finds something inappropriate; queue: what operators look at
//	moderation   what they do about it; comment_moderation
//	settings     what they can set
//	guide        the page for authors of clients
//
//	catalog      what posts are found by: word, moment, circle, cell; find: how
//	set          numbers of posts or comments; bits: how they are stored
//	keys         what is stored under which keys
package main

import "github.com/edgeset/edgeset/abi/guest"

func main() {}

func init() { guest.Serve(plugin()) }

func plugin() *guest.Plugin {
	p := guest.New("posts", "1.0.0")
	p.Schema(1)
	api := p.Family("/1.0", problem).Docs(documentation)
	routePosts(api)
	routeComments(api)
	api.GET("/1.0/images/:name", showPicture)
	api.GET(documentation, guide)
	api.GET("/1.0/:name", refuseName)

	// Their routes are below the plugin's name on the admin address, whatever the
	// prefix of their family.
	operators := p.Family("/queue", problem)
	routeModeration(operators)
	routeCommentModeration(operators)
	return p
}

func routePosts(f *guest.Family) {
	signed := guest.Auth("token", "signature", "session")
	resource{
		name: "posts", list: listPosts, show: showPost, create: createPost, update: updatePost, remove: deletePost,
		creates: []guest.RouteOption{signed, guest.Upload, guest.MaxBody(maxUpload)},
		writes:  []guest.RouteOption{signed, guest.Form, guest.MaxBody(maxForm)},
	}.route(f)
}
