package gateway

import (
	"bytes"
	"fmt"
	"html"

	"github.com/edgeset/edgeset/abi"
	"github.com/valyala/fasthttp"
)

// wantsPage tells whether a person looks at the answer: the client asks for HTML
// first, as browsers do that go somewhere or send a form.
func (x *exchange) wantsPage() bool {
	accept := bytes.TrimLeft(x.ctx.Request.Header.Peek("Accept"), " ")
	return bytes.HasPrefix(accept, []byte("text/html")) || bytes.HasPrefix(accept, []byte("application/xhtml+xml"))
}

// refusePage answers with an error as a page: what is wrong at the top, and the
// way to the family's documentation.
func (x *exchange) refusePage(f *family, e *abi.Error) {
	resp := &x.ctx.Response
	x.out = fmt.Appendf(x.out[:0], `<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>%[1]d %[2]s</title>
<h1>%[1]d %[2]s</h1>
<p>%[3]s</p>
<p><code>%[4]s</code>. What this call takes stands in the <a href="%[5]s">documentation</a>. Request %[6]s.</p>
</html>
`, e.Status, html.EscapeString(fasthttp.StatusMessage(e.Status)), html.EscapeString(e.Message), html.EscapeString(e.Code),
		html.EscapeString(f.Docs), html.EscapeString(unsafeString(x.id)))
	x.challenge(e.Status)
	resp.Header.Set("Content-Security-Policy", "default-src 'none'")
	resp.Header.SetContentType("text/html; charset=utf-8")
	resp.SetBody(x.out)
	resp.SetStatusCode(e.Status)
}
