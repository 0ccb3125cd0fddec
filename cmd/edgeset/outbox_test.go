package main_test

import (
	"slices"
	"strings"
	"testing"
)

func TestTheOutboxIsPrinted(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	page := `{"ways":[{"via":"mail","queued":1,"oldest":"2026-01-02T03:04:05Z","attempts":5,"retried":2,"sent":2,"failed":1},{"via":"webhook:sms"}],
"entries":[{"id":"abc2","plugin":"sharing","key":"ABC-DEF","via":"mail","to":"bob@example.org","subject":"Hi","state":"queued","attempts":2,
"reason":"451 later\u001b[2J","created":"2026-01-02T03:04:05Z","due":"2026-01-02T03:05:05Z"},
{"id":"def3","via":"webhook:sms","to":"+43 1","state":"sent","attempts":1,"created":"2026-01-02T03:04:04Z","ended":"2026-01-02T03:04:06Z","told":true}],"next":"xyz"}`
	a.on("GET /v1/deployments/default/outbox?limit=50", page)
	a.on("GET /v1/deployments/eu/outbox?after=xyz&limit=2&state=failed&to=bob%2Bx%40example.org&via=mail", `{"ways":[],"entries":[]}`)
	a.run("outbox", "list").wants(t, 0, `VIA          QUEUED  OLDEST               ATTEMPTS  RETRIES  SENT  FAILED
mail         1       2026-01-02 03:04:05  5         2        2     1
webhook:sms  0       -                    0         0        0     0

ID    AT                   STATE   VIA          TO               ATTEMPTS  NEXT                 REASON
abc2  2026-01-02 03:04:05  queued  mail         bob@example.org  2         2026-01-02 03:05:05  451 later\u001b[2J
def3  2026-01-02 03:04:04  sent    webhook:sms  +43 1            1         -                    -
`, "older ones: --after xyz\n")
	a.run("outbox", "list", "--deployment", "eu", "--state", "failed", "--via", "mail", "--to", "bob+x@example.org", "--after", "xyz", "--limit", "2").
		wants(t, 0, "ID  AT  STATE", "")
	a.run("outbox", "list", "--json").wants(t, 0, `"next": "xyz"`, "")
	a.run("outbox", "list", "abc2").wants(t, 2, "", `"abc2"`)
	a.run("outbox", "list", "--limit", "9").wants(t, 1, "", "404")
	a.run("outbox", "--help").wants(t, 0, "edgeset outbox discard", "")
	a.run("outbox").wants(t, 2, "", "edgeset outbox discard")
	a.run("outbox", "paint").wants(t, 2, "", `no command "paint"`)
}

func TestAnEntryOfTheOutboxIsPrinted(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	a.on("GET /v1/deployments/eu/outbox/abc2", `{"id":"abc2","plugin":"sharing","key":"ABC-DEF","via":"mail","to":"bob@example.org","subject":"Where I am",
"state":"failed","attempts":3,"reason":"550 no such mailbox","created":"2026-01-02T03:04:05Z","ended":"2026-01-02T03:04:06Z","told":false,
"message":{"sender":"Ann","text":"Look:\n\u001b[2Jhttps://example.org/ABC-DEF","html":"<p>Look</p>","locale":"de"}}`)
	a.run("outbox", "show", "abc2", "--deployment", "eu").wants(t, 0, `id            abc2
plugin        sharing
key           ABC-DEF
via           mail
to            bob@example.org
state         failed
attempts      3
reason        550 no such mailbox
dispatched    2026-01-02 03:04:05
next attempt  -
given up      -
ended         2026-01-02 03:04:06
plugin told   not yet
subject       Where I am
sender        Ann
locale        de

Look:
\u001b[2Jhttps://example.org/ABC-DEF

<p>Look</p>
`, "")
	a.on("GET /v1/deployments/eu/outbox/def3", `{"id":"def3","via":"webhook:sms","state":"queued","created":"2026-01-02T03:04:05Z","message":{"body":{"text":"Look"}}}`)
	a.run("outbox", "show", "--deployment", "eu", "def3").wants(t, 0, "ended         -\n\n{\"text\":\"Look\"}\n", "")
	a.run("outbox", "show", "--deployment", "eu", "--json", "def3").wants(t, 0, `"text": "Look"`, "")
	a.run("outbox", "show", "none").wants(t, 1, "", "404")
	a.requests()
	for _, args := range []string{"show", "show a b", "show ..", "show a/b"} {
		a.run(append([]string{"outbox"}, strings.Fields(args)...)...).wants(t, 2, "", "outbox show: ")
	}
	if sent := a.lines(); sent != nil {
		t.Errorf("sent %q", sent)
	}
}

func TestTheOutboxIsChanged(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	const path = "/v1/deployments/eu/outbox/"
	for _, id := range []string{"abc2", "def3"} {
		a.on("POST "+path+id+"/retry", "204 ")
		a.on("DELETE "+path+id, "204 ")
	}
	for _, c := range []struct {
		args, stdout string
		lines        []string // how they begin and end
	}{
		{"retry abc2 def3 -m why", "", []string{"POST " + path + "abc2/retry?by=", "&message=why", "POST " + path + "def3/retry?by=", "&message=why"}},
		{"discard abc2", "", []string{"DELETE " + path + "abc2?by=", "&message="}},
	} {
		a.run(append(strings.Fields("outbox "+c.args), "--deployment", "eu")...).wants(t, 0, c.stdout, "")
		lines := a.lines()
		if len(lines) != len(c.lines)/2 {
			t.Fatalf("%s: sent %q", c.args, lines)
		}
		for i, line := range lines {
			if !strings.HasPrefix(line, c.lines[2*i]) || !strings.HasSuffix(line, c.lines[2*i+1]) {
				t.Errorf("%s: sent %q", c.args, line)
			}
		}
	}
	a.on("POST "+path+"retry", `{"retried":7}`)
	a.run("outbox", "retry", "--all", "--deployment", "eu").wants(t, 0, "7 queued again\n", "")
	a.run("outbox", "retry", "--all", "--via", "mail", "--to", "bob@example.org", "--deployment", "eu", "-m", "why").wants(t, 0, "7 queued again\n", "")
	lines := a.lines()
	if len(lines) != 2 || !strings.HasSuffix(lines[1], "&message=why&to=bob%40example.org&via=mail") {
		t.Errorf("sent %q", lines)
	}
	// One that cannot be changed ends it, and says which.
	a.run("outbox", "retry", "abc2", "gone", "def3", "--deployment", "eu").wants(t, 1, "", "entry gone: the admin API: 404")
	if lines := a.lines(); len(lines) != 2 {
		t.Errorf("sent %q", lines)
	}
	for args, want := range map[string]string{
		"retry": "want the id of an entry", "discard": "want the id of an entry", "retry --all abc2": "--all", "retry --via mail abc2": "--all",
		"retry ..": `".."`, "discard abc2 ..": `".."`, "discard abc2/..": `"abc2/.."`, "discard abc2 %2e%2e": "letters and digits",
	} {
		a.run(append([]string{"outbox"}, strings.Fields(args)...)...).wants(t, 2, "", want)
	}
	if a.run("outbox", "discard", ""); !slices.Equal(a.lines(), nil) {
		t.Error("what is no id was asked for")
	}
}
