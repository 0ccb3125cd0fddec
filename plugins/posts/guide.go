package main

import "github.com/edgeset/edgeset/abi/guest"

// guide answers GET /1.0/documentation, where the errors of the family point to.
func guide(w *guest.Response, r *guest.Request) error {
	w.Header("Cache-Control", "public, max-age=3600")
	w.Bytes("text/html; charset=utf-8", []byte(guidePage))
	return nil
}

const guidePage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Posts and comments: the API /1.0</title>
<style>
body{font:1em/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}
code,pre{font-family:monospace;background:#f3f3f3}
pre{padding:.7em;overflow-x:auto}
table{border-collapse:collapse}
td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}
</style>
</head>
<body>
<h1>Posts and comments: the API /1.0</h1>
<p>A post is a photo with what is said of it and where it was taken. People and applications post, and people comment.
Anybody can read; whoever writes needs to be <a href="#who">authenticated</a>.</p>

<h2 id="formats">Formats</h2>
<p>Calls that read want the format of their result behind a dot: <code>.rss</code>, <code>.atom</code>, <code>.json</code> or
<code>.plist</code>. Calls that write take none, and answer in JSON.</p>
<pre>GET /1.0/posts.rss
GET /1.0/posts.atom
GET /1.0/posts.json
GET /1.0/posts.plist</pre>
<p>The total of a list is <code>total</code> in JSON and property lists, and a category in feeds:
<code>&lt;category domain="total"&gt;123&lt;/category&gt;</code> in RSS, <code>&lt;category scheme="…/1.0/total" term="123"/&gt;</code>
in Atom. All answers have an <code>ETag</code>, and most have <code>Last-Modified</code>: ask with <code>If-None-Match</code> or
<code>If-Modified-Since</code>, and what has not changed is not sent again.</p>

<h2 id="calls">Calls</h2>
<table>
<tr><th>Call</th><th>Posts</th><th>Comments</th></tr>
<tr><td>list</td><td><code>GET /1.0/posts.FORMAT</code><br><code>GET /1.0/posts/index.FORMAT</code></td>
<td><code>GET /1.0/comments.FORMAT</code><br><code>GET /1.0/comments/index.FORMAT</code></td></tr>
<tr><td>show</td><td><code>GET /1.0/posts/ID.FORMAT</code><br><code>GET /1.0/posts/ID/show.FORMAT</code></td>
<td><code>GET /1.0/comments/ID.FORMAT</code><br><code>GET /1.0/comments/ID/show.FORMAT</code></td></tr>
<tr><td>create</td><td><code>POST /1.0/posts</code><br><code>POST /1.0/posts/create</code></td>
<td><code>POST /1.0/comments</code><br><code>POST /1.0/comments/create</code></td></tr>
<tr><td>update, flag</td><td><code>PUT /1.0/posts/ID</code><br><code>POST /1.0/posts/ID/update</code></td>
<td><code>PUT /1.0/comments/ID</code><br><code>POST /1.0/comments/ID/update</code></td></tr>
<tr><td>delete</td><td><code>DELETE /1.0/posts/ID</code><br><code>POST /1.0/posts/ID/delete</code></td>
<td><code>DELETE /1.0/comments/ID</code><br><code>POST /1.0/comments/ID/delete</code></td></tr>
</table>
<p>An ID is a whole number from 1. Parameters of calls that read stand in the query; those of calls that write in a form, or in
the query, too. White space around them is taken off.</p>

<h2 id="list">Listing posts</h2>
<p>Posts come newest first. All parameters may be left out, and an empty one is none. Posts are listed that match all of them.</p>
<table>
<tr><th>Parameter</th><th>Meaning</th></tr>
<tr><td>count</td><td>how many posts a page has: 20, at most 100</td></tr>
<tr><td>page</td><td>which page, from 1; behind the last one they are empty</td></tr>
<tr><td>sdate, edate</td><td>posts from that time on, or up to that time, both included: <code>YYYY-MM-DD HH:MM:SS</code>, in UTC;
<code>YYYY-MM-DDTHH:MM:SSZ</code> is taken, too, and <code>YYYY-MM-DD</code> for a whole day</td></tr>
<tr><td>city, state, zip</td><td>posts from there, as it was written, in capitals or not</td></tr>
<tr><td>latitude, longitude</td><td>posts from there, in degrees; both are needed, and city, state and zip do not count then</td></tr>
<tr><td>miles, km</td><td>up to which distance from there, one of them, such as <code>2.5</code>; without, it is 10 metres</td></tr>
<tr><td>search</td><td>posts whose description has all these words, in any order, in capitals or not. <code>traffic</code> finds
<code>#traffic</code>, too; <code>#traffic</code> (in a URL <code>%23traffic</code>) finds only the hashtag</td></tr>
<tr><td>tags</td><td>posts with any of these tags, separated by commas, at most 16</td></tr>
</table>
<p>The first page of posts with the hashtag “traffic” in Oklahoma City, ten on a page, in RSS; and the post with the ID 42:</p>
<pre>GET /1.0/posts.rss?count=10&amp;page=1&amp;city=Oklahoma+City&amp;search=%23traffic
GET /1.0/posts/42.rss</pre>

<h2 id="item">What is shown</h2>
<p>A list in JSON is <code>{"total", "page", "count", "posts": […]}</code>. A post has <code>id, created, modified, description,
latitude, longitude, address, city, state, zip, tags, author, image, thumbnail, medium, large, image_width,
image_height, url</code>; what it does not have is left out. Times are in UTC. <code>image</code> is the URL of the large picture,
which fits into 1600 × 1600; <code>medium</code> fits into 640 × 640 and <code>thumbnail</code> into 160 × 160. They are JPEGs
without anything that the camera wrote into the file. In a property list it is the same. <code>udid</code> and
<code>email</code> are never shown.</p>

<h2 id="create">Creating a post</h2>
<p>A multipart form with a file, and with these fields, in characters at most:</p>
<table>
<tr><th>Field</th><th>At most</th><th>Meaning</th></tr>
<tr><td>image</td><td></td><td>(required) the photo, a file: JPEG, PNG, GIF or WebP</td></tr>
<tr><td>udid</td><td>200</td><td>(required) who posts, by an id of your own; the same for all posts of one person</td></tr>
<tr><td>description</td><td>2,000</td><td>what is happening; words with a <code>#</code> before them are hashtags</td></tr>
<tr><td>latitude, longitude</td><td></td><td>where, in degrees: −90 to 90 and −180 to 180; both or none</td></tr>
<tr><td>address, city, state</td><td>200 each</td><td>where</td></tr>
<tr><td>zip</td><td>20</td><td>the postal code</td></tr>
<tr><td>email</td><td>254</td><td>of who posts</td></tr>
<tr><td>tags</td><td>16 of 50</td><td>separated by commas</td></tr>
<tr><td>referrer</td><td></td><td>see <a href="#referrer">below</a></td></tr>
</table>
<p>The answer is 201 with the post as JSON, and its URL in <code>Location</code>. A form for it, and the same by curl:</p>
<pre>&lt;form method="post" enctype="multipart/form-data" action="/1.0/posts/create"&gt;
&lt;input type="file" name="image"&gt;
&lt;input type="hidden" name="udid" value="1234"&gt;
&lt;input type="text" name="description"&gt;
&lt;input type="hidden" name="city" value="oklahoma city"&gt;
&lt;input type="hidden" name="referrer" value="yes"&gt;
&lt;input type="submit"&gt;
&lt;/form&gt;

curl -F image=@photo.jpg -F udid=1234 -F 'city=oklahoma city' -F identity=… -F timestamp=… -F hash=… …/1.0/posts</pre>

<h2 id="update">Editing, flagging and deleting</h2>
<p>An update changes the fields that are there, of <code>description, latitude, longitude, address, city, state, zip, email</code>,
and clears those that are there and empty. It answers with the post. A delete answers 204. Who posted can do both: the account,
or the application, if it signed the post for no account.</p>
<p>With <code>flag</code> (any value but <code>0</code>, <code>false</code>, <code>no</code> and <code>off</code>) an update flags
the post as inappropriate, and does nothing else. Anybody who is authenticated can do that. It counts once for each account, and
once for each <code>udid</code> of an application that signs for no account. What was flagged often enough is hidden until somebody
has looked at it.</p>
<pre>PUT /1.0/posts/10
POST /1.0/posts/10/update
DELETE /1.0/posts/10
POST /1.0/posts/10/delete</pre>

<h2 id="comments">Comments</h2>
<p>They are listed newest first, with <code>count</code> and <code>page</code>, of all posts or with <code>postId</code> of one. A
comment has <code>id, postId, created, modified, content, author, url</code>. Creating one takes <code>postId</code> and
<code>content</code>, of at most 5,000 characters; an update takes <code>content</code>, or <code>flag</code>. Its writer can edit and
delete it.</p>
<pre>GET /1.0/comments.json?postId=42
POST /1.0/comments/create</pre>

<h2 id="referrer">Back to the page</h2>
<p>With <code>referrer</code> (any value but <code>0</code>, <code>false</code>, <code>no</code> and <code>off</code>) a call that writes
answers, if it succeeds, with a redirect (303) to the page that the header <code>Referer</code> names, if it is there and is an
http or https URL.</p>

<h2 id="who">Who may write</h2>
<p>Posts are written by people who are logged in, and by applications that sign their requests or have an access token; comments
by people who are logged in with an OpenID. How to log in, get a key and sign is told at <a href="/1.0/signing">/1.0/signing</a>.</p>

<h2 id="errors">Errors</h2>
<p>An error has an HTTP status and is
<code>{"error":{"status":400,"code":"missing_parameter","message":"udid is missing.","documentation":"/1.0/documentation"}}</code>.
A request that is refused changes nothing.</p>
<table>
<tr><th>Status</th><th>Code</th><th>Meaning</th></tr>
<tr><td>400</td><td>format_missing, format_unknown</td><td>a call that reads wants one of the four formats</td></tr>
<tr><td>400</td><td>format_not_taken</td><td>a call that writes takes no format</td></tr>
<tr><td>400</td><td>missing_parameter</td><td>a parameter is required; the message names it</td></tr>
<tr><td>400</td><td>bad_parameter</td><td>a parameter is too long, or is not what it should be; the message says which and why</td></tr>
<tr><td>400</td><td>bad_request</td><td>the query or the form cannot be read</td></tr>
<tr><td>401</td><td>unauthenticated, and others</td><td>see <a href="/1.0/signing#codes">authenticating requests</a></td></tr>
<tr><td>403</td><td>not_yours</td><td>somebody else has posted it</td></tr>
<tr><td>404</td><td>not_found</td><td>there is none with this ID, or it is hidden</td></tr>
<tr><td>405</td><td>method_not_allowed</td><td>the path takes another method</td></tr>
<tr><td>413</td><td>image_too_large, too_large</td><td>the image has too many bytes or pixels; the body is too large</td></tr>
<tr><td>415</td><td>unsupported_image</td><td>the file is no JPEG, PNG, GIF or WebP</td></tr>
<tr><td>422</td><td>bad_image</td><td>the image is broken</td></tr>
<tr><td>429</td><td>rate_limited</td><td>the application has made too many requests; <code>Retry-After</code> tells when to go on</td></tr>
<tr><td>503</td><td>busy</td><td>try again soon</td></tr>
</table>
</body>
</html>
`
