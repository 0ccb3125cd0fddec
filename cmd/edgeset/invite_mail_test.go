package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	netmail "net/mail"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/outbox/outboxtest"
)

// deliveryTime bounds how long an invite may be on its way, retries included.
const deliveryTime = time.Minute

// waitStatus polls as the sharer's device does, until an invite has left the outbox, and
// returns it.
func (c *client) waitStatus(code string) map[string]any {
	c.t.Helper()
	since := "0"
	for end := time.Now().Add(deliveryTime); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r := c.get("/v2/users/self/invites", "since", since)
		since = r.text("response.last_refresh")
		for _, item := range r.items("response.items") {
			if invite := item.(map[string]any); invite["id"] == code && invite["status"] != "queued" {
				return invite
			}
		}
	}
	c.fatalf("the invite %s is queued after %v", code, deliveryTime)
	return nil
}

func TestAnInviteArrivesByMailAndItsLinkOpens(t *testing.T) {
	t.Parallel()
	mails := outboxtest.StartMail(t, outboxtest.MailOptions{})
	s := siteOf(t, "", "--smtp-url", mails.URL(), "--mail-from", "no-reply@edge.example")
	ann := s.client().newUser(s.newApp())
	ticket := ann.newTicket()
	path := "/v2/tickets/" + ticket
	ann.upload(path+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Änne <b>O'Hara</b>"}]`, time.Now().UnixMilli()))
	ann.upload(path+"/append_location", fmt.Sprintf("[[%d,48208000,16373000]]", time.Now().UnixMilli()))
	create := func(to string) reply {
		return ann.post(path+"/create_invite", "type", "email", "send", "server", "address", to, "name", "Bo", "text", "Bin gleich da.\n<i>Bis dann</i>", "locale", "de")
	}
	made := create("bo@example.com")
	code, link := made.text("response.id"), made.text("response.url")
	if made.text("response.status") != "queued" || made.text("response.locale") != "de" {
		t.Fatalf("%v\nwant it to be queued", made)
	}

	letter, err := mails.WaitMail("bo@example.com").Read()
	if err != nil {
		t.Fatal(err)
	}
	from, err := netmail.ParseAddress(letter.Header.Get("From"))
	if err != nil || from.Name != "Änne <b>O'Hara</b> via edgeset" || from.Address != "no-reply@edge.example" {
		t.Errorf("from %v, %v", from, err)
	}
	if got := letter.Subject(); got != "Änne <b>O'Hara</b> teilt den eigenen Standort mit dir" {
		t.Errorf("subject %q", got)
	}
	for _, want := range []string{"Hallo Bo,", "für 4 Stunden", "\n" + link + "\n", "„Bin gleich da.\n<i>Bis dann</i>“"} {
		if !strings.Contains(letter.Text, want) {
			t.Errorf("want %q in the text\n%s", want, letter.Text)
		}
	}
	for _, want := range []string{`<html lang="de">`, `href="` + link + `"`, "Änne &lt;b&gt;", "&lt;i&gt;Bis dann&lt;/i&gt;"} {
		if !strings.Contains(letter.HTML, want) {
			t.Errorf("want %q in the HTML\n%s", want, letter.HTML)
		}
	}

	// Whoever has the mail, and nothing else, sees the sharer.
	found := regexp.MustCompile(`http://\S+/[2-9A-Z]{4}-[2-9A-Z]{4}`).FindString(letter.Text)
	stranger := s.client()
	opened := stranger.get("/v2/invites/"+found[strings.LastIndexByte(found, '/')+1:], "uncompressed", "true")
	if opened.text("response.location.0.1") != "48208000" {
		t.Errorf("%v\nwant the location", opened)
	}
	if _, err := os.Stat("../../plugins/sharing/pages/dist/view.html"); err == nil {
		page := stranger.do("GET", strings.TrimPrefix(found, "http://"+s.listen), nil)
		if page.status != 200 || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") || !bytes.Contains(page.raw, []byte(code)) {
			t.Errorf("%v\nwant the page of the invite", page)
		}
	} else {
		t.Log("the pages are not built: the link's own page is not looked at")
	}

	invite := ann.waitStatus(code)
	if invite["status"] != "sent" || invite["status_detail"] != nil {
		t.Errorf("%v\nwant it to be sent", invite)
	}
	refused := ann.waitStatus(create("refused@example.com").text("response.id"))
	if detail, _ := refused["status_detail"].(string); refused["status"] != "failed" || !strings.Contains(detail, "no such user") {
		t.Errorf("%v\nwant what the mail server says", refused)
	}
	if n := len(mails.Mails()); n != 1 {
		t.Errorf("%d mails have arrived, want 1", n)
	}
}

// Who says nothing else of a ticket is named in the mail as the account is.
func TestAMailNamesTheAccountOfItsSharer(t *testing.T) {
	t.Parallel()
	mails := outboxtest.StartMail(t, outboxtest.MailOptions{})
	s := siteOf(t, "", "--smtp-url", mails.URL(), "--mail-from", "no-reply@edge.example")
	ann := s.client().newUser(s.newApp())
	for to, c := range map[string]struct{ name, says string }{
		"bo@example.com": {"", "Someone"}, "cy@example.com": {"Ann O'Hara", "Ann O'Hara"}, "dee@example.com": {"Änne", "Änne"},
	} {
		ann.post("/v2/users/self/update", "name", c.name)
		ann.post("/v2/tickets/"+ann.newTicket()+"/create_invite", "type", "email", "send", "server", "address", to, "locale", "en")
		letter, err := mails.WaitMail(to).Read()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := letter.Subject(), c.says+" is sharing their location with you"; got != want {
			t.Errorf("subject %q, want %q", got, want)
		}
	}
}

func TestWithoutAMailServerInvitesSayThatNothingIsSent(t *testing.T) {
	t.Parallel()
	s := siteOf(t, "")
	ann := s.client().newUser(s.newApp())
	for kind, address := range map[string]string{"email": "bo@example.com", "sms": "+12065550100"} {
		r := ann.post("/v2/tickets/"+ann.newTicket()+"/create_invite", "type", kind, "send", "server", "address", address)
		if r.text("response.status") != "failed" || !strings.Contains(r.text("response.status_detail"), "this server delivers no ") {
			t.Errorf("%v", r)
		}
	}
}

func TestATextMessageIsAWebhookCall(t *testing.T) {
	t.Parallel()
	hook := outboxtest.StartWebhook(t, func(c outboxtest.Call, w http.ResponseWriter) {
		if c.Body.To == "+12065550199" {
			http.Error(w, "no such number", http.StatusGone)
		}
	})
	s := newSite(t)
	s.setOutboxSecret("sms-key", hook.Secret)
	s.ok("deploy", s.file("eu.toml", fmt.Appendf(nil, `
[[deployment]]
name = "eu"
hosts = ["eu.test"]
base_url = "https://eu.test"
[[deployment.webhook]]
name = "sms"
url = %q
secret = "sms-key"
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv", "events", "webhook:sms"]
config = { "invite_sms.fr" = "{sender} : {link} {until}" }
`, hook.URL)))
	visitor := s.client()
	visitor.host = "eu.test"
	ann := visitor.newUser(s.newApp("--deployment", "eu"))
	path := "/v2/tickets/" + ann.newTicket() + "/create_invite"
	create := func(to string) string {
		r := ann.post(path, "type", "sms", "send", "server", "address", to, "locale", "fr-CA")
		if r.text("response.status") != "queued" {
			t.Fatalf("%v\nwant it to be queued", r)
		}
		return r.text("response.id")
	}
	code := create("+1 (206) 555-0100")
	if invite := ann.waitStatus(code); invite["status"] != "sent" {
		t.Errorf("%v\nwant it to be sent", invite)
	}
	calls := hook.Calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls, want 1", len(calls))
	}
	var data map[string]string
	if err := json.Unmarshal(calls[0].Body.Data, &data); err != nil {
		t.Fatal(err)
	}
	link := "https://eu.test/" + code
	for field, want := range map[string]string{
		"type": "invite", "channel": "sms", "to": "+12065550100", "link": link, "text": "Quelqu’un : " + link + " pendant 4 heures", "code": code, "locale": "fr-CA",
	} {
		if data[field] != want {
			t.Errorf("%s: got %q, want %q", field, data[field], want)
		}
	}
	refused := ann.waitStatus(create("+12065550199"))
	if detail, _ := refused["status_detail"].(string); refused["status"] != "failed" || !strings.Contains(detail, "no such number") {
		t.Errorf("%v\nwant what the webhook says", refused)
	}
}

// setOutboxSecret sets a secret of the deployment "eu", for its outbox.
func (s *site) setOutboxSecret(name, value string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), edgeset(s.t), "secret", "set", "--outbox", name, "--deployment", "eu", "--admin", s.admin, "--data", s.data)
	cmd.Env, cmd.Stdin = environment(), strings.NewReader(value+"\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.fatalf("edgeset secret set: %v\n%s", err, out)
	}
}
