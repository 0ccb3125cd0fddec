package gateway

import (
	"net/url"
	"strings"
	"testing"
)

// Who can set the cookie of a session can have somebody go on in a session of his own.
func TestAPluginSetsNoCookieThatIsACredentialOfAnother(t *testing.T) {
	r := start(t, Config{})
	for _, cookie := range []string{"sid=mine", " sid =mine; Path=/", "sid", "sid=; Max-Age=0", "=sid=mine", " = =sid", "\tsid\x00=x"} {
		got := r.do("GET /t/headers?Set-Cookie="+url.QueryEscape(cookie)+"&set-cookie="+url.QueryEscape("theme=dark; Path=/"), "").wants(200)
		if list := got.header["Set-Cookie"]; len(list) != 1 || !strings.HasPrefix(list[0], "theme=dark") {
			t.Errorf("%q: %q", cookie, list)
		}
	}
	// Names have cases, and this one is no credential.
	if got := r.do("GET /t/headers?Set-Cookie=SID%3d1", ""); got.header.Get("Set-Cookie") == "" {
		t.Error("a cookie is kept back that is no credential")
	}
}
