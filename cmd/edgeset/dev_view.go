package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/lmittmann/tint"

	"github.com/edgeset/edgeset/host/engine"
)

// A view is what the author of a plugin sees in the terminal: a line for each
// request, under it what the plugin logged and how it failed, and what becomes of
// each change of its sources.
type view struct {
	out     *terminal
	colours bool
	host    slog.Handler // prints what the host says of neither a request nor a plugin
	now     func() time.Time
	// patience is how long lines wait for the end of the request that they belong to.
	patience time.Duration

	mu       sync.Mutex
	requests map[string]*held // by id
	plugins  map[string]*held // by name: what it wrote to stdout and stderr
	lines    int              // held
	number   int              // of the next line
}

// held are lines that wait for the line of their request.
type held struct {
	lines []heldLine
	timer *time.Timer
}

// heldLine is a line and the plugin that it is of.
type heldLine struct {
	number       int // in the order of their coming
	plugin, text string
}

// linePatience is how long lines wait: longer than nearly all requests take, and no
// longer than somebody who watches does.
const linePatience = 500 * time.Millisecond

// maxHeld bounds the lines that wait.
const maxHeld = 10000

// terminal is written to in whole lines, by one at a time.
type terminal struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer. It never fails: there is nobody to tell.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = t.w.Write(p)
	return len(p), nil
}

// newView returns a view on a file; with colours if that is a terminal whose user
// does not say otherwise.
func newView(f *os.File) *view {
	info, err := f.Stat()
	colours := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return viewOn(f, colours)
}

func viewOn(w io.Writer, colours bool) *view {
	out := &terminal{w: w}
	return &view{
		out: out, colours: colours, now: time.Now, patience: linePatience,
		host:     tint.NewHandler(out, &tint.Options{Level: slog.LevelInfo, TimeFormat: time.TimeOnly, NoColor: !colours}),
		requests: map[string]*held{}, plugins: map[string]*held{},
	}
}

// Colours.
const (
	faint  = "2"
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (v *view) paint(colour, s string) string {
	if !v.colours || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

// say prints a line with the time, and the lines of more under it.
func (v *view) say(colour, text string, more ...string) {
	var b strings.Builder
	head, rest, _ := strings.Cut(text, "\n")
	v.line(&b, v.now(), v.paint(colour, printable(head)))
	if rest != "" {
		more = append(strings.Split(rest, "\n"), more...)
	}
	for _, line := range more {
		b.WriteString(margin + printable(line) + "\n")
	}
	_, _ = v.out.Write([]byte(b.String()))
}

// margin is what stands before lines that belong to the one above.
const margin = "          "

func (v *view) line(b *strings.Builder, at time.Time, text string) {
	b.WriteString(v.paint(faint, at.Format(time.TimeOnly)) + "  " + text + "\n")
}

// access returns the log that takes a record of each request, logs the one for all
// that the host and its plugins say.
func (v *view) access() *slog.Logger { return slog.New(viewLog{view: v, access: true}) }
func (v *view) logs() *slog.Logger   { return slog.New(viewLog{view: v}) }

// viewLog is a view as the handler of a log.
type viewLog struct {
	view   *view
	access bool
	with   []slog.Attr
}

// Enabled implements slog.Handler: what is shown is known by who says it.
func (l viewLog) Enabled(context.Context, slog.Level) bool { return true }

// WithAttrs implements slog.Handler.
func (l viewLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	l.with = append(l.with[:len(l.with):len(l.with)], attrs...)
	return l
}

// WithGroup implements slog.Handler. The host's logs have no groups.
func (l viewLog) WithGroup(string) slog.Handler { return l }

// Handle implements slog.Handler.
func (l viewLog) Handle(ctx context.Context, r slog.Record) error {
	attrs := map[string]slog.Value{}
	for _, a := range l.with {
		attrs[a.Key] = a.Value
	}
	r.Attrs(func(a slog.Attr) bool {
		attrs[a.Key] = a.Value
		return true
	})
	text := func(key string) string {
		if v, ok := attrs[key]; ok {
			return v.String()
		}
		return ""
	}
	v := l.view
	_, written := attrs["line"]
	_, ofRequest := attrs["request"]
	switch {
	case l.access:
		v.request(r.Time, text, attrs["took"].Duration(), int(attrs["status"].Int64()), int(attrs["retries"].Int64()), attrs["fuel"].Uint64())
	case written && text("plugin") != "":
		v.hold(v.plugins, text("plugin"), text("plugin"), text("line"))
	case ofRequest:
		lines := []string{levelWord(r.Level) + strings.ReplaceAll(r.Message, "\n", "\n       ")}
		if err, ok := attrs["error"].Any().(error); ok {
			lines = failure(err)
		}
		key := text("request")
		if key == "start" || key == "describe" { // no request, but the host that loads a plugin
			key += " " + text("plugin")
		}
		v.hold(v.requests, key, text("plugin"), lines...)
	case r.Level >= slog.LevelWarn, r.Level >= slog.LevelInfo && text("plugin") != "":
		record := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
		record.AddAttrs(l.with...)
		r.Attrs(func(a slog.Attr) bool { record.AddAttrs(a); return true })
		return v.host.Handle(ctx, record)
	}
	return nil
}

func levelWord(l slog.Level) string {
	switch {
	case l >= slog.LevelError:
		return "error  "
	case l >= slog.LevelWarn:
		return "warn   "
	case l >= slog.LevelInfo:
		return "info   "
	}
	return "debug  "
}

// failure is what is said of a request that failed: how the plugin trapped and
// where, or the whole error.
func failure(err error) []string {
	var trap *engine.TrapError
	if !errors.As(err, &trap) {
		return []string{levelWord(slog.LevelError) + err.Error()}
	}
	text := levelWord(slog.LevelError) + "the plugin trapped: "
	if trap.Said != "" {
		// Its own stack, with lines of its sources, is in what it wrote.
		return []string{text + trap.Said}
	}
	lines := []string{text + trap.Cause}
	for line := range strings.Lines(trap.Stack) {
		if lines = append(lines, "       "+strings.TrimSpace(line)); len(lines) > maxTrapStack {
			break
		}
	}
	return lines
}

// maxTrapStack bounds the functions that are shown of a stack of WebAssembly.
const maxTrapStack = 12

// hold keeps lines for the request that they belong to. One that lasts, such as a
// stream, does not keep them from being seen.
func (v *view) hold(in map[string]*held, key, plugin string, lines ...string) {
	v.mu.Lock()
	h := in[key]
	if h == nil {
		h = &held{}
		in[key] = h
		h.timer = time.AfterFunc(v.patience, func() { v.printHeld(in, key, h) })
	}
	for _, text := range lines {
		for line := range strings.SplitSeq(text, "\n") {
			h.lines = append(h.lines, heldLine{v.number, plugin, line})
			v.number++
			v.lines++
		}
	}
	full := v.lines > maxHeld
	v.mu.Unlock()
	if full {
		v.printHeld(in, key, h)
	}
}

// release returns the lines that were held, and forgets them. With h it does so only
// if these are the ones.
func (v *view) release(in map[string]*held, key string, h *held) []heldLine {
	v.mu.Lock()
	defer v.mu.Unlock()
	found := in[key]
	if found == nil || h != nil && found != h {
		return nil
	}
	found.timer.Stop()
	delete(in, key)
	v.lines -= len(found.lines)
	return found.lines
}

// printHeld prints lines whose request has not ended, or that belong to none.
func (v *view) printHeld(in map[string]*held, key string, h *held) {
	lines := v.release(in, key, h)
	if len(lines) == 0 {
		return
	}
	var b strings.Builder
	v.line(&b, v.now(), printable(lines[0].plugin)+":")
	v.under(&b, lines, lines[0].plugin)
	_, _ = v.out.Write([]byte(b.String()))
}

// under prints lines below the one that they belong to, which is of a plugin.
func (v *view) under(b *strings.Builder, lines []heldLine, plugin string) {
	for _, l := range lines {
		text := v.paint(lineColour(l.text), printable(l.text))
		if l.plugin != plugin {
			text = printable(l.plugin) + ": " + text
		}
		b.WriteString(strings.TrimRight(margin+text, " ") + "\n")
	}
}

// flush prints all that is held.
func (v *view) flush() {
	for _, in := range []map[string]*held{v.plugins, v.requests} {
		v.mu.Lock()
		all := make(map[string]*held, len(in))
		for key, h := range in {
			all[key] = h
		}
		v.mu.Unlock()
		for key, h := range all {
			v.printHeld(in, key, h)
		}
	}
}

// request prints a request that was answered, with what belongs to it.
func (v *view) request(at time.Time, text func(key string) string, took time.Duration, status, retries int, fuel uint64) {
	colour := map[int]string{2: green, 3: cyan, 4: yellow, 5: red}[status/100]
	where := v.paint(faint, "no route")
	if text("route") != "" {
		where = v.paint(faint, fuelWords(fuel)+", "+text("plugin")+" "+printable(text("route")))
	}
	if retries > 0 {
		where += v.paint(yellow, fmt.Sprintf(", run %d times: it met other requests", retries+1))
	}
	var b strings.Builder
	v.line(&b, at, fmt.Sprintf("%s  %-6s %-28s %8s  %s",
		v.paint(colour, fmt.Sprint(status)), printable(text("method")), printable(text("path")), span(took), where))
	lines := v.release(v.plugins, text("plugin"), nil)
	lines = append(lines, v.release(v.requests, text("id"), nil)...)
	slices.SortFunc(lines, func(a, b heldLine) int { return a.number - b.number })
	v.under(&b, lines, text("plugin"))
	_, _ = v.out.Write([]byte(b.String()))
}

// lineColour tells errors and warnings from the rest.
func lineColour(line string) string {
	switch {
	case strings.HasPrefix(line, levelWord(slog.LevelError)), strings.HasPrefix(line, "panic: "):
		return red
	case strings.HasPrefix(line, levelWord(slog.LevelWarn)):
		return yellow
	}
	return ""
}

// span is a time as people say it.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d)/1e6)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// fuelWords says what a request has computed: a unit of fuel is about an instruction
// of WebAssembly.
func fuelWords(n uint64) string {
	for _, u := range []struct {
		of   float64
		word string
	}{{1e9, "billion"}, {1e6, "million"}, {1e3, "thousand"}} {
		// What would be rounded to a thousand of one unit is one of the next.
		switch f := float64(n) / u.of; {
		case f >= 9.95:
			return fmt.Sprintf("%.0f %s instructions", f, u.word)
		case f >= 0.9995:
			return fmt.Sprintf("%.1f %s instructions", f, u.word)
		}
	}
	return fmt.Sprintf("%d instructions", n)
}

// printable is a text without what would steer a terminal: paths come from clients,
// and lines from plugins.
func printable(s string) string {
	if !strings.ContainsFunc(s, steers) {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		switch {
		case c == '\t':
			b.WriteString("    ")
		case c == unicode.ReplacementChar:
			b.WriteString("\\ufffd")
		case steers(c):
			fmt.Fprintf(&b, "\\u%04x", c)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func steers(c rune) bool {
	return unicode.IsControl(c) || c == unicode.ReplacementChar || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c)
}
