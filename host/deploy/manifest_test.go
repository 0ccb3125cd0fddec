package deploy

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAManifestIsRead(t *testing.T) {
	m, err := ParseManifest("edge.toml", `
[[deployment]]
name = "main"
hosts = ["API.Example.com.", "*.example.com", "0:0::1"]
base_url = "https://api.example.com/v"
origins = ["https://app.example.com", "*"]
fuel_per_second = 50_000_000

[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
egress = ["api.example.com"]
memory = "64 MiB"
instances = 3
waiting = 9
max_wait = "250ms"
deadline = "2s"
isolation = "request"
snapshot = false
config = { greeting = "Hello" }

[[deployment.plugin]]
name = "plain"
source = "plain.wasm"

[[deployment.plugin.route]]
method = "GET"
pattern = "/p/:name"
function = "greet"
read_only = true
body = "json"
deadline = "90ms"
`)
	if err != nil {
		t.Fatal(err)
	}
	s := m.Deployments[0]
	if strings.Join(s.Hosts, " ") != "api.example.com *.example.com ::1" {
		t.Errorf("hosts %q", s.Hosts)
	}
	p := s.Plugins[0]
	if p.Memory != 64<<20 || p.Instances != 3 || p.Waiting != 9 || time.Duration(p.MaxWait) != 250*time.Millisecond || p.Config["greeting"] != "Hello" ||
		time.Duration(p.Deadline) != 2*time.Second || p.Isolation != "request" || p.Snapshot == nil || *p.Snapshot {
		t.Errorf("%+v", p)
	}
	if s.FuelPerSecond != 50e6 {
		t.Errorf("fuel_per_second is %d", s.FuelPerSecond)
	}
	if r := s.Plugins[1].Routes[0]; r.Function != "greet" || !r.ReadOnly || time.Duration(r.Deadline) != 90*time.Millisecond {
		t.Errorf("%+v", r)
	}
}

func TestAManifestThatMakesNoSenseIsRefused(t *testing.T) {
	const (
		site   = "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n"
		plugin = "[[deployment.plugin]]\nname = \"p\"\nsource = \"p.wasm\"\n"
	)
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "edge.toml:1: no [[deployment]]: want at least one"},
		{"an empty list of deployments", "deployment = []", "edge.toml:1: no [[deployment]]: want at least one"},
		{"an empty list of plugins", site + "plugin = []\n", `edge.toml:1: deployment "d": no [[deployment.plugin]]: want at least one`},
		{"no TOML", "a = \n", "edge.toml:1: "},
		{"no TOML further down", site + plugin + "x y\n", "edge.toml:7: "},
		{"a wrong type", site + plugin + "instances = \"many\"\n", `edge.toml:7: deployment "d": plugin "p": instances: "many": want a whole number`},
		{"a wrong size", site + plugin + "memory = \"lots\"\n", `edge.toml:7: deployment "d": plugin "p": memory: "lots": want a size such as "64MiB"`},
		{"a size of nothing", site + plugin + "memory = \"0\"\n", "want a size"},
		{"a size that overflows", site + plugin + "memory = \"9999999999GiB\"\n", "want a size"},
		{"a wrong duration", site + plugin + "max_wait = \"soon\"\n", `edge.toml:7: deployment "d": plugin "p": max_wait: "soon": want a duration such as "5s"`},
		{"a negative duration", site + plugin + "max_wait = \"-1s\"\n", "want a duration"},
		{"an unknown key", site + plugin + "grant = [\"kv\"]\n", `edge.toml:7: deployment "d": plugin "p": unknown key "grant": want "grants"?`},
		{"an unknown table", site + plugin + "[server]\nport = 1\n", `edge.toml:7: unknown key "server": want one of deployment`},
		{"no name", "[[deployment]]\nhosts = [\"*\"]\n", `deployment "": name: want 1 to 63`},
		{"a bad name", "[[deployment]]\nname = \"A b\"\nhosts = [\"*\"]\n", `deployment "A b": name: want`},
		{"a name twice", site + plugin + strings.Replace(site, "*", "x", 1) + plugin, `edge.toml:8: deployment "d": name: there are two of that name, the other at line 2: want`},
		{"no hosts", "[[deployment]]\nname = \"d\"\n" + plugin, `deployment "d": hosts: want at least one`},
		{"a host with a port", strings.Replace(site, "*", "a:80", 1) + plugin, `hosts: "a:80": want a name without port`},
		{"a host with a scheme", strings.Replace(site, "*", "http://a", 1) + plugin, "want a name without port"},
		{"a wildcard within", strings.Replace(site, "*", "a.*.b", 1) + plugin, "want a name without port"},
		{"an empty host", strings.Replace(site, "*", "", 1) + plugin, "want a name without port"},
		{"a host twice", site + plugin + strings.Replace(site, `"d"`, `"e"`, 1) + plugin, `edge.toml:9: deployment "e": hosts: "*" belongs to deployment "d" already, at line 3: want each host once`},
		{"a host twice in two forms", strings.Replace(site, `"*"`, `"a.b", "A.B."`, 1) + plugin, `edge.toml:3: deployment "d": hosts: "a.b" belongs to deployment "d" already, at line 3`},
		{"a base URL without scheme", site + "base_url = \"a.example\"\n" + plugin, `edge.toml:4: deployment "d": base_url: "a.example": want a URL`},
		{"a base URL with a slash", site + "base_url = \"https://a.example/\"\n" + plugin, "without a slash"},
		{"an origin with a path", site + "origins = [\"https://a.example/\"]\n" + plugin, `origins: "https://a.example/": want scheme and host`},
		{"negative fuel", site + "fuel_per_second = -1\n" + plugin, `edge.toml:4: deployment "d": fuel_per_second: -1: want a positive number`},
		{"another isolation", site + plugin + "isolation = \"process\"\n", `plugin "p": isolation: "process": want "instance" or "request"`},
		{"a deadline without unit", site + plugin + "deadline = \"2\"\n", `plugin "p": deadline: "2": want a duration`},
		{"no plugins", site, `edge.toml:1: deployment "d": no [[deployment.plugin]]: want at least one`},
		{"a plugin without name", site + "[[deployment.plugin]]\nsource = \"x\"\n", `plugin "": name: want 1 to 23`},
		{"a plugin with a long name", site + strings.Replace(plugin, `"p"`, `"`+strings.Repeat("p", 24)+`"`, 1), "want 1 to 23"},
		{"a plugin twice", site + plugin + plugin, `edge.toml:8: deployment "d": plugin "p": name: there are two of that name, the other at line 5: want`},
		{"no source", site + "[[deployment.plugin]]\nname = \"p\"\n", `edge.toml:4: deployment "d": plugin "p": source: want "embedded:p", "oci://registry/repository:tag" or a file`},
		{"an unknown grant", site + plugin + "grants = [\"kv\", \"root\"]\n", `plugin "p": grants: "root": want one of kv, passwords`},
		{"negative instances", site + plugin + "instances = -1\n", "edge.toml:7: deployment \"d\": plugin \"p\": instances: -1: want a positive number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseManifest("edge.toml", c.text)
			if err == nil || !strings.HasPrefix(err.Error(), "deploy: edge.toml:") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

func TestAManifestIsReadFromAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "edge.toml")
	if _, err := ReadManifest(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("no file: %v", err)
	}
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadManifest(file); err == nil || !strings.Contains(err.Error(), file+":1: ") {
		t.Errorf("no TOML: %v", err)
	}
}

func TestTheDefaultManifestIsAsGoodAsAnother(t *testing.T) {
	m := DefaultManifest("sharing", "signing")
	if p := m.Deployments[0].Plugins; strings.Join(p[0].Grants, " ") != "kv passwords events blobs mail" || strings.Join(p[1].Grants, " ") != "kv passwords events blobs" {
		t.Errorf("grants %q and %q", p[0].Grants, p[1].Grants)
	}
	got, err := ParseManifest("default", m.Deployments[0].TOML())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got  %+v\nwant %+v", got, m)
	}
}

func FuzzManifest(f *testing.F) {
	f.Add("[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p\"\nmemory = \"1MiB\"\n")
	f.Add(everything)
	f.Add("deployment = [{name = 'd', hosts = [\"\"\"*\"\"\"], plugin = [{name = 'p', source = '''p''', config = {a.b = 1}}]}]\n")
	f.Add("[deployment]\nname = 1_0\nx.y = 0x1F\nx.y.z = 1e3 # c\n[[deployment]]\n[deployment]\n\"\\u0041\" = 1979-05-27\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseManifest("f", text)
		if err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !strings.HasPrefix(line, "deploy: f:") {
					t.Fatalf("a line without its place: %q", line)
				}
			}
			return
		}
		var texts []string
		for i := range m.Deployments {
			texts = append(texts, m.Deployments[i].TOML())
		}
		again, err := ParseManifest("f", strings.Join(texts, "\n"))
		if err != nil && len(strings.Join(texts, "\n")) <= maxManifest {
			t.Fatalf("read, but not in the canonical form: %v\n%s", err, strings.Join(texts, "\n"))
		}
		if err == nil && !reflect.DeepEqual(again, m) {
			t.Fatalf("got  %+v\nwant %+v", again, m)
		}
	})
}
