//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

const pagesDir = "testdata/pages"

// A stage is what a scenario in testdata/pages plays on: a server, a mail server, and
// what only the test can do for it.
type stage struct {
	t    *testing.T
	s    *server
	mail *outboxtest.MailServer
}

// A cue is a line that a scenario prints: something that it asks for, or a figure.
type cue struct {
	Ask   string
	To    string // whose mail
	Name  string
	Value any
}

// play runs a scenario in a browser: of a server with a manifest, "" for what make run
// serves, whose pages stand below a path. What they look like is in build/screenshots then.
func play(t *testing.T, scenario, manifest, below string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser has much to do, and shows no more of the server than the other tests")
	}
	program := needChromium(t)
	needPackage(t, pagesDir, "puppeteer-core")
	needBuiltPages(t)
	st := &stage{t: t, mail: outboxtest.StartMail(t, outboxtest.MailOptions{})}
	st.s = newServer(t, manifest, "--smtp-url", st.mail.URL(), "--mail-from", "edgeset@example.org")

	shots, err := filepath.Abs("../../build/screenshots")
	if err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(map[string]string{
		"program": program, "base": "http://" + st.s.listen + below, "key": st.s.newApp(), "folder": t.TempDir(), "shots": shots,
	})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", scenario, string(options))
	var complaints bytes.Buffer
	cmd.Dir, cmd.Stderr = pagesDir, &complaints
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	st.follow(bufio.NewScanner(out), in)
	if err := cmd.Wait(); err != nil {
		st.s.fatalf("%s: %v\n%s", scenario, err, complaints.Bytes())
	}
}

// needBuiltPages ends a test if nobody has built the pages.
func needBuiltPages(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("../../plugins/sharing/pages/dist/view.html"); err == nil {
		return
	}
	const why = "this test needs the pages that node build.mjs makes in plugins/sharing/pages"
	if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// follow does what a scenario asks for, until its end.
func (st *stage) follow(lines *bufio.Scanner, answers io.Writer) {
	st.t.Helper()
	for lines.Scan() {
		var c cue
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			st.t.Fatalf("%v, in %s", err, lines.Bytes())
		}
		var answer any
		switch c.Ask {
		case "":
			st.t.Logf("%s: %v", c.Name, c.Value)
			continue
		case "stop":
			st.s.stop()
		case "start":
			st.s.start()
		case "mail":
			answer = st.letter(c.To)
		default:
			st.t.Fatalf("a scenario asks for %q", c.Ask)
		}
		// One that has ended cannot read; its exit status tells more.
		_ = json.NewEncoder(answers).Encode(answer)
	}
	if err := lines.Err(); err != nil {
		st.t.Fatal(err)
	}
}

var link = regexp.MustCompile(`https?://\S+`)

// letter tells of the mail that somebody was sent.
func (st *stage) letter(to string) map[string]string {
	st.t.Helper()
	letter, err := st.mail.WaitMail(to).Read()
	if err != nil {
		st.t.Fatal(err)
	}
	from, err := mail.ParseAddress(letter.Header.Get("From"))
	if err != nil {
		st.t.Fatal(err)
	}
	return map[string]string{
		"link": link.FindString(letter.Text), "sender": from.Name, "subject": letter.Subject(),
		"language": letter.Header.Get("Content-Language"),
	}
}

func TestSomebodyInvitedByMailFollowsOnTheMap(t *testing.T) {
	t.Parallel()
	play(t, "follow.mjs", "", "")
}

func TestWhatASharerTypesRunsNowhere(t *testing.T) {
	t.Parallel()
	play(t, "attack.mjs", "", "")
}

// The pages stand below a path here, and have tiles from elsewhere.
func TestADeviceSharesWhereItIs(t *testing.T) {
	t.Parallel()
	tiles := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "image/png")
		if err := png.Encode(w, image.NewGray(image.Rect(0, 0, 256, 256))); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(tiles.Close)
	play(t, "device.mjs", fmt.Sprintf(mountedPages, tiles.URL), "/eu")
}

const mountedPages = `
[[deployment]]
name = "default"
hosts = ["*"]

[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
mount = "/eu"
grants = ["kv", "passwords"]

[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
mount = "/eu"
grants = ["kv", "events"]
[deployment.plugin.config]
service_name = "Where is <i>Ann</i>?"
tiles_url = "%s/{z}/{x}/{y}.png"
tiles_attribution = "Tiles of <b>a test</b>"
`
