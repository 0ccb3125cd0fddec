package main_test

import (
	"strings"
	"testing"
)

func TestSecretsComeFromStdin(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	const path = "/v1/deployments/eu/secrets/signing/smtp_password"
	a.on("PUT "+path, "204 ")
	a.on("DELETE "+path, "204 ")
	a.on("GET /v1/deployments/default/secrets", `{"secrets":[{"plugin":"signing","name":"smtp_password","revision":2,"at":"2026-01-02T03:04:05Z"}]}`)
	for _, value := range []string{"hush", "hush\n", "hush\r\n", " hush \n\n"} {
		a.runWith(t.Context(), value, "secret", "set", "smtp_password", "--plugin", "signing", "--deployment", "eu", "-m", "new").wants(t, 0, "", "")
		got := a.requests()
		want := strings.TrimSuffix(strings.TrimSuffix(value, "\n"), "\r")
		if len(got) != 1 || got[0].body != want || !strings.HasPrefix(got[0].line, "PUT "+path+"?by=") || !strings.HasSuffix(got[0].line, "&message=new") {
			t.Errorf("%q: %+v", value, got)
		}
	}
	for _, c := range []struct {
		stdin string
		args  string
		code  int
		want  string
	}{
		{"", "set smtp_password --plugin signing", 1, "stdin: there is nothing"},
		{"\n", "set smtp_password --plugin signing", 1, "stdin: there is nothing"},
		{strings.Repeat("x", 64<<10+1), "set smtp_password --plugin signing", 1, "at most 65536 bytes"},
		{"hush", "set smtp_password hush --plugin signing", 2, "stdin"},
		{"hush", "set smtp_password", 2, "--plugin: want the name of a plugin, or --outbox"},
		{"hush", "set smtp_password --plugin signing --outbox", 2, "--plugin and --outbox: want one of the two"},
		{"hush", "set --outbox", 2, "want the name"},
		{"hush", "set --plugin signing", 2, "want the name"},
		{"hush", "paint", 2, `no command "paint"`},
		{"hush", "", 2, "edgeset secret set"},
	} {
		f := a.runWith(t.Context(), c.stdin, append([]string{"secret"}, strings.Fields(c.args)...)...)
		f.wants(t, c.code, "", c.want)
		if sent := a.lines(); sent != nil {
			t.Errorf("%v\nsent %q", f, sent)
		}
	}
	a.runWith(t.Context(), "hush", "secret", "set", "--plugin", "signing", "other").wants(t, 1, "", "404")
	a.run("secret", "remove", "--plugin", "signing", "--deployment", "eu", "smtp_password").wants(t, 0, "", "")
	const outbox = "/v1/deployments/default/secrets/@outbox/smtp"
	a.on("PUT "+outbox, "204 ")
	a.on("DELETE "+outbox, "204 ")
	a.runWith(t.Context(), "hush", "secret", "set", "--outbox", "smtp").wants(t, 0, "", "")
	a.run("secret", "remove", "smtp", "--outbox").wants(t, 0, "", "")
	a.run("secret", "list").wants(t, 0, "PLUGIN   NAME           REVISION  AT\nsigning  smtp_password  2         2026-01-02 03:04:05\n", "")
	a.run("secret", "list", "--json").wants(t, 0, `"revision": 2`, "")
	a.run("secret", "--help").wants(t, 0, "edgeset secret remove", "")
}

func TestTheAuditLogIsPrinted(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	page := `{"entries":[{"id":"9","at":"2026-01-02T03:04:05Z","by":"ann@host","remote":"127.0.0.1","action":"deploy","deployment":"eu","version":4,"message":"new\u001b[2J"},
{"id":"8","at":"2026-01-02T03:04:04Z","action":"abort","deployment":"eu","error":"refused: no canary"}],"next":"8"}`
	a.on("GET /v1/audit?limit=2", page)
	a.on("GET /v1/audit?before=8&limit=50", `{"entries":[]}`)
	a.run("audit", "--limit", "2").wants(t, 0, `AT                   BY        FROM       ACTION  DEPLOYMENT  VERSION  OUTCOME                     MESSAGE
2026-01-02 03:04:05  ann@host  127.0.0.1  deploy  eu          4        done                        new\u001b[2J
2026-01-02 03:04:04  -         -          abort   eu          -        failed: refused: no canary  -
`, "older ones: --before 8\n")
	a.run("audit", "--before", "8").wants(t, 0, "AT  BY", "")
	a.run("audit", "--limit", "2", "--json").wants(t, 0, `"next": "8"`, "")
	a.run("audit", "--limit", "9999").wants(t, 1, "", "404")
	a.run("audit", "now").wants(t, 2, "", `"now"`)
}
