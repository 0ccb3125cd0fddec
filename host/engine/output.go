package engine

import (
	"bytes"
	"strings"
)

// Limits of what a guest may write to stdout and stderr: a line that is longer
// is cut into several, and of one call no more is passed on.
const (
	maxLine       = 4 << 10
	maxCallOutput = 64 << 10
)

// output takes what an instance writes to stdout and stderr and passes it on
// line by line. What a Go guest says when it panics arrives this way, and no
// other.
type output struct {
	emit    func(line string)
	dropped func() // is called when something is not passed on
	partial []byte
	written int    // in this call
	said    string // the line that tells of a panic
}

// Write implements io.Writer. It never fails: a guest must not notice whether
// anybody reads.
func (o *output) Write(p []byte) (int, error) {
	n := len(p)
	if room := maxCallOutput - o.written; n > room {
		if room >= 0 {
			o.line(p[:room])
			o.flush()
			o.emit("(further output of this call is dropped)")
		}
		o.written = maxCallOutput + 1
		o.dropped()
		return n, nil
	}
	o.written += n
	o.line(p)
	return n, nil
}

func (o *output) line(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end >= 0 && len(o.partial)+end <= maxLine {
			o.partial = append(o.partial, p[:end]...)
			o.flush()
			p = p[end+1:]
			continue
		}
		n := min(len(p), maxLine-len(o.partial))
		o.partial = append(o.partial, p[:n]...)
		if len(o.partial) == maxLine {
			o.flush()
		}
		p = p[n:]
	}
}

// flush passes on what there is of a line.
func (o *output) flush() {
	if len(o.partial) == 0 {
		return
	}
	s := strings.ToValidUTF8(strings.TrimRight(string(o.partial), "\r"), "\uFFFD")
	o.partial = o.partial[:0]
	if o.said == "" && (strings.HasPrefix(s, "fatal error: ") || strings.Contains(s, "panic")) {
		o.said = s
	}
	o.emit(s)
}

// end is called after each call.
func (o *output) end() {
	if o.written > 0 {
		o.flush()
		o.written, o.said = 0, ""
	}
}
