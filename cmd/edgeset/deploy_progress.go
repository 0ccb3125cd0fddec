package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/edgeset/edgeset/host/rollout"
)

// progress shows how far a change has come: on a terminal as one line that is drawn
// again, elsewhere as a line for each step.
type progress struct {
	w      io.Writer
	redraw bool

	mu   sync.Mutex // an upload may be answered while it is still being sent
	last string
}

func newProgress(f *os.File) *progress { return &progress{w: f, redraw: isTerminal(f)} }

// isTerminal tells whether there is somebody at the other end of a file.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull) // is a device like a terminal
	return err != nil || !os.SameFile(info, null)
}

// lineWidth is how much of a line is drawn: what is wrapped cannot be drawn again.
const lineWidth = 79

// show shows a step, and on a terminal how much of it is done.
func (p *progress) show(step, done string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.redraw {
		if step != p.last {
			fmt.Fprintln(p.w, step)
		}
		p.last = step
		return
	}
	text := step
	if done != "" {
		text += "  " + done
	}
	if r := []rune(text); len(r) > lineWidth {
		text = string(r[:lineWidth-1]) + "…"
	}
	fmt.Fprint(p.w, "\r\x1b[K"+text)
	p.last = text
}

// end takes the line away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.redraw && p.last != "" {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.last = ""
}

// event shows an event of the host.
func (p *progress) event(e rollout.Event) {
	step := map[string]string{
		"resolve": "finding", "pull": "pulling", "load": "loading", "check": "checking", "migrate": "migrating",
		"probe": "probing", "record": "recording", "swap": "swapping",
	}[e.Stage]
	if step == "" {
		return
	}
	of := e.Deployment
	if e.Plugin != "" {
		of = strings.TrimPrefix(of+"/"+e.Plugin, "/")
	}
	if of != "" {
		step += " " + of
	}
	if e.Text != "" {
		step += ": " + e.Text
	}
	done := ""
	switch {
	case e.Stage == "pull" && e.Total > 0:
		done = part(e.Done, e.Total)
	case e.Stage == "migrate" && e.Done > 0:
		done = strconv.FormatInt(e.Done, 10) + " entries"
	}
	p.show(printable(step), done)
}

// part says how much of so many bytes is done.
func part(done, total int64) string {
	return fmt.Sprintf("%.1f of %.1f MiB", float64(done)/(1<<20), float64(total)/(1<<20))
}

// follow shows the events of a change as they come, and returns what came out of it.
func (p *progress) follow(stream io.Reader) (*rollout.Result, error) {
	for lines := json.NewDecoder(stream); ; {
		var line struct {
			Event  *rollout.Event
			Result *rollout.Result
			Error  *struct {
				Status        int
				Code, Message string
			}
		}
		err := lines.Decode(&line)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("the admin API: the answer breaks off, so the change may have been made or not: see edgeset deploy list")
		case err != nil:
			return nil, fmt.Errorf("the admin API: %w", err)
		case line.Error != nil && line.Error.Status == 422:
			return nil, errors.New(line.Error.Message) // one fault a line, each with its place
		case line.Error != nil:
			return nil, &refusal{line.Error.Status, line.Error.Code, line.Error.Message, fmt.Sprint(line.Error.Status, " ", http.StatusText(line.Error.Status))}
		case line.Result != nil:
			return line.Result, nil
		case line.Event != nil:
			p.event(*line.Event)
		}
	}
}
