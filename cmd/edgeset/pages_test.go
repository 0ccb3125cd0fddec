//go:build unix

package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/mail"
	"os"
	"os/exec"
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

// play runs a scenario in a browser.
func play(t *testing.T, scenario string) {
	t.Helper()
	program := needChromium(t)
	needPackage(t, pagesDir, "puppeteer-core")
	needBuiltPages(t)
	st := &stage{t: t, mail: outboxtest.StartMail(t, outboxtest.MailOptions{})}
	st.s = newServer(t, "", "--smtp-url", st.mail.URL(), "--mail-from", "edgeset@example.org")

	options, err := json.Marshal(map[string]string{
		"program": program, "base": "http://" + st.s.listen, "key": st.s.newApp(),
		"folder": t.TempDir(), "shots": os.Getenv("EDGESET_SCREENSHOTS"),
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
	play(t, "follow.mjs")
}

func TestADeviceSharesWhereItIs(t *testing.T) {
	t.Parallel()
	play(t, "device.mjs")
}

func TestWhatASharerTypesRunsNowhere(t *testing.T) {
	t.Parallel()
	play(t, "attack.mjs")
}
