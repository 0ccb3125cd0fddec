package main_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A logged request is a line of the access log.
type logged struct {
	at     time.Time // of the answer
	route  string
	status int
	took   time.Duration
}

// accessLog reads what the server says of the requests that it answered since a
// time.
func (s *server) accessLog(since time.Time) (list []logged) {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, " msg=request ") {
			continue
		}
		var l logged
		for field := range strings.FieldsSeq(line) {
			switch key, value, _ := strings.Cut(field, "="); key {
			case "time":
				l.at, _ = time.Parse(time.RFC3339, value)
			case "route":
				l.route = value
			case "status":
				l.status, _ = strconv.Atoi(value)
			case "took":
				l.took, _ = time.ParseDuration(value)
			}
		}
		if l.at.After(since) {
			list = append(list, l)
		}
	}
	return list
}

// worstSeconds tells of the seconds with the slowest requests: how many were
// answered in them, how many refused, and the longest time one took. It tells a
// server that is slow from a machine that lets the clients wait.
func worstSeconds(list []logged, begin time.Time) string {
	type second struct {
		at, answered, refused int
		longest               time.Duration
	}
	seconds := map[int]*second{}
	for _, l := range list {
		at := int(l.at.Sub(begin) / time.Second)
		sec := seconds[at]
		if sec == nil {
			sec = &second{at: at}
			seconds[at] = sec
		}
		sec.answered++
		if l.status >= 500 {
			sec.refused++
		}
		sec.longest = max(sec.longest, l.took)
	}
	var all []*second
	for _, sec := range seconds {
		all = append(all, sec)
	}
	slices.SortFunc(all, func(a, b *second) int { return int(b.longest - a.longest) })
	var b strings.Builder
	for _, sec := range all[:min(5, len(all))] {
		fmt.Fprintf(&b, " [second %d: %d answered, %d of them 5xx, longest %v]", sec.at, sec.answered, sec.refused, sec.longest.Round(100*time.Microsecond))
	}
	return b.String()
}
