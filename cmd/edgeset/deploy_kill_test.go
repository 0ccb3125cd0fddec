package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/rollout"
)

var deployKills = flag.Int("deploy-kills", 40, "how often TestADeployIsKilled kills the server")

// A history is what is known of a deployment: what serves of it, and the marks of its
// versions.
type history struct {
	last, current, previous, canary int
	marks                           map[int]string
}

// with returns the history with one more version.
func (h history) with(mark string) history {
	h.last++
	h.marks = maps.Clone(h.marks)
	if h.marks == nil {
		h.marks = map[int]string{}
	}
	h.marks[h.last] = mark
	return h
}

// serves returns the history with its newest version as the current one.
func (h history) serves() history {
	h.previous, h.current = h.current, h.last
	return h
}

// A step is a change of deployments "a" and "b", and what they are after it.
type step struct {
	name, method, path string
	body               map[string]any
	uploads            [][]byte
	after              map[string]history
}

// steps returns what can be done with the deployments as they are. A new version has
// the mark.
func steps(now map[string]history, mark string) []step {
	a, b := now["a"], now["b"]
	deploy := func(name string, canary any, list ...string) step {
		st := step{name: name, method: "POST", path: "/v1/deploy", body: map[string]any{"by": "ann"}, after: maps.Clone(now)}
		text, uploads := "", map[string]any{}
		for _, d := range list {
			text += fmt.Sprintf("[[deployment]]\nname = %q\nhosts = [\"%s.test\"]\n", d, d)
			for _, plugin := range []string{"p", "q"} {
				wasm := tiny{name: plugin, mark: mark}.wasm()
				st.uploads = append(st.uploads, wasm)
				uploads[plugin+".wasm"] = map[string]string{"digest": string(artifact.DigestOf(wasm))}
				text += fmt.Sprintf("[[deployment.plugin]]\nname = %q\nsource = \"%s.wasm\"\n", plugin, plugin)
			}
		}
		st.body["manifest"], st.body["uploads"] = text, uploads
		if canary != nil {
			st.body["canary"] = canary
		}
		return st
	}
	change := func(name string, h history) step {
		st := step{name: name, method: "POST", path: "/v1/deployments/a/" + name, body: map[string]any{"by": "ann"}, after: maps.Clone(now)}
		st.after["a"] = h
		return st
	}
	var list []step
	if a.canary == 0 {
		both := deploy("deploy", nil, "a", "b")
		both.after["a"], both.after["b"] = a.with(mark).serves(), b.with(mark).serves()
		list = append(list, both, both) // of all the most important
		if a.previous != 0 {
			list = append(list, change("rollback", a.with(a.marks[a.previous]).serves()))
		}
		if a.current != 0 {
			tried := deploy("canary", map[string]any{"share": 0.5}, "a")
			next := a.with(mark)
			next.canary = next.last
			tried.after["a"] = next
			list = append(list, tried, tried)
		}
	} else {
		promoted, aborted := a, a
		promoted.previous, promoted.current, promoted.canary = a.current, a.canary, 0
		aborted.canary = 0
		list = append(list, change("promote", promoted), change("promote", promoted), change("abort", aborted))
	}
	if a.current != 0 {
		removed := a
		removed.previous, removed.current, removed.canary = a.current, 0, 0
		st := change("remove", removed)
		st.method, st.path, st.body = "DELETE", "/v1/deployments/a?by=ann", nil
		list = append(list, st)
	}
	return list
}

// carryOut sends a step. Each event is told, and what is returned tells whether the
// server has said that it is done; an error is one of the server's.
func (s *site) carryOut(st step, event func()) (done bool, err error) {
	for _, wasm := range st.uploads {
		resp, err := s.http.Do(s.adminRequest("PUT", "/v1/plugins/"+string(artifact.DigestOf(wasm)), bytes.NewReader(wasm)))
		if err != nil {
			return false, nil // it was killed
		}
		resp.Body.Close()
		event()
	}
	var body io.Reader
	if st.body != nil {
		text, err := json.Marshal(st.body)
		if err != nil {
			return false, err
		}
		body = bytes.NewReader(text)
	}
	req := s.adminRequest(st.method, st.path, body)
	req.Header.Set("Accept", "application/x-ndjson")
	resp, err := s.http.Do(req)
	if err != nil {
		return false, nil
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); event() {
		var line struct {
			Result *rollout.Result
			Error  *struct{ Message string }
		}
		switch err := json.Unmarshal(lines.Bytes(), &line); {
		case resp.StatusCode != http.StatusOK || line.Error != nil:
			return false, fmt.Errorf("%s: %d %s", st.name, resp.StatusCode, lines.Bytes())
		case err != nil: // half a line
			return false, nil
		case line.Result != nil:
			return true, nil
		}
	}
	return false, nil
}

// killedWhile carries a step out and kills the server meanwhile: behind so many events,
// or, if the step ends before, when it has.
func (s *site) killedWhile(st step, events int, delay time.Duration) (done bool) {
	s.t.Helper()
	reached, ended := make(chan struct{}, 1), make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		n := 0
		done, err = s.carryOut(st, func() {
			if n++; n == events {
				reached <- struct{}{}
			}
		})
	}()
	if events > 0 {
		select {
		case <-reached:
		case <-ended:
		}
	}
	time.Sleep(delay)
	s.kill()
	<-ended
	if err != nil {
		s.fatalf("%v", err)
	}
	return done
}

// differs tells what is different from a history in what the server says of a deployment
// and answers for it; "": nothing. Manifests are those of all versions that were seen,
// which never change.
func (s *site) differs(name string, h history, manifests map[string]string) string {
	s.t.Helper()
	status, text := s.send(s.adminRequest("GET", "/v1/deployments/"+name, nil))
	if status == 404 && h.last == 0 {
		return ""
	}
	var now rollout.Status
	if err := json.Unmarshal([]byte(text), &now); err != nil || status != 200 {
		return fmt.Sprintf("%d %s", status, text)
	}
	canary := 0
	if now.Canary != nil {
		canary = now.Canary.Version
	}
	if now.Current != h.current || canary != h.canary {
		return fmt.Sprintf("version %d and canary %d serve", now.Current, canary)
	}
	var list []rollout.Version
	status, text = s.send(s.adminRequest("GET", "/v1/deployments/"+name+"/versions", nil))
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) != min(h.last, 100) || list[0].Number != h.last {
		return fmt.Sprintf("there are other versions: %d %s", status, text)
	}
	for _, v := range list {
		key := fmt.Sprint(name, "@", v.Number)
		if v.Plugins[0].Version != h.marks[v.Number] || v.Plugins[1].Version != h.marks[v.Number] {
			return fmt.Sprintf("version %d is of %+v", v.Number, v.Plugins)
		}
		if before, seen := manifests[key]; seen && before != v.Manifest {
			return fmt.Sprintf("version %d was of %s\nand is of %s", v.Number, before, v.Manifest)
		}
		manifests[key] = v.Manifest
	}
	for client := range 6 {
		mark := s.mark(tinies{name: name}, "X-Forwarded-For", fmt.Sprint("192.0.2.", client))
		if mark != h.marks[h.current] && (h.canary == 0 || mark != h.marks[h.canary]) {
			return fmt.Sprintf("it answers with mark %q", mark)
		}
	}
	return ""
}

// Whenever the server is killed, it serves whole versions after the next start: those
// from before the change, or those from after it, and these if it has said so.
func TestADeployIsKilled(t *testing.T) {
	t.Parallel()
	kills := *deployKills
	if testing.Short() {
		kills = min(kills, 8)
	}
	s := newSite(t, "--trusted-proxies", "127.0.0.1/32")
	s.deploy(tinies{name: "steady", mark: "steady"})
	now, manifests := map[string]history{}, map[string]string{}
	count := map[string]int{}
	for i := range kills {
		list := steps(now, fmt.Sprint("m", i))
		st := list[rand.IntN(len(list))]
		// A deploy tells of some twenty events, other steps of fewer, and what matters is
		// decided by the last of them.
		events := rand.IntN(25)
		if rand.IntN(2) == 0 {
			events = lastEvents(st) - rand.IntN(4)
		}
		done := s.killedWhile(st, events, rand.N(3*time.Millisecond))
		for range rand.IntN(2) {
			s.launch()
			time.Sleep(rand.N(500 * time.Millisecond))
			s.kill()
		}
		s.start()
		compare := func(all map[string]history) (text string) {
			for _, name := range []string{"a", "b"} {
				if why := s.differs(name, all[name], manifests); why != "" {
					text += fmt.Sprintf("%s, want %+v: %s\n", name, all[name], why)
				}
			}
			return text
		}
		after := compare(st.after)
		switch {
		case after == "":
			now = st.after
			count[st.name+" made"]++
		case done:
			s.fatalf("kill %d, %s was acknowledged:\n%s", i, st.name, after)
		default:
			if before := compare(now); before != "" {
				s.fatalf("kill %d, %s is neither made nor not made:\n%s%s", i, st.name, before, after)
			}
			count[st.name+" not made"]++
		}
		s.wantMark("steady", "steady")
	}
	t.Logf("%d kills: %v", kills, count)
}

// lastEvents is how many events a step tells of, with its uploads.
func lastEvents(st step) int {
	n := len(st.uploads)
	switch st.name {
	case "deploy", "canary":
		// Each plugin is found and loaded, each deployment is asked; all are checked,
		// recorded and swapped.
		return n + 2*n + n/2 + 4
	case "rollback":
		return 9
	case "remove":
		return 3
	}
	return 0
}
