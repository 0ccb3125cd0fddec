package admin

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/rollout"
)

func TestAChangeThatPanicsCostsItsAnswerAlone(t *testing.T) {
	f := &fake{during: func(context.Context, func(rollout.Event)) error { panic("as asked") }}
	r := newRig(t, "secret", f)
	for _, accept := range []string{"application/json", ndjson} {
		status, _, body := r.ask("POST /v1/deployments/eu/rollback", "", "Accept", accept)
		if accept == ndjson && (status != 200 || !strings.Contains(body, `"error":{"status":500,"code":"internal"`)) ||
			accept != ndjson && (status != 500 || !strings.Contains(body, `"internal"`)) {
			t.Errorf("%s: status %d: %s", accept, status, body)
		}
		if strings.Contains(body, "as asked") {
			t.Errorf("%s: what the log is for: %s", accept, body)
		}
	}
	if status, _, _ := r.do("GET /healthz", ""); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestAPluginThatIsDamagedInTheLibraryCanBePutInAgain(t *testing.T) {
	dir := t.TempDir()
	library, err := artifact.OpenLibrary(dir)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "secret", &fake{})
	r.server.config.Library = library
	wasm := "\x00asm and more"
	d := artifact.DigestOf([]byte(wasm))
	path := " /v1/plugins/" + string(d)
	if status, _, body := r.ask("PUT"+path, wasm); status != 201 {
		t.Fatalf("status %d: %s", status, body)
	}
	if status, _, body := r.ask("HEAD"+path, ""); status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	if err := os.WriteFile(filepath.Join(dir, d.Hex()+".wasm"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := r.ask("HEAD"+path, ""); status != 404 {
		t.Errorf("status %d: want the plugin to be sent again", status)
	}
	if status, _, body := r.ask("PUT"+path, wasm); status != 201 {
		t.Errorf("status %d: %s", status, body)
	}
	if got, err := library.Get(d); err != nil || string(got) != wasm {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAPluginThatIsAskedForCountsAsNew(t *testing.T) {
	dir := t.TempDir()
	library, err := artifact.OpenLibrary(dir)
	if err != nil {
		t.Fatal(err)
	}
	d, err := library.Put([]byte("wasm"))
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t, "secret", &fake{})
	r.server.config.Library = library
	old := time.Now().Add(-24 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, d.Hex()+".wasm"), old, old); err != nil {
		t.Fatal(err)
	}
	// The manifest that names it is about to follow.
	if status, _, body := r.ask("HEAD /v1/plugins/"+string(d), ""); status != 200 {
		t.Fatalf("status %d: %s", status, body)
	}
	if err := library.Prune(nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	if !library.Has(d) {
		t.Error("it is pruned as soon as it was found")
	}
}

func TestAPathThatSteersATerminalLeadsNowhere(t *testing.T) {
	f := &fake{}
	r := newRig(t, "secret", f)
	for _, name := range []string{"e%1bu", "e%00u", "e%C2%9Bu", "e%E2%80%AEu", "e%FFu"} {
		if status, _, body := r.ask("PUT /v1/deployments/"+name+"/secrets/signing/key", "value"); status != 404 {
			t.Errorf("%s: status %d: %s", name, status, body)
		}
	}
	if call, _ := f.asked(); call != "" {
		t.Errorf("asked %q", call)
	}
}

func TestWhatIsWrongIsToldWithoutWhatSteersATerminal(t *testing.T) {
	said := "line 1\n\tline 2 \x1b[2J\u009b31m\u202e\x00\xff \"quoted\" é"
	f := &fake{err: &rollout.InvalidError{Err: errors.New(said)}}
	r := newRig(t, "secret", f)
	want := "line 1\n\tline 2 \ufffd[2J\ufffd31m\ufffd\ufffd\ufffd \"quoted\" é"
	for _, accept := range []string{"application/json", ndjson} {
		_, _, body := r.ask("POST /v1/deployments/eu/rollback", "", "Accept", accept)
		var told struct{ Error struct{ Message string } }
		if err := json.Unmarshal([]byte(body), &told); err != nil || told.Error.Message != want {
			t.Errorf("%s: %q, %v", accept, told.Error.Message, err)
		}
	}
}
