package deploy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
)

func TestAllThatIsWrongIsToldAtOnce(t *testing.T) {
	_, err := ParseManifest("edge.toml", `
[[deployment]]
name = "main"
hosts = ["a.example", "b.example"]
cores = 0

[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grant = ["kv"]
memory = "lots"
[deployment.plugin.config]
ttl = 5

[[deployment]]
name = "second"
hosts = [
  "c.example",
  "b.example", # taken
]
max_wait = "1s"
[[deployment.plugin]]
name = "X"
grants = ["kv", "read:sharing", "post"]

[server]
port = 1
`)
	const want = `deploy: edge.toml:5: deployment "main": cores: 0: want a number above 0 and of at most 1024, such as 0.5, or none for no limit
deploy: edge.toml:10: deployment "main": plugin "sharing": unknown key "grant": want "grants"?
deploy: edge.toml:11: deployment "main": plugin "sharing": memory: "lots": want a size such as "64MiB"
deploy: edge.toml:13: deployment "main": plugin "sharing": config.ttl: it is a number: want a string, in quotes
deploy: edge.toml:19: deployment "second": hosts: "b.example" belongs to deployment "main" already, at line 4: want each host once
deploy: edge.toml:21: deployment "second": unknown key "max_wait": it belongs below [[deployment.plugin]]
deploy: edge.toml:22: deployment "second": plugin "X": source: want "embedded:NAME", "oci://registry/repository:tag" or a file
deploy: edge.toml:23: deployment "second": plugin "X": name: want 1 to 23 of a-z, 0-9 and '-', a letter first
deploy: edge.toml:24: deployment "second": plugin "X": grants: "read:sharing": want the name of another plugin of this deployment behind "read:"
deploy: edge.toml:24: deployment "second": plugin "X": grants: "post": want one of kv, passwords, events, blobs, mail, read:NAME, webhook:NAME
deploy: edge.toml:26: unknown key "server": want one of deployment`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestAValueOfTheWrongTypeIsToldOnce(t *testing.T) {
	_, err := ParseManifest("f", "[[deployment]]\nname = 5\nhosts = [5]\norigins = 5\n[[deployment.plugin]]\nname = []\nsource = {}\ngrants = 5\nsecrets = 5\n[[deployment]]\nname = \"e\"\nhosts = \"*\"\nplugin = 5\n")
	const want = `deploy: f:2: deployment "": name: it is a number: want a string, in quotes
deploy: f:3: deployment "": hosts: entry 1 is a number: want a string, in quotes
deploy: f:4: deployment "": origins: it is a number: want a list of strings, such as ["a", "b"]
deploy: f:6: deployment "": plugin "": name: it is a list: want a string, in quotes
deploy: f:7: deployment "": plugin "": source: it is a table: want a string, in quotes
deploy: f:8: deployment "": plugin "": grants: it is a number: want a list of strings, such as ["a", "b"]
deploy: f:9: deployment "": plugin "": secrets: it is a number: want a list of strings, such as ["a", "b"]
deploy: f:12: deployment "e": hosts: "*": want a list of strings, such as ["a", "b"]
deploy: f:13: deployment "e": plugin: it is a number; want [[deployment.plugin]]`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

// A manifest of the largest size takes no longer than its bytes do.
func TestAHostileManifestIsReadInShortTime(t *testing.T) {
	const head = "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p\"\n"
	fill := func(head, part string) string {
		return head + strings.Repeat(part, (maxManifest-len(head)-10)/len(part))
	}
	for name, text := range map[string]string{
		"egress":   fill(head+"egress = [", "\"a\",") + "]",
		"grants":   fill(head+"grants = [", "\"a\",") + "]",
		"numbers":  fill(head+"x = [", "1,") + "]",
		"tables":   fill(head+"x = [", "{},") + "]",
		"twice":    fill(head, "a=1\n"),
		"headers":  fill(head, "[a]\n"),
		"lists":    fill("", "[[a]]\n"),
		"newlines": fill("", "\n"),
		"quotes":   fill("a = ", "\""),
		"escapes":  fill("a = \"", "\\\\") + "\"",
	} {
		done := make(chan error, 1)
		go func() { _, err := ParseManifest("f", text); done <- err }()
		select {
		case err := <-done:
			if err == nil && name != "egress" {
				t.Errorf("%s: it is taken", name)
			}
		case <-time.After(5 * time.Minute): // of a second's work at most
			t.Fatalf("%s: it takes longer than five minutes", name)
		}
	}
}

func TestATextThatIsNoTOMLHasOneFault(t *testing.T) {
	const head = "[[deployment]]\nnmae = 5\nx = \"a\nb\"\n"
	for text, line := range map[string]int{
		head: 3, "a": 1, "a = ": 1, "a = \n": 1, "\na = [1,\n2\n": 4, "\n\na = \"x": 3, "a = '''\n\n": 3, "a = {b": 1, "\n[": 2, "\n[a": 2, "[[a]\n": 1,
		"a = \"\\u12\"": 1, "\n\ta = \"\\q\"": 2, "a = '\x01'": 1, "a\xff = 1": 1, "# \xff": 1, "\x01": 1, "a = \"\xff\"": 1, "\r": 1, "a = 1\r\nb": 2, "\n\xef\xbb\xbf": 2,
	} {
		_, err := ParseManifest("f", text)
		if want := fmt.Sprintf("deploy: f:%d: no TOML: ", line); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), "deploy: ") != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: got %q, want %s", text, err, want)
		}
	}
}

// Our tree takes the documents that the library takes.
func TestADocumentIsWhatTheLibrarySaysItIs(t *testing.T) {
	for _, text := range documents() {
		f := &faults{file: "f"}
		parseDocument(text, f)
		var m map[string]any
		if err := toml.Unmarshal([]byte(text), &m); (err == nil) != (f.err() == nil) {
			t.Errorf("%q: got %v, the library says %v", text, f.err(), err)
		}
	}
}

func documents() []string {
	return []string{
		"", "# c", "a = 1", "a = 1\na = 2", "a.b = 1\na.c = 2", "a.b = 1\na.b.c = 2", "a = 1\na.b = 2",
		"[a]\nb = 1\n[a.c]\nd = 1", "[a.b]\n[a]\nc = 1", "[a]\n[a]", "[a.b]\n[a]\nb.c = 1", "[a]\nb.c = 1\n[a.b]\nd = 1", "[a]\nb.c = 1\n[a.b.d]\ne = 1",
		"[[a]]\nb = 1\n[[a]]\nb = 2", "[[a]]\n[a.b]\n[[a]]\n[a.b]", "[[a]]\n[a.b]\n[a.b]", "[[a.b]]\n[a]\nc = 1", "[[a.b]]\n[[a]]", "[a]\n[[a]]", "[[a]]\n[a]",
		"a = []\n[[a]]", "a = {}\n[a.b]", "a = { b = 1 }\na.c = 1", "a = { b = 1, b = 2 }", "a = { b.c = 1, b.d = 2 }", "a = { b = {}, b.d = 2 }", "a = [{ b = 1 }, { b = 1 }]",
		"[[a.b]]\n[a.b.c]\nd = 1\n[[a.b]]\n[a.b.c]\nd = 1", "\"a b\" = 1\n'a b' = 2", "a = \"\"\"\"\"x\"\"\"\"\"", "'' = 1", "a = 1 b = 2", "a = [1, [2, {b = '}'}]] # ]",
	}
}

func TestAManifestIsBounded(t *testing.T) {
	site := func(i int) string { return fmt.Sprintf("[[deployment]]\nname = \"d%d\"\nhosts = [\"h%d\"]\n", i, i) }
	plugin := func(i int) string { return fmt.Sprintf("[[deployment.plugin]]\nname = \"p%d\"\nsource = \"p\"\n", i) }
	repeat := func(n int, fn func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(fn(i))
		}
		return b.String()
	}
	route := func(int) string {
		return "[[deployment.plugin.route]]\nmethod = \"GET\"\npattern = \"/\"\nfunction = \"f\"\n"
	}
	webhook := func(i int) string {
		return fmt.Sprintf("[[deployment.webhook]]\nname = \"w%d\"\nurl = \"https://x\"\nsecret = \"s\"\n", i)
	}
	both := func(i int) string { return site(i) + plugin(i) }
	for _, c := range []struct{ name, text, want string }{
		{"deployments", repeat(1000, both), ""},
		{"too many deployments", repeat(1001, both), "f:6001: 1001 deployments; want at most 1000"},
		{"plugins", site(0) + repeat(64, plugin), ""},
		{"too many plugins", site(0) + repeat(65, plugin), `f:196: deployment "d0": 65 plugins; want at most 64`},
		{"webhooks", both(0) + repeat(64, webhook), ""},
		{"too many webhooks", both(0) + repeat(65, webhook), `f:263: deployment "d0": 65 webhooks; want at most 64`},
		{"routes", both(0) + repeat(1000, route), ""},
		{"too many routes", both(0) + repeat(1001, route), `f:4007: deployment "d0": plugin "p0": 1001 routes; want at most 1000`},
		{"as large as it may be", both(0) + strings.Repeat("#", maxManifest-len(both(0))), ""},
		{"too large", both(0) + strings.Repeat("#", maxManifest), "f:1: it is larger than 1 MiB; want several manifests"},
		{"brackets", "\na = " + strings.Repeat("[", maxManifest-10), "f:2: values lie more than 16 deep in one another"},
		{"braces", "a = " + strings.Repeat("{a=", 300_000), "f:1: values lie more than 16 deep"},
		{"brackets behind a string that ends in quotes", "a = [\n\"\"\"\na\\\"\"\"\"\"\"," + strings.Repeat("[", 1000), "f:3: values lie more than 16 deep"},
		{"brackets behind a literal string", "a = ['\\'," + strings.Repeat("[", 1000), "f:1: values lie more than 16 deep"},
		{"brackets behind an empty string", "a = [\"\",''," + strings.Repeat("[", 1000), "f:1: values lie more than 16 deep"},
		{"brackets in strings and comments", both(0) + "config.a = \"" + strings.Repeat("[", 100) + "\" # " + strings.Repeat("[", 100), ""},
		{"a deep key", "a" + strings.Repeat(".a", 500_000) + " = 1", "f:1: a key of 500001 parts; want at most 16"},
		{"a deep header", "[a" + strings.Repeat(".a", 500_000) + "]", "f:1: a key of 500001 parts; want at most 16"},
		{"many keys", repeat(100_000, func(i int) string { return fmt.Sprintf("a%d=1\n", i) }), "deploy: f: and 99001 more"},
		{"long names", repeat(10, func(int) string {
			return "[[deployment]]\nname = \"" + strings.Repeat("ä", 40_000) + "\"\nx=1\ny=1\n"
		}), `deployment "` + strings.Repeat("ä", 40) + `"…: unknown key "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			switch _, err := ParseManifest("f", c.text); {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %.500v\nwant %s", err, c.want)
			case err != nil && len(err.Error()) > 300_000:
				t.Errorf("%d bytes of errors", len(err.Error()))
			}
		})
	}
}

func TestAMisspeltKeyIsRecognised(t *testing.T) {
	known := []string{"name", "hosts", "max_wait", "memory"}
	for key, want := range map[string]string{
		"nmae": "name", "host": "hosts", "Name": "name", "maxwait": "max_wait", "max-wait": "max_wait", "mem": "", "x": "", "na": "", "hsots": "hosts", "memo": "memory", "": "",
	} {
		if got := nearest(key, known); got != want {
			t.Errorf("%q: got %q, want %q", key, got, want)
		}
	}
	if d := distance("kitten", "sitting"); d != 3 {
		t.Errorf("the distance is %d", d)
	}
}

func FuzzDocument(f *testing.F) {
	for _, text := range documents() {
		f.Add(text)
	}
	f.Add(everything)
	f.Fuzz(func(t *testing.T, text string) {
		var m map[string]any
		if toml.Unmarshal([]byte(text), &m) != nil {
			_, _ = ParseManifest("f", text)
			return
		}
		faults := &faults{file: "f"}
		if parseDocument(text, faults); faults.err() != nil && tooDeep(text) == 0 && !strings.Contains(faults.err().Error(), "want at most 16") {
			t.Fatalf("the library takes what is refused here: %v", faults.err())
		}
	})
}
