package socketio_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/realtime/socketio"
)

// needClients ends a test for which Node or the client libraries are missing.
func needClients(t *testing.T) {
	t.Helper()
	const dir = "testdata/clients"
	_, err := exec.LookPath("node")
	for _, library := range []string{"client2", "client3", "client4"} {
		if err == nil {
			_, err = os.Stat(filepath.Join(dir, "node_modules", library))
		}
	}
	if err != nil {
		if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
			t.Fatalf("%v: this test needs Node and what npm ci installs in host/realtime/socketio/%s", err, dir)
		}
		t.Skipf("%v: this test needs Node and what npm ci installs in host/realtime/socketio/%s", err, dir)
	}
}

// conversation is what a client of testdata/clients says. A line with a version in
// front is said by clients of this version only.
const conversation = `
	["connect","/","string",true]
2	["auth","/",{}]
34	["auth","/",{"token":"main"}]
	["echo","/",1,"2",{"3":[true]},null,"grüße 日本 😀 \u2028",1.5,-1e+21]
	["binary echo","/",{"bytes":"0001ff04"},{"deep":[{"bytes":""},"text",{"bytes":"e697a5e69cac"}]}]
	["ack","/",1,"2",{"3":[true]},null,"grüße 日本 😀 \u2028",1.5,-1e+21]
	["binary ack","/",{"bytes":"0001ff04"},{"deep":[{"bytes":""},"text",{"bytes":"e697a5e69cac"}]}]
	["empty ack","/"]
	["acks","/",["a"],["b"],["c"]]
	["count",300,true]
	["transport","TRANSPORT"]
	["count",300,true]
	["connect","/custom","string",true]
	["auth","/custom",{"token":"custom & more"}]
	["echo","/custom",1,"2",{"3":[true]},null,"grüße 日本 😀 \u2028",1.5,-1e+21]
	["binary echo","/custom",{"bytes":"0001ff04"},{"deep":[{"bytes":""},"text",{"bytes":"e697a5e69cac"}]}]
	["ack","/custom",1,"2",{"3":[true]},null,"grüße 日本 😀 \u2028",1.5,-1e+21]
	["binary ack","/custom",{"bytes":"0001ff04"},{"deep":[{"bytes":""},"text",{"bytes":"e697a5e69cac"}]}]
	["empty ack","/custom"]
	["acks","/custom",["a"],["b"],["c"]]
	["refused","Invalid namespace"]
	["expelled","io server disconnect"]
	["still connected","yes"]
	["back","yes"]
	["left","io client disconnect"]
`

// said returns the conversation of a client.
func said(version, transport string) (lines []string) {
	if transport == "upgrade" {
		transport = "websocket"
	}
	for line := range strings.Lines(conversation) {
		versions, text, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if text != "" && (versions == "" || strings.Contains(versions, version)) {
			text = strings.ReplaceAll(text, `\u2028`, "\u2028")
			lines = append(lines, strings.Replace(text, "TRANSPORT", transport, 1))
		}
	}
	return lines
}

func TestRealClientsOfAllVersionsByAllTransports(t *testing.T) {
	needClients(t)
	for _, version := range []string{"2", "3", "4"} {
		for _, transport := range []string{"polling", "websocket", "upgrade"} {
			t.Run(version+" "+transport, func(t *testing.T) {
				t.Parallel()
				r, h := newEcho(t, socketio.Config{})
				ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
				defer cancel()
				cmd := exec.CommandContext(ctx, "node", "client.js", version, transport, "http://"+r.addr)
				cmd.Dir = "testdata/clients"
				cmd.WaitDelay = time.Second
				var stderr strings.Builder
				cmd.Stderr = &stderr
				out, err := cmd.Output()
				got := strings.Split(strings.TrimRight(string(out), "\n"), "\n")
				if want := said(version, transport); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%v\n%sgot:\n%s\nwant:\n%s", err, &stderr, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				r.empty()
				r.eventually("all ends are told", func() bool { return h.left() == 0 })
			})
		}
	}
}
