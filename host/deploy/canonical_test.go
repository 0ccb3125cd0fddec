package deploy

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTheCanonicalFormHasAllThatIsNoDefault(t *testing.T) {
	m, err := ParseManifest("f", everything)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[[deployment]]
name = "eu"
hosts = ["api.example.com", "*.eu.example.com"]
base_url = "https://api.example.com"
origins = ["https://app.example.com"]
fuel_per_second = 50000000
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
queue = 1000
give_up = "1h30m"

[deployment.canary]
min_requests = 10
max_errors = 0.0
max_p99 = 3.0

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
memory = "64MiB"
instances = 3
waiting = 9
max_wait = "250ms"
deadline = "1h"
isolation = "request"
snapshot = true

[deployment.plugin.config]
"dotted.name" = "a \"b\"\n\u0000"
plain = "x"

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
	if got := m.Deployments[0].TOML(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if strings.Contains((&Spec{Name: "d", Canary: DefaultCanary()}).TOML(), "canary") || strings.Contains((&Spec{Name: "d"}).TOML(), "canary") {
		t.Error("the default rule for canaries is written")
	}
}

func TestALongListHasALineForEachEntry(t *testing.T) {
	s := Spec{Name: "d"}
	for i := range 8 {
		s.Hosts = append(s.Hosts, fmt.Sprintf("host-%d.example.com", i))
	}
	if got := s.TOML(); !strings.Contains(got, "hosts = [\n  \"host-0.example.com\",\n") || !strings.Contains(got, "  \"host-7.example.com\",\n]\n") {
		t.Error(got)
	}
}

func TestASpecIsReadBackFromItsCanonicalForm(t *testing.T) {
	for seed := range uint64(300) {
		want := randomSpec(rand.New(rand.NewPCG(seed, 0)))
		text := want.TOML()
		m, err := ParseManifest("f", text)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		if got := m.Deployments[0]; !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d:\ngot  %+v\nwant %+v\n%s", seed, got, want, text)
		}
		if again := m.Deployments[0].TOML(); again != text {
			t.Fatalf("seed %d: got\n%s\nwant\n%s", seed, again, text)
		}
	}
}

// randomSpec makes one that passes all checks.
func randomSpec(r *rand.Rand) Spec {
	from := func(letters string, least, most int) string {
		set, n := []rune(letters), least+r.IntN(most-least+1)
		s := make([]rune, n)
		for i := range s {
			s[i] = set[r.IntN(len(set))]
		}
		return string(s)
	}
	const lower = "abcdefghijklmnopqrstuvwxyz"
	list := func(most int, fn func(i int) string) (all []string) {
		for i := range r.IntN(most + 1) {
			all = append(all, fn(i))
		}
		return all
	}
	maybe := func() bool { return r.IntN(2) == 0 }
	size := func(least, most int64) Size {
		unit := []int64{1, 1 << 10, 1 << 20, 1 << 30}[r.IntN(4)]
		return Size(max(least, min(most, r.Int64N(5000)*unit)))
	}
	s := Spec{Name: "d" + from(lower+"0123456789-", 0, 62), Canary: DefaultCanary()}
	s.Hosts = append(list(6, func(i int) string { return fmt.Sprintf("*.%s%d.example", from(lower, 1, 20), i) }), "a.example")
	s.Origins = list(2, func(int) string { return "https://" + from(lower, 1, 9) })
	if maybe() {
		s.BaseURL, s.FuelPerSecond, s.Memory = "http://"+from(lower, 1, 9)+"/"+from(lower, 1, 9), r.Int64N(maxFuel+1), size(int64(minMemory), int64(maxTotal))
	}
	if maybe() {
		s.Cores = (1 - r.Float64()) * maxCores / []float64{1, 1e3, 1e9}[r.IntN(3)]
		s.Canary = CanaryRule{1 + r.IntN(maxRequests), r.Float64(), 1 + r.Float64()*10}
	}
	for range r.IntN(3) {
		s.Probes = append(s.Probes, ProbeSpec{Path: "/" + from(lower+"/?&=%", 0, 20), Status: 200 + r.IntN(400), Contains: from(lower+"\"\\é", 0, 9)})
	}
	if maybe() {
		s.Mail = MailSpec{From: []string{"", "é \"x\" <" + from(lower, 1, 9) + "@a.example>", from(lower+"0123456789", 1, 9) + "@a"}[r.IntN(3)]}
	}
	if maybe() {
		s.Mail.Server = []string{"smtp", "smtps"}[r.IntN(2)] + "://" + from(lower, 1, 9) + ".example:" + fmt.Sprint(1+r.IntN(65535))
	}
	if s.Mail.Server != "" && maybe() {
		s.Mail.User, s.Mail.Password = from(lower+"@ \"é", 1, 20), from(lower+"._-", 1, 64)
	}
	for i := range r.IntN(3) {
		s.Webhooks = append(s.Webhooks, WebhookSpec{fmt.Sprintf("w%d%s", i, from(lower+"-", 0, 20)), "https://" + from(lower, 1, 9) + "/" + from(lower+"?=&", 0, 9), from(lower, 1, 9)})
	}
	if maybe() {
		s.Outbox = OutboxSpec{
			Rate: float64(r.IntN(2)) * (minRate + r.Float64()*(maxRate-minRate)), PerRecipient: r.IntN(maxRecipient + 1), Queue: r.IntN(maxQueue + 1),
			GiveUp: Duration(r.IntN(2)) * (minGiveUp + Duration(r.Int64N(int64(maxGiveUp-minGiveUp)))),
		}
	}
	for i := range 1 + r.IntN(4) {
		p := PluginSpec{Name: fmt.Sprintf("p%d-%s", i, from(lower, 0, 18)), Source: from(lower+"äü \"'\\#[]{}=,./-", 1, 40)}
		if maybe() {
			p.Source, p.Digest = "oci://r:5000/"+from(lower, 1, 9)+":"+from(lower+"0123456789", 1, 9), "sha256:"+from("0123456789abcdef", 64, 64)
		}
		if maybe() {
			p.Mount = "/" + from(lower+"-_~!$&'()+,;=@", 1, 20) + "/" + from(lower, 1, 9)
			p.Memory, p.Instances, p.Waiting = size(int64(minMemory), int64(maxMemory)), r.IntN(maxInstances+1), r.IntN(maxWaiting+1)
			p.MaxWait, p.Deadline = Duration(1+r.Int64N(int64(maxMaxWait))), Duration(time.Second)*Duration(1+r.Int64N(3600))
			p.Isolation, p.Snapshot = []string{"", perInstance, perRequest}[r.IntN(3)], []*bool{nil, new(bool)}[r.IntN(2)]
		}
		for _, k := range r.Perm(len(grants))[:r.IntN(len(grants)+1)] {
			p.Grants = append(p.Grants, grants[k])
		}
		if i > 0 && maybe() {
			p.Grants = append(p.Grants, "read:"+s.Plugins[i-1].Name)
		}
		for _, w := range s.Webhooks {
			if maybe() {
				p.Grants = append(p.Grants, "webhook:"+w.Name)
			}
		}
		p.Egress = list(3, func(int) string { return "private:" + from(lower, 1, 30) + ".example:8443" })
		p.Secrets = list(4, func(i int) string { return fmt.Sprint("S", i, from(lower+"._-", 0, 60)) })
		for range r.IntN(4) {
			if p.Config == nil {
				p.Config = map[string]string{}
			}
			p.Config[from(lower+" .\"\\\n\x00é€😀=#[]", 0, 9)] = from(lower+" \"'\\\r\n\t\x00\x1b\x7f\u0085é€😀\uFFFD", 0, 50)
		}
		for range r.IntN(3) {
			p.Routes = append(p.Routes, RouteSpec{
				Method: "GET", Pattern: "/" + from(lower+":*/ é", 0, 20), Function: from(lower+"\"", 1, 9), ReadOnly: maybe(),
				Auth: list(2, func(int) string { return from(lower, 0, 9) }), Body: []string{"", "json", "any"}[r.IntN(3)], Deadline: Duration(r.Int64N(int64(maxDeadline) + 1)),
			})
		}
		s.Plugins = append(s.Plugins, p)
	}
	return s
}

func TestSizesAndDurationsAreReadBack(t *testing.T) {
	for size, want := range map[Size]string{1: "1", 1000: "1000", 1 << 10: "1KiB", 1536: "1536", 64 << 20: "64MiB", 3 << 29: "1536MiB", 1 << 40: "1024GiB", 0: "0"} {
		var back Size
		text, err := size.MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%d: got %s, %v, want %s", size, text, err, want)
		}
		if err := back.UnmarshalText(text); size != 0 && (err != nil || back != size) {
			t.Errorf("%s is read as %d, %v", text, back, err)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Nanosecond: "1ns", 1500 * time.Microsecond: "1.5ms", time.Second: "1s", 10 * time.Second: "10s", time.Minute: "1m", 10 * time.Minute: "10m",
		time.Hour: "1h", time.Hour + time.Second: "1h0m1s", 20 * time.Hour: "20h", time.Hour + 10*time.Minute: "1h10m", 90 * time.Second: "1m30s",
	} {
		var back Duration
		text, err := Duration(d).MarshalText()
		if err != nil || string(text) != want {
			t.Errorf("%v: got %s, %v, want %s", d, text, err, want)
		}
		if err := back.UnmarshalText(text); err != nil || time.Duration(back) != d {
			t.Errorf("%s is read as %v, %v", text, time.Duration(back), err)
		}
	}
}
