package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
)

// everything is a manifest with all keys that there are.
const everything = `
[[deployment]]
name = "eu"
hosts = ["api.example.com", "*.eu.example.com"]
base_url = "https://api.example.com"
origins = ["https://app.example.com"]
fuel_per_second = 50_000_000
cores = 0.5
memory = "512MiB"

[deployment.mail]
server = "smtps://mail.example.com:465"
user = "edgeset"
password = "smtp_password"
from = "Edge <edge@example.com>"

[[deployment.webhook]]
name = "sms"
url = "https://sms.example.com/send?v=1"
secret = "sms_key"
[[deployment.webhook]]
name = "app"
url = "http://127.0.0.1:9000"
secret = "sms_key"

[deployment.outbox]
rate = 0.5
per_recipient = 3
queue = 1_000
give_up = "90m"

[deployment.canary]
min_requests = 10
max_errors = 0
max_p99 = 3

[[deployment.plugin]]
name = "status"
source = "embedded:status"
grants = ["kv"]

[[deployment.plugin]]
name = "signing"
source = "oci://127.0.0.1:5000/edgeset/signing:1.4"
digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
mount = "/eu/v1.2"
grants = ["kv", "read:status", "mail", "webhook:sms"]
egress = ["api.example.com:8443", "private:db.internal:80"]
secrets = ["smtp_password", "a.b-C"]
memory = 0x4000000
instances = 3
waiting = 9
max_wait = "250ms"
deadline = "1h"
isolation = "request"
snapshot = true
[deployment.plugin.config]
"dotted.name" = "a \"b\"\n\u0000"
plain = '''x'''

[[deployment.plugin]]
name = "plain"
source = "../plugins/plain one.wasm"
[[deployment.plugin.route]]
method = "GET"
pattern = "/p/:name"
function = "greet"
read_only = true
auth = ["token"]
body = "json"
deadline = "90ms"
`

func TestTheKeysOfDeploymentsAndPluginsAreRead(t *testing.T) {
	m, err := ParseManifest("edge.toml", everything)
	if err != nil {
		t.Fatal(err)
	}
	s := m.Deployments[0]
	if s.Cores != 0.5 || s.Memory != 512<<20 || s.Canary != (CanaryRule{MinRequests: 10, MaxErrors: 0, MaxP99: 3}) {
		t.Errorf("%+v", s)
	}
	if s.Mail != (MailSpec{Server: "smtps://mail.example.com:465", User: "edgeset", Password: "smtp_password", From: "Edge <edge@example.com>"}) ||
		!slices.Equal(s.Webhooks, []WebhookSpec{{"sms", "https://sms.example.com/send?v=1", "sms_key"}, {"app", "http://127.0.0.1:9000", "sms_key"}}) ||
		s.Delivery() != (outbox.Limits{Rate: 0.5, PerRecipient: 3, Queue: 1000, GiveUp: 90 * time.Minute}) {
		t.Errorf("%+v", s)
	}
	p := s.Plugins[1]
	if !strings.HasPrefix(p.Digest, "sha256:0123") || p.Mount != "/eu/v1.2" || strings.Join(p.Secrets, " ") != "smtp_password a.b-C" ||
		strings.Join(p.Grants, " ") != "kv read:status mail webhook:sms" || p.Memory != 64<<20 || p.Config["dotted.name"] != "a \"b\"\n\x00" || p.Config["plain"] != "x" {
		t.Errorf("%+v", p)
	}
}

func TestACanaryIsJudgedByDefaultsUnlessTheManifestSaysMore(t *testing.T) {
	const rest = "\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p.wasm\"\n"
	for text, want := range map[string]CanaryRule{
		"":                                  {100, 0.01, 2},
		"[deployment.canary]":               {100, 0.01, 2},
		"canary.max_errors = 0":             {100, 0, 2},
		"canary = { min_requests = 5 }":     {5, 0.01, 2},
		"[deployment.canary]\nmax_p99 = 10": {100, 0.01, 10},
	} {
		m, err := ParseManifest("f", "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n"+text+rest)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := m.Deployments[0].Canary; got != want {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

func TestAKeyThatMakesNoSenseIsRefusedWithItsLine(t *testing.T) {
	const head = "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n"
	const plugins = "[[deployment.plugin]]\nname = \"q\"\nsource = \"q.wasm\"\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p.wasm\"\n"
	const of, route = `edge.toml:11: deployment "d": plugin "p": `, "[[deployment.plugin.route]]\nmethod = \"GET\"\npattern = \"/a\"\nfunction = \"f\"\n"
	// Lines of the deployment stand at line 4, those of the plugin at line 11.
	for _, c := range []struct{ deployment, plugin, want string }{
		{"[[deployment.probe]]\nstatus = 200", "", `edge.toml:4: deployment "d": probe "": path: want a path`},
		{"[[deployment.probe]]\npath = \"x\"", "", `edge.toml:5: deployment "d": probe "x": path: want a path as it stands in a URL`},
		{"[[deployment.probe]]\npath = \"/a b\"", "", `probe "/a b": path: want a path`},
		{"[[deployment.probe]]\npath = \"/\"\nstatus = 100", "", `edge.toml:6: deployment "d": probe "/": status: 100: want 200 to 599`},
		{"[[deployment.probe]]\npath = \"/\"\nstatsu = 200", "", `unknown key "statsu": want "status"?`},
		{"cores = 0", "", `edge.toml:4: deployment "d": cores: 0: want a number above 0 and of at most 1024`},
		{"cores = -0.5", "", `cores: -0.5: want`},
		{"cores = 1024.5", "", `cores: 1024.5: want`},
		{"cores = inf", "", `cores: it is a number: want a number`},
		{"cores = nan", "", `cores: it is a number: want a number`},
		{"cores = \"1\"", "", `cores: "1": want a number`},
		{"memory = \"1KiB\"", "", `edge.toml:4: deployment "d": memory: 1KiB: want 64KiB to 1024GiB`},
		{"fuel_per_second = 1_000_000_000_000_001", "", `fuel_per_second: 1000000000000001: want`},
		{"fuel_per_second = 99999999999999999999", "", `fuel_per_second: it is a number: want a whole number`},
		{"fuel_per_second = 1__0", "", `fuel_per_second: it is a number: want a whole number`},
		{"fuel_per_second = 0100", "", `edge.toml:4: no TOML: expected newline`},
		{"fuel_per_second = 1.5", "", `fuel_per_second: it is a number: want a whole number`},
		{"hosts = []", "", `edge.toml:4: hosts: it is there already, at line 3; want it once`},
		{"origins = \"*\"", "", `origins: "*": want a list of strings, such as ["a", "b"]`},
		{"origins = [\n1,\n\"*\", [] ]", "", `edge.toml:5: deployment "d": origins: entry 1 is a number: want a string, in quotes`},
		{"origins = [\n\"*\",\n\"x\" ]", "", `edge.toml:6: deployment "d": origins: "x": want scheme and host`},
		{"canary = 5", "", `edge.toml:4: deployment "d": canary: it is a number; want a table`},
		{"canary.min_requests = 0", "", `edge.toml:4: deployment "d": canary.min_requests: 0: want 1 to`},
		{"canary.max_errors = 1.5", "", `canary.max_errors: 1.5: want 0 to 1`},
		{"canary.max_errors = -1", "", `canary.max_errors: -1: want 0 to 1`},
		{"canary.max_p99 = 0.5", "", `canary.max_p99: 0.5: want 1 to 1000`},
		{"canary.max_error = 0.5", "", `edge.toml:4: deployment "d": unknown key "canary.max_error": want "max_errors"?`},
		{"mail = 5", "", `edge.toml:4: deployment "d": mail: it is a number; want a table`},
		{"mail.port = 25", "", `edge.toml:4: deployment "d": unknown key "mail.port": want`},
		{"mail.server = 5", "", `mail.server: it is a number: want a string`},
		{"mail.server = \"\"", "", `edge.toml:4: deployment "d": mail.server: mail server`},
		{"mail.server = \"mail.example.com\"", "", `want smtp or smtps`},
		{"mail.server = \"http://mail.example.com\"", "", `scheme "http": want smtp or smtps`},
		{"mail.server = \"smtp://a.example?tls=no\"", "", `tls=no: want required or none`},
		{"mail.server = \"smtp://ann:hush@a.example\"", "", `mail.server: who logs in does not stand in it: want user and password = the name of a secret`},
		{"mail.server = \"smtp://a.example\\n\"", "", `mail.server: "smtp://a.example\n": want "smtp://host:587" or "smtps://host:465"`},
		{"mail.user = \"ann\"", "", `mail.user: want server as well`},
		{"mail.password = \"name\"", "", `mail.password: want server as well`},
		{"mail.from = \"Ann\"", "", `mail.from: "Ann": want an address, such as "Name <address@example.com>"`},
		{"mail.from = \"a@b.example, c@d.example\"", "", `mail.from: "a@b.example, c@d.example": want an address`},
		{"mail.from = \"=?utf-8?q?a=0Ab?= <a@b.example>\"", "", `b.example>": want an address`},
		{"mail.from = \"\"", "", `mail.from: "": want an address`},
		{"mail.from = \"é@b.example\"", "", `edge.toml:4: deployment "d": mail.from: mail from "é@b.example": want`},
		{"mail = { server = \"smtp://a.example\", user = \"ann\" }", "", `mail.user: want password = the name of a secret as well`},
		{"mail = { server = \"smtp://a.example\", password = \"name\" }", "", `mail.password: want user as well`},
		{"[deployment.mail]\nserver = \"smtp://a.example\"\nuser = \"\"\npassword = \"name\"", "", `edge.toml:6: deployment "d": mail.user: want a name of 1 to 256`},
		{"[deployment.mail]\nserver = \"smtp://a.example\"\nuser = \"a\\u0007\"\npassword = \"name\"", "", `mail.user: want a name of 1 to 256`},
		{"[deployment.mail]\nserver = \"smtp://a.example\"\nuser = \"ann\"\npassword = \"hush hush\"", "", `edge.toml:7: deployment "d": mail.password: want the name of a secret, of 1 to 64 of`},
		{"[[deployment.mail]]\n", "", `mail: it is a list; want a table`},
		{"[deployment.webhook]", "", `edge.toml:4: deployment "d": webhook: it is a table; want [[deployment.webhook]]`},
		{"[[deployment.webhook]]", "", `edge.toml:4: deployment "d": webhook "": name: want 1 to 23`},
		{"[[deployment.webhook]]", "", `edge.toml:4: deployment "d": webhook "": url: want a URL such as`},
		{"[[deployment.webhook]]", "", `edge.toml:4: deployment "d": webhook "": secret: want the name of a secret`},
		{"[[deployment.webhook]]\nname = \"sms\"\n[[deployment.webhook]]\nname = \"sms\"", "", `edge.toml:7: deployment "d": webhook "sms": name: there are two of that name, the other at line 5`},
		{"[[deployment.webhook]]\nname = \"SMS\"", "", `webhook "SMS": name: want 1 to 23 of a-z, 0-9 and '-', a letter first`},
		{"[[deployment.webhook]]\nname = \"" + strings.Repeat("s", 24) + "\"", "", `name: want 1 to 23`},
		{"[[deployment.webhook]]\nname = \"sms\"\nkey = \"a\"", "", `webhook "sms": unknown key "key": want one of name, url, secret`},
		{"[deployment.outbox]\nrate = 0", "", `edge.toml:5: deployment "d": outbox.rate: 0: want 0.01 to 100000`},
		{"outbox.rate = -1.5", "", `outbox.rate: -1.5: want`},
		{"outbox.rate = 1e6", "", `outbox.rate: 1e+06: want`},
		{"outbox.per_recipient = 0", "", `outbox.per_recipient: 0: want 1 to 1000000`},
		{"outbox.queue = 100_000_001", "", `outbox.queue: 100000001: want 1 to 100000000`},
		{"outbox.give_up = \"721h\"", "", `outbox.give_up: 721h: want 1s to 720h`},
		{"outbox.give_up = \"1ms\"", "", `outbox.give_up: 1ms: want 1s to 720h`},
		{"outbox.per_recipent = 5", "", `unknown key "outbox.per_recipent": want "per_recipient"?`},
		{"give_up = \"1h\"", "", `unknown key "give_up": it belongs below [deployment.outbox]`},
		{"instances = 5", "", `edge.toml:4: deployment "d": unknown key "instances": it belongs below [[deployment.plugin]]`},
		{"nothing_like_it = 5", "", `unknown key "nothing_like_it": want one of name, hosts, base_url, origins`},
		{"x = 1979-05-27", "", `unknown key "x"`},
		{"[deployment.canary]\n[deployment.canary]", "", `edge.toml:5: canary: it is a table already, at line 4`},
		{"[deployment.plugin]", "", `edge.toml:4: deployment "d": plugin: it is a table; want [[deployment.plugin]]`},

		{"", "source = \"x\"", `edge.toml:11: source: it is there already, at line 10; want it once`},
		{"", "digest = \"sha256:ABC\"", of + `digest: "sha256:ABC": want "sha256:" and 64 of 0-9 and a-f`},
		{"", "digest = \"\"", of + `digest: "": want "sha256:"`},
		{"", "digest = \"sha512:" + strings.Repeat("a", 64) + "\"", of + `digest: "sha512:aaa`},
		{"", "mount = \"/\"", of + `mount: "/": want '/' and segments`},
		{"", "mount = \"\"", "mount: \"\": want"},
		{"", "mount = \"eu\"", "mount: \"eu\": want"},
		{"", "mount = \"/eu/\"", "mount: \"/eu/\": want"},
		{"", "mount = \"/a//b\"", "mount: \"/a//b\": want"},
		{"", "mount = \"/a/../b\"", "mount: \"/a/../b\": want"},
		{"", "mount = \"/.\"", "mount: \"/.\": want"},
		{"", "mount = \"/a?b\"", "mount: \"/a?b\": want"},
		{"", "mount = \"/a#b\"", "mount: \"/a#b\": want"},
		{"", "mount = \"/a%20\"", "mount: \"/a%20\": want"},
		{"", "mount = \"/:a\"", "mount: \"/:a\": want"},
		{"", "mount = \"/*a\"", "mount: \"/*a\": want"},
		{"", "mount = \"/a\\tb\"", `mount: "/a\tb": want`},
		{"", "mount = \"/" + strings.Repeat("a", 256) + "\"", `mount: "/aaa`},
		{"", "secrets = [\"a\",\n\"b\",\n\"a\"]", `edge.toml:13: deployment "d": plugin "p": secrets: "a" stands there twice: want it once`},
		{"", "secrets = [\"a b\"]", of + `secrets: "a b": want 1 to 64 of`},
		{"", "secrets = [\"\"]", of + `secrets: "": want 1 to 64 of`},
		{"", "secrets = [\"" + strings.Repeat("a", 65) + "\"]", "want 1 to 64 of"},
		{"", "secrets = [\"a\"]\nconfig = { a = \"x\" }", of + `secrets: "a" stands in config too, at line 12: want it in one of the two`},
		{"", "grants = [\"kv\", \"kv\"]", of + `grants: "kv" stands there twice: want it once`},
		{"", "grants = [\"root\"]", of + `grants: "root": want one of kv, passwords, events, blobs, mail, read:NAME, webhook:NAME`},
		{"", "grants = [\"webhook:sms\"]", of + `grants: "webhook:sms": want the name of a [[deployment.webhook]] of this deployment behind "webhook:"`},
		{"webhook = [{ name = \"sms\", url = \"https://x\", secret = \"s\" }]", "grants = [\"mail\",\n\"webhook:\"]", `edge.toml:12: deployment "d": plugin "p": grants: "webhook:": want the name`},
		{"", "grants = [\"read:p\"]", of + `grants: "read:p": want the name of another plugin; its own`},
		{"", "grants = [\"read:\"]", of + `grants: "read:": want the name of another plugin of this deployment`},
		{"", "grants = [\"read:r\"]", of + `grants: "read:r": want the name of another plugin of this deployment`},
		{"", "grants = [5]", of + `grants: entry 1 is a number: want a string`},
		{"", "egress = [\"http://x\"]", of + `egress: entry "http://x": want host:port`},
		{"", "egress = [\"a\\u0000\"]", of + `egress: "a\x00": want a host name`},
		{"", "egress = [\"ok.example\", \"a..b\"]", of + `egress: entry "a..b": want a host name`},
		{"", "config.x = 5", of + `config.x: it is a number: want a string, in quotes`},
		{"", "config = { x = true }", of + `config.x: it is true or false: want a string, in quotes`},
		{"", "config.x = [\"a\"]", of + `config.x: it is a list: want a string, in quotes`},
		{"", "config.x = 10:00:00", of + `config.x: it is a date or time: want a string, in quotes`},
		{"", "config.x.y = \"a\"", of + `config.x: it is a table: want a string; a name with a dot in it has quotes`},
		{"", "config = \"a\"", of + `config: it is a string: want a table of settings`},
		{"", "memory = \"63KiB\"", of + `memory: 63KiB: want 64KiB to 4GiB`},
		{"", "memory = \"4097MiB\"", of + `memory: 4097MiB: want 64KiB to 4GiB`},
		{"", "memory = \"1KiBMiB\"", of + `memory: "1KiBMiB": want a size`},
		{"", "memory = true", of + `memory: "true": want a size`},
		{"", "instances = 10_001", of + `instances: 10001: want a positive number of at most 10000`},
		{"", "waiting = 1000001", of + `waiting: 1000001: want a positive number of at most 1000000`},
		{"", "max_wait = \"61s\"", of + `max_wait: 1m1s: want at most 1m`},
		{"", "deadline = \"61m\"", of + `deadline: 1h1m: want at most 1h`},
		{"", "deadline = 5", of + `deadline: "5": want a duration such as "5s"`},
		{"", "snapshot = \"no\"", of + `snapshot: "no": want true or false, without quotes`},
		{"", "route = [5]", of + `route: it is a number; want [[deployment.plugin.route]]`},
		{"", "route.method = \"GET\"", of + `route: it is a table; want [[deployment.plugin.route]]`},
		{"", strings.Replace(route, "GET", "FETCH", 1), `edge.toml:12: deployment "d": plugin "p": route "FETCH /a": method: "FETCH": want "GET", "POST", "PUT", "PATCH" or "DELETE"`},
		{"", strings.Replace(route, "/a", "a", 1), `edge.toml:13: deployment "d": plugin "p": route "GET a": pattern: "a": want a path that begins with '/'`},
		{"", strings.Replace(route, "\"f\"", "\"\"", 1), `edge.toml:14: deployment "d": plugin "p": route "GET /a": function: want the name of an export`},
		{"", route + "body = \"upload\"\n", `edge.toml:15: deployment "d": plugin "p": route "GET /a": body: "upload": want "json", "form", "raw" or "any", or none`},
		{"", route + "deadline = \"2h\"\n", `deadline: 2h: want at most 1h`},
		{"", route + "read_onyl = true\n", `route "GET /a": unknown key "read_onyl": want "read_only"?`},
	} {
		t.Run(c.deployment+c.plugin, func(t *testing.T) {
			// An empty line is a comment, so that lines keep their numbers.
			line := func(s string) string {
				if s == "" {
					s = "#"
				}
				return s + "\n"
			}
			text := head + line(c.deployment) + plugins + line(c.plugin)
			_, err := ParseManifest("edge.toml", text)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestTheFormOfASourceIsChecked(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0", 64)
	for source, ok := range map[string]bool{
		"embedded:sharing": true, "p.wasm": true, "/srv/p q.wasm": true, "../ä.wasm": true,
		"oci://127.0.0.1:5000/edgeset/signing:1.4": true, "oci://r.example/p@" + digest: true, "oci://[::1]:5000/a/b_c:x@" + digest: true,
		"oci://r.example/p":                   true,
		"embedded:":                           false,
		"embedded:../x":                       false,
		"oci://":                              false,
		"oci://r.example":                     false,
		"oci://r.example/":                    false,
		"oci:///p":                            false,
		"oci://r//p":                          false,
		"oci://r/p:":                          false,
		"oci://r/p:-x":                        false,
		"oci://r/p:a b":                       false,
		"oci://r/p:a:b":                       false,
		"oci://u@r/p":                         false,
		"oci://r/p@sha256:1":                  false,
		"oci://r/p@" + digest + "@" + digest:  false,
		"oci://r/" + strings.Repeat("p", 512): false,
		"https://r.example/p.wasm":            false,
		"p\x00.wasm":                          false,
		strings.Repeat("p", 4097):             false,
		"oci://r/p:" + strings.Repeat("1", 129) + "x": false,
	} {
		_, err := ParseManifest("f", fmt.Sprintf("[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n[[deployment.plugin]]\nname = \"p\"\nsource = %s\n", tomlString(source)))
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), `f:6: deployment "d": plugin "p": source: "`) {
			t.Errorf("%q: %v", source, err)
		}
	}
}

func TestTheURLOfAWebhookIsChecked(t *testing.T) {
	for target, ok := range map[string]bool{
		"https://sms.example.com/send?to=x": true, "https://[2001:db8::1]:8443": true, "https://10.0.0.1": true,
		"http://localhost:9000/": true, "http://127.0.0.2": true, "http://[::1]:80/a": true,
		"http://sms.example.com":                         false,
		"http://localhost.a.com":                         false,
		"http://127.0.0.1.a.com":                         false,
		"http://10.0.0.1":                                false,
		"ftp://127.0.0.1":                                false,
		"https://":                                       false,
		"https://:443":                                   false,
		"https:///send":                                  false,
		"sms.example.com/send":                           false,
		"https://a.example/#part":                        false,
		"https://a.example/a b":                          false,
		"https://a.example/\t":                           false,
		"https://a.example/é":                            false,
		"https://a.example:port":                         false,
		"https://a.example/" + strings.Repeat("a", 2000): false,
		"https://ann:hush@a.example":                     false,
		"https://ann:hu%sh@a.example":                    false,
	} {
		_, err := ParseManifest("f", fmt.Sprintf("[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n[[deployment.webhook]]\nname = \"w\"\nurl = %s\nsecret = \"s\"\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p\"\n", tomlString(target)))
		if ok != (err == nil) || err != nil && !strings.HasPrefix(err.Error(), `deploy: f:6: deployment "d": webhook "w": url: `) {
			t.Errorf("%q: %v", target, err)
		}
		if err != nil && strings.Contains(err.Error(), "hu") {
			t.Errorf("it repeats a password: %v", err)
		}
	}
}

// What stands where the name of a secret belongs may be the secret.
func TestAPasswordThatStandsInAManifestIsNotRepeated(t *testing.T) {
	const head, tail = "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n", "[[deployment.plugin]]\nname = \"p\"\nsource = \"p\"\n"
	for _, text := range []string{
		"[deployment.mail]\nserver = \"smtp://ann:hush!@a.example\"\n",
		"[deployment.mail]\nserver = \"smtp://ann:1hush/@a.example\"\n",
		"[deployment.mail]\nserver = \"smtp://a.example\"\nuser = \"ann\"\npassword = \"hush!\"\n",
		"[[deployment.webhook]]\nname = \"w\"\nurl = \"https://a.example\"\nsecret = \"hush!\"\n",
		"[[deployment.webhook]]\nname = \"w\"\nurl = \"https://ann:hush!@a.example/%\"\nsecret = \"s\"\n",
	} {
		if _, err := ParseManifest("f", head+text+tail); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheFormOfAHostIsChecked(t *testing.T) {
	for host, want := range map[string]string{
		"*": "*", "A.b.": "a.b", "*.A_b": "*.a_b", "0:0::1": "::1", "0:0::1.": "::1", "192.0.2.1": "192.0.2.1", "xn--bcher-kva.example": "xn--bcher-kva.example",
		"": "", "*.": "", "*.*.a": "", "a..b": "", ".a": "", "a:80": "", "[::1]": "", "bücher.example": "", "fe80::1%eth0": "",
		strings.Repeat("a", 64): "", strings.Repeat("a.", 128): "", "a b": "", "a/b": "",
	} {
		m, err := ParseManifest("f", fmt.Sprintf("[[deployment]]\nname = \"d\"\nhosts = [%q]\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p\"\n", host))
		switch {
		case want == "" && (err == nil || !strings.Contains(err.Error(), "f:3: deployment \"d\": hosts: ")):
			t.Errorf("%q: %v", host, err)
		case want != "" && err != nil:
			t.Errorf("%q: %v", host, err)
		case want != "" && m.Deployments[0].Hosts[0] != want:
			t.Errorf("%q: got %q, want %q", host, m.Deployments[0].Hosts[0], want)
		}
	}
}
