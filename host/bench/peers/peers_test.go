package main

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/bench/peers/app"
	"github.com/edgeset/edgeset/host/bench/peers/trail"
)

// newTestSide is a side whose server is in the process of the test.
func newTestSide(t *testing.T) *side {
	t.Helper()
	trails, err := trail.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: func(c *fasthttp.RequestCtx) { answer(t, trails, c) }}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	s := newSide("test", l.Addr().String(), &process{cmd: &exec.Cmd{Process: self}})
	s.token = token
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		if err := server.Shutdown(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := trails.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// answer is a peer whose app is no guest.
func answer(t *testing.T, trails *trail.Store, c *fasthttp.RequestCtx) {
	r, ok := trail.Tokens{token: "ann"}.Route(string(c.Method()), string(c.Path()), string(c.Request.Header.Peek("Authorization")))
	if !ok {
		c.SetStatusCode(401)
		return
	}
	var room app.Room
	status, reply, now := 200, []byte(app.Empty), time.Now().UnixMilli()
	var err error
	switch r.Kind {
	case trail.Empty:
	case trail.Create:
		id, code, made := trails.Create(c, r.Owner)
		err = made
		reply, _ = json.Marshal(map[string]any{"response": map[string]string{"id": id, "code": code}})
	default:
		err = trails.Update(c, func(ctx context.Context) error {
			if r.Kind == trail.Append {
				status, reply = room.Upload(trail.From(ctx), nil, r.Owner, r.ID, c.PostBody(), now)
			} else {
				next, _ := strconv.ParseInt(string(c.QueryArgs().Peek("next")), 10, 64)
				status, reply = room.View(trail.From(ctx), nil, r.ID, "me", next, now)
			}
			return nil
		})
	}
	if err != nil {
		t.Error(err)
	}
	c.SetStatusCode(status)
	c.SetBody(reply)
}

func TestCompare(t *testing.T) {
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Skip(err)
	}
	sides := [2]*side{newTestSide(t), newTestSide(t)}
	for _, s := range sides {
		if err := s.share(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range exchanges {
		r, err := compare(t.Context(), &exchanges[i], plan{rounds: 1, time: 20 * time.Millisecond}, sides)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range r.rows() {
			if !strings.HasPrefix(row.Name, exchanges[i].name) || !(row.Ours > 0) || !(row.Theirs > 0) || !(row.Ratio > 0) {
				t.Errorf("%+v", row)
			}
		}
	}
	wrong := exchanges[0]
	wrong.expect = "something else"
	if _, err := sides[0].run(t.Context(), &wrong, full(10*time.Millisecond)); err == nil {
		t.Error("answers that are not the expected ones were counted")
	}
}

func TestRowsAreMedians(t *testing.T) {
	side := func(cpu ...float64) (v []sample) {
		for _, x := range cpu {
			v = append(v, sample{perCPU: x, p50: x / 10, p99: x})
		}
		return v
	}
	r := result{exchange: &exchanges[0], peer: "node", rate: 100, full: [2][]sample{side(50, 40, 30), side(10, 20, 30)}, steady: [2][]sample{side(2, 1, 3), side(4, 5, 6)}}
	var out strings.Builder
	if err := printResults(&out, []*result{&r}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	cells := strings.Fields(strings.NewReplacer("|", " ", "±", " ", "%", " ").Replace(lines[len(lines)-1]))
	want := "http/empty node 40 25 20 50 **2.00** 100 0.40 0.20 : 0.50 2.00 : 5.00"
	if got := strings.Join(cells, " "); len(lines) != 3 || got != want {
		t.Errorf("%q, want %q:\n%s", got, want, out.String())
	}
	rows := r.rows()
	if len(rows) != 4 || rows[0].Ratio != 2 || rows[3].Ratio != 2.5 || rows[3].Unit != "ms" || rows[3].Name != "http/empty/p99" {
		t.Errorf("%+v", rows)
	}
}

func TestCPUTimeIsThatOfTheProcess(t *testing.T) {
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Skip(err)
	}
	x := 1.0
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		for range 1000 {
			x = math.Sqrt(x + 1)
		}
		after, err := cpuTime(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after-before >= 5*time.Millisecond {
			return
		}
	}
	t.Errorf("no time was counted (%v)", x)
}

func TestAServerThatEndsIsNotReady(t *testing.T) {
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	_, err = start(t.Context(), exec.Command(os.Args[0], "-test.run", "^$"), t.TempDir(), addr)
	if err == nil || !strings.Contains(err.Error(), "ended while it started") {
		t.Errorf("error %v", err)
	}
}

func TestTheSharingPluginCanBeBuiltAsAServer(t *testing.T) {
	t.Chdir("../../..")
	w, err := newWorkshop()
	if err != nil {
		t.Fatal(err)
	}
	w.dir = t.TempDir()
	file, err := w.nativeMain()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if err := json.Unmarshal(text, &overlay); err != nil || len(overlay.Replace) != 2 {
		t.Errorf("%s: %v", text, err)
	}
}

func TestChoose(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != len(peers) {
		t.Errorf("%d, %v", len(all), err)
	}
	if two, err := choose("node,native"); err != nil || len(two) != 2 || two[0].name != "node" || two[1].name != "native" {
		t.Errorf("%v, %v", two, err)
	}
	if _, err := choose("deno"); err == nil {
		t.Error("there is no such peer")
	}
}
