package rollout

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/store"
)

const password = "s3cret-pass-phrase"

func TestASecretReachesItsPluginAndNobodyElse(t *testing.T) {
	r := started(t)
	s := spec{name: "eu", mark: "a", plugin: `secrets = ["password"]`}
	_, err := r.c.Deploy(t.Context(), request(s))
	refused(t, err, nil, "password", `plugin "probe"`)
	must(t, r.c.SetSecret(t.Context(), "eu", "probe", "password", password, Change{By: "ann", Message: "new"}))
	r.wants(r.deploy(s), "eu created 1 0")
	setting := func() string {
		t.Helper()
		a, err := r.call("GET /p/setting/password", "eu.test")
		must(t, err)
		return strings.TrimSpace(a.text)
	}
	if got := setting(); got != fmt.Sprintf("%q", password) {
		t.Errorf("the plugin reads %s", got)
	}
	// A plugin that says it, in its log and on stderr, and with its last words.
	if a, err := r.call("GET /p/says/password", "eu.test"); err != nil || a.status != 200 {
		t.Errorf("%+v, %v", a, err)
	}
	if a, err := r.call("GET /p/panics/password", "eu.test"); err != nil || a.status != 500 {
		t.Errorf("%+v, %v", a, err)
	}

	r.wants(r.deploy(s), "eu unchanged 1 1")
	must(t, r.c.SetSecret(t.Context(), "eu", "probe", "password", password+"2", Change{By: "ann"}))
	if got := setting(); got != fmt.Sprintf("%q", password) {
		t.Errorf("before the next deploy it reads %s", got)
	}
	r.wants(r.deploy(s), "eu swapped 2 1")
	if got := setting(); got != fmt.Sprintf("%q", password+"2") {
		t.Errorf("the plugin reads %s", got)
	}
	v, err := r.c.Version(t.Context(), "eu", 2)
	must(t, err)
	if v.Secrets["probe/password"] != 2 {
		t.Errorf("%+v", v)
	}
	if list, err := r.c.Secrets(t.Context(), "eu"); err != nil || len(list) != 1 || list[0].Revision != 2 {
		t.Errorf("%+v, %v", list, err)
	}
	m, err := deploy.ParseManifest("m.toml", manifest(s))
	must(t, err)
	failed := errors.New("it said " + password + "2 and failed")
	if err := r.c.told(t.Context(), m.Deployments, failed); err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), "and failed") {
		t.Errorf("%v", err)
	}
	refused(t, r.c.DeleteSecret(t.Context(), "eu", "probe", "password", Change{}), ErrRefused, "version 2 serves and names it")
	refused(t, r.c.DeleteSecret(t.Context(), "eu", "probe", "password", Change{Expect: 1}), ErrStale, "the revision is 2")
	r.wants(r.deploy(spec{name: "eu", mark: "a"}), "eu swapped 3 2")
	must(t, r.c.DeleteSecret(t.Context(), "eu", "probe", "password", Change{}))
	refused(t, r.c.DeleteSecret(t.Context(), "eu", "probe", "password", Change{}), ErrNotFound, "password")
	_, err = r.c.Deploy(t.Context(), request(spec{name: "eu", mark: "b", plugin: s.plugin}))
	refused(t, err, nil, "password")

	audit, err := r.c.Audit(t.Context(), "", 100)
	must(t, err)
	list, _ := r.c.List()
	versions, err := r.c.Versions(t.Context(), "eu")
	must(t, err)
	shown, err := json.Marshal([]any{audit, list, versions})
	must(t, err)
	if strings.Contains(string(shown), password) {
		t.Errorf("it is shown: %s", shown)
	}
	if !strings.Contains(string(shown), "probe/password: new") || !strings.Contains(string(shown), `"action":"secret set"`) {
		t.Errorf("the audit log: %s", shown)
	}
	if text := r.log.String(); !strings.Contains(text, "the setting is ") {
		t.Errorf("nothing of the plugin is in the log: %s", text)
	} else if strings.Contains(text, password) {
		at := strings.Index(text, password)
		t.Errorf("it stands in the log: %s", text[max(0, at-300):at+30])
	}
}

func TestTheSecretsOfAnOutboxCountAsThoseOfPluginsDo(t *testing.T) {
	r := started(t)
	const more = "[deployment.mail]\nserver = \"smtp://127.0.0.1:1\"\nuser = \"ann\"\npassword = \"smtp\"\n" +
		"[[deployment.webhook]]\nname = \"sms\"\nurl = \"https://sms.example.com\"\nsecret = \"key\"\n"
	s := spec{name: "eu", mark: "a", more: more}
	set := func(name, value string) {
		t.Helper()
		must(t, r.c.SetSecret(t.Context(), "eu", secret.Outbox, name, value, Change{}))
	}
	set("smtp", password)
	_, err := r.c.Deploy(t.Context(), request(s))
	refused(t, err, nil, `deployment "eu": outbox: `, `secret "key" is not set`)
	set("key", "whsec_"+password+"!") // which is no base64
	_, err = r.c.Deploy(t.Context(), request(s))
	refused(t, err, nil, `deployment "eu": outbox: webhook "sms": `)
	set("key", password)
	r.wants(r.deploy(s), "eu created 1 0")
	r.wants(r.deploy(s), "eu unchanged 1 1")
	set("smtp", password+"2")
	r.wants(r.deploy(s), "eu swapped 2 1")
	v, err := r.c.Version(t.Context(), "eu", 2)
	must(t, err)
	if fmt.Sprint(v.Secrets) != "map[@outbox/key:2 @outbox/smtp:2]" {
		t.Errorf("%+v", v)
	}
	if ways := r.c.running["eu"].current.deployment.Channels; len(ways) != 2 || ways["mail"] == nil || ways["webhook:sms"] == nil {
		t.Errorf("%v", ways)
	}
	m, err := deploy.ParseManifest("m.toml", manifest(s))
	must(t, err)
	failed := errors.New("it said " + password + "2 and failed")
	if err := r.c.told(t.Context(), m.Deployments, failed); err == nil || strings.Contains(err.Error(), password) || !strings.Contains(err.Error(), "and failed") {
		t.Errorf("%v", err)
	}
	refused(t, r.c.DeleteSecret(t.Context(), "eu", secret.Outbox, "key", Change{}), ErrRefused, "version 2 serves and names it")
	r.restart()
	r.wantMark("eu", "a")
	r.wants(r.deploy(spec{name: "eu", mark: "a"}), "eu swapped 3 2")
	must(t, r.c.DeleteSecret(t.Context(), "eu", secret.Outbox, "key", Change{}))
	if strings.Contains(r.log.String(), password) {
		t.Errorf("it stands in the log: %s", r.log)
	}
}

// sign makes keys and a signature of a plugin.
func sign(t *testing.T, wasm []byte) (s *artifact.Signer, keys *artifact.Keys, signature string) {
	t.Helper()
	s, _, public, err := artifact.NewSigner("")
	must(t, err)
	file := filepath.Join(t.TempDir(), "keys.pub")
	must(t, os.WriteFile(file, public, 0o600))
	keys, err = artifact.ReadKeys(file)
	must(t, err)
	return s, keys, s.Sign(wasm, "probe.wasm", time.Now())
}

func TestPluginsThatHaveToBeSigned(t *testing.T) {
	r := newRig(t)
	wasm := probe(t, "two")
	signer, keys, good := sign(t, wasm)
	_, _, stranger := sign(t, wasm)
	_, other := signer, signer.Sign(probe(t, "one"), "probe.wasm", time.Now())
	must(t, r.start("", FromDefault))
	d, err := r.library.Put(wasm)
	must(t, err)
	deploy := func(mark, signature string) (*Result, error) {
		q := request(spec{name: "eu", mark: mark, source: "two.wasm"})
		q.Uploads = map[string]Upload{"two.wasm": {Digest: string(d), Signature: signature}}
		return r.c.Deploy(t.Context(), q)
	}
	_, err = deploy("unsigned", "") // nobody asks for one yet
	must(t, err)
	r.close()
	r.keys = keys
	r.open()
	must(t, r.start("", FromDefault))
	if m := r.mark("eu"); m != "" || !strings.Contains(r.log.String(), "is not signed") {
		t.Errorf("it serves without a signature: %q", m)
	}
	for signature, want := range map[string]string{"": "is not signed", stranger: "key", other: "signature", "nonsense": "signature"} {
		_, err := deploy("a", signature)
		refused(t, err, nil, `deployment "eu": plugin "probe"`, want)
	}
	_, err = deploy("a", good)
	must(t, err)
	v, err := r.c.Version(t.Context(), "eu", 2)
	must(t, err)
	if v.Plugins[0].Signer != signer.ID() || v.Plugins[0].Signature != good {
		t.Errorf("%+v", v.Plugins[0])
	}
	// What came with the binary is trusted as that is.
	r.wants(r.deploy(spec{name: "eu", mark: "b"}), "eu swapped 3 2")
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, nil, "is not signed")
	_, err = r.c.Rollback(t.Context(), "eu", 2, Change{})
	must(t, err)
	r.restart()
	r.wantMark("eu", "a")
	// A file of the host's own manifest has its signature beside it.
	file := filepath.Join(t.TempDir(), "two.wasm")
	must(t, os.WriteFile(file, wasm, 0o600))
	text := manifest(spec{name: "us", mark: "a", source: file})
	if err := r.again(text, FromConfig); err == nil || !strings.Contains(err.Error(), "is not signed") {
		t.Fatalf("%v", err)
	}
	must(t, os.WriteFile(file+artifact.SignatureEnding, []byte(good), 0o600))
	must(t, r.again(text, FromConfig))
	r.wantMark("us", "a")
}

func TestTheAuditLogHasPagesAndAnEnd(t *testing.T) {
	r := started(t)
	for i := range 7 {
		r.c.Note(Entry{Action: "test", Version: i})
	}
	var got []int
	for before := ""; ; {
		page, err := r.c.Audit(t.Context(), before, 3)
		must(t, err)
		for _, e := range page {
			got = append(got, e.Version)
			before = e.ID
		}
		if len(page) < 3 {
			break
		}
	}
	if fmt.Sprint(got) != "[6 5 4 3 2 1 0]" {
		t.Errorf("%v", got)
	}
	for _, before := range []string{"x", "00", strings.Repeat("g", 2*store.StampSize), hex.EncodeToString(make([]byte, 100))} {
		_, err := r.c.Audit(t.Context(), before, 3)
		refused(t, err, ErrRefused, "no id")
	}
	if list, err := r.c.Audit(t.Context(), "", -1); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	const more = keptEntries + 1500
	for left := more; left > 0; {
		n := min(left, 500)
		left -= n
		must(t, r.c.update(t.Context(), func(txn store.Txn) error {
			for range n {
				if err := putEntry(txn, &Entry{Action: "many"}); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	r.c.Note(Entry{Action: "last"})
	must(t, r.c.trimAudit(t.Context()))
	n := 0
	for before := ""; ; n++ {
		page, err := r.c.Audit(t.Context(), before, store.MaxPageSize)
		must(t, err)
		if before == "" && page[0].Action != "last" {
			t.Errorf("the newest is %+v", page[0])
		}
		if len(page) == 0 {
			break
		}
		n += len(page) - 1
		before = page[len(page)-1].ID
	}
	if n != keptEntries {
		t.Errorf("%d lines are left, want %d", n, keptEntries)
	}
}
