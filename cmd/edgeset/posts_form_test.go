//go:build unix

package main_test

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const postsDir = "testdata/posts"

// A real browser submits the form of the document, with the document's script, and
// is back on the page that it is on. Then a page of another origin tries to post with
// somebody's session.
func TestPostsFormInABrowser(t *testing.T) {
	t.Parallel()
	program := needChromium(t)
	needPackage(t, postsDir, "blueimp-md5")
	op := newOpenIDProvider(t)
	s := newPostsServer(t, "", op)
	a, bob := s.newSigner(""), s.newMember(op, "bob")

	said := make(chan []any, 16)
	page := httptest.NewServer(formHandler(t, map[string]string{
		"API": "http://" + s.listen, "Identity": a.id, "Secret": a.secret, "Session": strings.TrimPrefix(bob.cookie, "edgeset_session="),
	}, said))
	t.Cleanup(page.Close)
	browse(t, program, page.URL+"/")
	hear := func(want string) {
		t.Helper()
		select {
		case line := <-said:
			if got := fmt.Sprintf("%v", line); got != "["+want+"]" {
				s.fatalf("the page tells %s\nwant %s", got, want)
			}
		case <-time.After(callTime):
			s.fatalf("the page tells nothing, want %s", want)
		}
	}
	description := `From a browser: é 東京 & "more"`
	// Once with what browsers tell another origin of a page by default, which is where
	// it is from, and once with the whole of its address.
	hear("back " + page.URL + "/ 1 " + description + " 160 80 200 100 200 100")
	hear("back " + page.URL + "/second?a=b&c=%20d 2 " + description + " 160 80 200 100 200 100")
	hear("stolen")
	c := s.client()
	r := c.shown("/1.0/posts.json")
	wants(t, r, map[string]string{"total": "2", "posts.0.description": description, "posts.0.city": "oklahoma city"})
	m := servedPhoto(t, c.shown(r.text("posts.0.large")))
	if !isRed(m, 2, 4) || !isBlue(m, 6, 4) {
		t.Error("the picture is not the one that was chosen")
	}
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(regexp.MustCompile(`msg=request .*status=403 .*route=/1.0/posts `).FindAll(log, -1)); n != 1 {
		s.errorf("%d posts were refused with 403, want the stolen one", n)
	}
	// The session itself would do.
	if made := bob.posts("description", "mine"); made.text("author") != "bob-nick" {
		t.Error(made)
	}
}

// formHandler serves the page with the form, and takes what it tells.
func formHandler(t *testing.T, values map[string]string, said chan<- []any) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /said", hears(said))
	mux.HandleFunc("GET /md5.js", func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, filepath.Join(postsDir, "node_modules", "blueimp-md5", "js", "md5.js"))
	})
	// The values are text of the page as it stands: addresses and keys.
	page, err := os.ReadFile(filepath.Join(postsDir, "form.html"))
	if err != nil {
		t.Fatal(err)
	}
	form := template.Must(template.New("form").Parse(string(page)))
	mux.HandleFunc("GET /{path...}", func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/", "/second", "/third":
		default:
			http.NotFound(w, r)
			return
		}
		if r.URL.Path == "/second" {
			w.Header().Set("Referrer-Policy", "no-referrer-when-downgrade")
		}
		if err := form.Execute(w, values); err != nil {
			t.Error(err)
		}
	})
	return mux
}
