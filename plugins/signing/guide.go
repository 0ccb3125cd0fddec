package main

import "github.com/edgeset/edgeset/abi/guest"

// guide answers GET /1.0/signing, where the errors of the family point to.
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
<title>Authenticating requests to /1.0</title>
<style>
body{font:1em/1.5 sans-serif;max-width:46em;margin:2em auto;padding:0 1em}
code,pre{font-family:monospace;background:#f3f3f3}
pre{padding:.7em;overflow-x:auto}
table{border-collapse:collapse}
td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left;vertical-align:top}
</style>
</head>
<body>
<h1>Authenticating requests to /1.0</h1>
<p>Requests that change data need to be authenticated, in one of these ways:</p>
<ul>
<li>by a <a href="#openid">session</a>: a person logs in with an OpenID, and the browser sends a cookie from then on;</li>
<li>by a <a href="#signing">signature</a>: an application signs each request with its key;</li>
<li>by an access token: <code>Authorization: Bearer &lt;token&gt;</code>.</li>
</ul>
<p><code>GET /1.0/signing/whoami</code>, or <code>POST</code>, answers whom the server takes you for.</p>

<h2 id="openid">Login and logout with OpenID</h2>
<p>To log in, have the browser open <code>/1.0/login/&lt;OpenID&gt;</code>, for example
<code>/1.0/login/bobsmith.example.org</code>. The provider must tell the full name, the nickname and the email address.
<code>/1.0/logout</code> ends the session, and <code>GET /1.0/session</code> shows it.</p>

<h2 id="key">Getting an API key</h2>
<p>Somebody who is logged in asks for one with <code>POST /1.0/apps</code> (<code>name</code>). It has a public id and a
secret, which is shown once, and is good when it has been approved. After
<code>POST /1.0/apps/&lt;id&gt;/rotate</code> the secret from before stays good for some time.</p>

<h2 id="signing">Signing with MD5</h2>
<ol>
<li>Add the parameters <code>identity</code>, your public id, and <code>timestamp</code>, the time in milliseconds since 1970.</li>
<li>Sort the parameters by their names, byte by byte. A name that is there several times keeps its values in their order, those
of the query before those of the body.</li>
<li>Put the values together, nothing between them, and your secret behind them. Values are taken as they are, not as they are
escaped, in UTF-8. Empty values add nothing. Files add nothing: neither their names nor what is in them.</li>
<li>Make the MD5 of that, in hexadecimal digits.</li>
<li>Add it as the parameter <code>hash</code>, which is not signed itself.</li>
</ol>
<pre>city=oklahoma city  identity=myid  timestamp=1246406400000  udid=1234
hash = md5("oklahoma citymyid12464064000001234" + secret)</pre>
<p>The parameters are those of the query and of a form in the body, urlencoded or multipart. A request whose body is something
else cannot be signed like this.</p>
<p>Two spellings of each of these are taken:</p>
<ul>
<li>the signature is in <code>hash</code> or in <code>authtoken</code>; if it is in both, they must be equal;</li>
<li><code>timestamp</code> is in milliseconds or in seconds, as its size tells.</li>
</ul>
<p>A parameter <code>referrer</code> may be signed or left out; all others are signed, a submit button with a name too.
In PHP, minutes are <code>i</code> in the format of <code>date</code>: <code>m</code> is the month, and gives a time that is off.</p>
<p>MD5 signatures are for clients that have them. New ones should sign as follows.</p>

<h2 id="messages">Signing with RFC 9421</h2>
<p>HTTP Message Signatures, with <code>keyid</code> your public id, and <code>alg</code> one of</p>
<ul>
<li><code>hmac-sha256</code>: the key is the characters of your secret;</li>
<li><code>ed25519</code>: the key pair whose public half you have registered with the application.</li>
</ul>
<p>Without <code>alg</code>, an application that has registered a key signs with it, unless the signature has the 32 bytes of an
HMAC. <code>created</code> is needed. <code>expires</code> is heeded, and a <code>nonce</code> lets you sign two equal requests in one
second. A signature must cover:</p>
<ul>
<li><code>@method</code>;</li>
<li><code>@target-uri</code>, or <code>@authority</code> with <code>@path</code> and, if there is a query, <code>@query</code>;</li>
<li><code>content-digest</code> (RFC 9530, with sha-256 or sha-512), if there is a body.</li>
</ul>
<pre>Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
Signature-Input: sig1=("@method" "@target-uri" "content-digest");created=1618884473;keyid="myid";alg="hmac-sha256"
Signature: sig1=:…:</pre>
<p>It may also cover <code>@scheme</code>, <code>@request-target</code>, <code>@query-param</code> and header fields, these with
<code>bs</code> or <code>key</code>.</p>

<h2 id="time">Time and replay</h2>
<p>The time of a signature may be ten minutes off the server's, before or after, unless the server is set differently; a refusal
tells the server's time. A signature is good once: the second request with it is refused. Two equal requests at the same
time, by the unit of the timestamp, have the same signature; what is to be sent twice needs another time, or a nonce.</p>

<h2 id="verify">When a request is refused</h2>
<p>Send it to <code>POST /1.0/signing/verify</code>, with an access token or the session of the account that owns the application.
The answer tells step by step what the server sees: the parameters in their order, what is signed, the times; and what mistake
explains the signature. It does not use the signature up. A signature by RFC 9421 must be made for that URL.</p>

<h2 id="codes">Codes</h2>
<p>Errors are <code>{"error":{"status":401,"code":"stale","message":"…"}}</code>. Those of signatures:</p>
<table>
<tr><th>Status</th><th>Code</th><th>Meaning</th></tr>
<tr><td>401</td><td>unknown_key</td><td><code>identity</code> or <code>keyid</code> is missing, or is that of no application; or it has no key for the scheme</td></tr>
<tr><td>401</td><td>key_revoked</td><td>the application was revoked</td></tr>
<tr><td>401</td><td>key_pending</td><td>the application was not approved yet</td></tr>
<tr><td>403</td><td>scheme_denied, family_denied, origin_denied</td><td>the application may not be used in this way, for this API, or from this web origin</td></tr>
<tr><td>401</td><td>bad_timestamp</td><td>the time is missing, or is no number</td></tr>
<tr><td>401</td><td>stale</td><td>the time is too far from the server's, or the signature has expired</td></tr>
<tr><td>401</td><td>body_not_covered</td><td>an MD5 signature of a request whose body is no form</td></tr>
<tr><td>401</td><td>bad_signature_input</td><td>the headers of RFC 9421 cannot be read</td></tr>
<tr><td>401</td><td>component_missing</td><td>what must be covered is not, or what is covered is not in the request</td></tr>
<tr><td>401</td><td>unsupported_component</td><td>what is covered is not supported here</td></tr>
<tr><td>401</td><td>digest_mismatch</td><td>Content-Digest is not that of the body</td></tr>
<tr><td>401</td><td>bad_signature</td><td>the signature is wrong</td></tr>
<tr><td>401</td><td>replayed</td><td>the signature was used before</td></tr>
<tr><td>429</td><td></td><td>the application has made too many requests; <code>Retry-After</code> tells when to go on</td></tr>
</table>
</body>
</html>
`
