package main

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestPlaceholdersAreFilled(t *testing.T) {
	l := &letter{sender: "Ann <b>", message: "a\n{link} & co", link: "https://x.example/A", until: "for 1 hour", service: "edgeset"}
	for template, want := range map[string]string{
		"":                                   "",
		"{sender} {until} {service}":         "Ann <b> for 1 hour edgeset",
		"{nobody} {} {sender {Sender} { } {": "{nobody} {} {sender {Sender} { } {",
		"{{sender}}":                         "{Ann <b>}",
		"{message}":                          "a\n{link} & co",
		"Hello {recipient},\n\n{link}":       "https://x.example/A",
		"a\n\n“{recipient}”\n\nb":            "a\n\nb",
		"a\n\n{recipient}\n{recipient}\n\nb": "a\n\nb",
		"a\n\n\nb":                           "a\n\n\nb",
		"a\r\n{recipient}\r\nb\r\n":          "a\nb",
	} {
		if got := l.fill(template, plain); got != want {
			t.Errorf("%q: got %q, want %q", template, got, want)
		}
	}
	if got := l.fill(`<a href="{link}">{sender}</a>{message}`, escapeHTML); got != `<a href="https://x.example/A">Ann &lt;b&gt;</a>a<br>`+"\n"+`{link} &amp; co` {
		t.Error(got)
	}
}

func TestEveryLanguageSaysTheSame(t *testing.T) {
	l := &letter{sender: "Ann", recipient: "Bo", message: "Hi", link: "https://x.example/A", until: "until", service: "edgeset"}
	placeholder := regexp.MustCompile(`\{[a-z]+\}`)
	for _, tag := range []string{"en", "de", "fr", "es", "it"} {
		p := spoken(tag)
		for _, part := range []string{partSubject, partText, partHTML, partSMS, partClient} {
			template := p.template(part)
			filled := l.fill(template, escapeHTML)
			if placeholder.MatchString(filled) || !utf8.ValidString(filled) {
				t.Errorf("%s %s: %s", tag, part, filled)
			}
			of := func(name string) bool { return strings.Contains(template, "{"+name+"}") }
			if got, want := of("link"), part != partSubject; got != want {
				t.Errorf("%s %s: link %v", tag, part, got)
			}
			long := part == partText || part == partHTML
			if of("sender") != (part != partClient) || of("message") != (long || part == partSMS) || of("recipient") != long || of("until") != long || of("service") != long {
				t.Errorf("%s %s: %s", tag, part, template)
			}
		}
	}
}

func TestTheTimeLeftIsSaidInWords(t *testing.T) {
	for _, c := range []struct {
		tag  string
		left int64
		want string
	}{
		{"en", 0, ""}, {"en", -5, ""}, {"en", 1, "for 1 minute"}, {"en", 15 * minute, "for 15 minutes"}, {"en", hour - 5*second, "for 1 hour"},
		{"en", 4*hour - 50*second, "for 4 hours"}, {"en", 90*minute + second, "for 1 hour 30 minutes"}, {"en", 49 * hour, "for 2 days 1 hour"}, {"en", 7 * day, "for 7 days"},
		{"de-AT", day, "für 24 Stunden"}, {"de", 3 * day, "für 3 Tage"}, {"fr", 65 * minute, "pendant 1 heure 5 minutes"}, {"es", 2 * hour, "durante 2 horas"}, {"it", 130 * minute, "2 h 10 min"},
	} {
		if got := spoken(c.tag).last(c.left); got != c.want {
			t.Errorf("%s %d: got %q, want %q", c.tag, c.left, got, c.want)
		}
	}
}

func TestLanguageTags(t *testing.T) {
	for s, want := range map[string]string{
		"de": "de", "DE_at": "de-AT", "zh-hant-tw": "zh-Hant-TW", "es-419": "es-419",
		"": "", "d": "", "de-": "", "-de": "", "12": "", "de at": "", "de\n": "", "../de": "", "dé": "", "de-abcdefghi": "", strings.Repeat("ab-", 12) + "ab": "",
	} {
		if got, ok := languageTag(s); got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", s, got, ok)
		}
	}
	for header, want := range map[string]string{
		"": "", "*": "", "de": "de", "de-AT,de;q=0.9,en;q=0.8": "de-AT de en", "en;q=0.2, fr; q=0.7,es": "es fr en", "fr;q=0,en": "en", "fr;q=x,en;q=NaN": "", ";;,,=,de": "de",
	} {
		if got := strings.Join(accepted(header), " "); got != want {
			t.Errorf("%q: got %q, want %q", header, got, want)
		}
	}
	if n := len(accepted(strings.Repeat("de,", 1000))); n != maxAccepted {
		t.Errorf("%d languages are looked at", n)
	}
}

// mailed makes an invite that is mailed, and returns what was dispatched.
func (d *desk) mailed(query, accept string) *abi.Dispatch {
	d.t.Helper()
	n := len(d.Host.Outbox)
	r := d.ok(d.Do(guesttest.Request{
		Method: "POST", Path: "/v2/tickets/" + d.ticket() + "/create_invite?type=email&send=server&address=bo@example.com&" + query, Headers: map[string]string{"Accept-Language": accept},
	}))
	if len(d.Host.Outbox) != n+1 {
		d.t.Fatalf("nothing is dispatched: %s", r)
	}
	return d.Host.Outbox[n]
}

func TestAnInviteIsInTheLanguageThatIsWanted(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct{ locale, accept, setting, want, begins string }{
		{"", "", "", "en", "Someone is sharing"}, {"de", "fr", "es", "de", "Jemand teilt"}, {"de-AT", "", "", "de-AT", "Jemand teilt"},
		{"", "it,fr-CH;q=0.5", "", "fr-CH", "Quelqu’un partage"}, {"", "it", "es", "es", "Alguien comparte"}, {"it", "de", "fr", "fr", "Quelqu’un partage"},
		{"it", "de", "nonsense!", "en", "Someone is sharing"},
	} {
		d.Host.Settings["locale"] = c.setting
		query := ""
		if c.locale != "" {
			query = "locale=" + c.locale
		}
		if o := d.mailed(query, c.accept); o.Locale != c.want || !strings.HasPrefix(o.Subject, c.begins) || !strings.HasPrefix(o.Text, c.begins) || !strings.Contains(o.HTML, c.begins) {
			t.Errorf("%+v: %+v", c, o)
		}
	}
	d.refused(d.inviteBy(d.ticket(), "type=link&locale=d%21"), 400, "bad_parameter", "locale")
}

func TestTheOperatorsTemplatesComeFirst(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings = map[string]string{
		"service_name": "Waylink", "invite_subject": "{service}: news\nof {sender}", "invite_subject.de": "Von {sender}", "invite_text.it": "{sender} {until}", "invite_html.de-AT": "<i>{link}</i>",
	}
	o := d.mailed("locale=fr", "")
	if o.Subject != "Waylink: news of Quelqu’un" || !strings.Contains(o.Text, "Ouvrez le lien") || o.Sender != "Waylink" {
		t.Errorf("%+v", o)
	}
	if o = d.mailed("locale=de-AT", ""); o.Subject != "Von Jemand" || o.HTML != "<i>http://edge.test/"+o.Key+"</i>" || !strings.Contains(o.Text, "Du brauchst kein Konto") {
		t.Errorf("%+v", o)
	}
	if o = d.mailed("locale=de-CH", ""); o.Subject != "Von Jemand" || !strings.Contains(o.HTML, "Du brauchst kein Konto") {
		t.Errorf("%+v", o)
	}
	// There are no Italian words but the operator's; and the link is never left out.
	if o = d.mailed("", "it-IT"); o.Locale != "it-IT" || o.Text != "Waylink 1 h http://edge.test/"+o.Key || o.Subject != "Waylink: news of Waylink" {
		t.Errorf("%+v", o)
	}
	// A subject that would be empty is the one that is built in.
	d.Host.Settings["invite_subject"] = "{recipient}"
	if o = d.mailed("locale=en", ""); o.Subject != "Someone is sharing their location with you" {
		t.Errorf("%+v", o)
	}
}

func TestTheTextThatAClientSends(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	d.property(id, "name", "Ann")
	code := d.ok(d.inviteBy(id, "type=sms&address=1&locale=es")).Text("response.id")
	link := "http://edge.test/" + code
	text := func() string {
		d.t.Helper()
		return d.ok(d.get("tickets/" + id + "/invites")).Text("response.items.0.text")
	}
	if got := text(); got != "Sígueme en un mapa: "+link {
		t.Error(got)
	}
	d.Host.Settings["invite_client.es"] = "Soy {sender}, {link}"
	if got := text(); got != "Soy Ann, "+link {
		t.Error(got)
	}
	for given, want := range map[string]string{"Mira": "Mira " + link, "Mira " + link + "!": "Mira " + link + "!"} {
		d.ok(d.post("invites/"+code+"/update?text="+url.QueryEscape(given), ""))
		if got := text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzInvites has sharers say anything: the outbox takes it, it says the link, and what
// was typed is text wherever it comes to stand.
func FuzzInvites(f *testing.F) {
	f.Add("Ann", "Bo", "Hi", "de")
	f.Add(`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, "</p><a href='javascript:x'>{link}</a>", "en")
	f.Add("{link}{sender}", "\r\nBcc: all@example.com", "\u202eabc\u2028\x00\x1b[31m", "fr")
	f.Add(strings.Repeat("ü", 400), strings.Repeat("𝔘", 150), strings.Repeat("&\n", 512), "es")
	f.Add("\xff\xfe", "\ufffd", " \u00a0\t", "it")
	tag := regexp.MustCompile(`<[^>]*>`)
	f.Fuzz(func(t *testing.T, sender, recipient, message, locale string) {
		if utf8.RuneCountInString(recipient) > maxRecipient || utf8.RuneCountInString(message) > maxText || len(sender) > maxValue/8 {
			return
		}
		if _, ok := languageTag(locale); !ok {
			locale = ""
		}
		d := newDesk(t)
		id := d.ticket()
		d.property(id, "name", sender)
		query := url.Values{"type": {"email"}, "send": {"server"}, "address": {"bo@example.com"}, "name": {recipient}, "text": {message}, "locale": {locale}}
		r := d.ok(d.inviteBy(id, query.Encode()))
		if r.Text("response.status") != "queued" || len(d.Host.Outbox) != 1 {
			t.Fatal(r)
		}
		o := d.Host.Outbox[0]
		link := "http://edge.test/" + o.Key
		if !strings.Contains(o.Text, link) || !strings.Contains(o.HTML, `href="`+link+`"`) {
			t.Fatalf("no link: %q %q", o.Text, o.HTML)
		}
		if strings.ContainsAny(o.Subject+o.Sender, "\r\n") || strings.ContainsAny(o.Text+o.HTML, "\x00\r\x1b\u202e\u2028") {
			t.Fatalf("%q %q %q", o.Subject, o.Sender, o.Text)
		}
		// The elements are those of the template, with ends of lines for those of the
		// message and without the paragraphs of what was left out.
		known := map[string]bool{"<br>": true, `<a href="` + link + `" style="display:inline-block;padding:12px 24px;border-radius:8px;background-color:#1a66d6;color:#ffffff;font-weight:600;text-decoration:none">`: true}
		for _, of := range tag.FindAllString(spoken(o.Locale).html(), -1) {
			known[of] = true
		}
		for _, got := range tag.FindAllString(o.HTML, -1) {
			if !known[got] {
				t.Fatalf("%q in %s", got, o.HTML)
			}
		}
	})
}
