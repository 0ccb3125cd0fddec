package secret

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// mark stands where a value stood.
const mark = "[secret]"

// minRedacted is the size from which on a value is redacted. A shorter one stands
// in too many words by chance.
const minRedacted = 4

// cutMark ends a text that was cut because it was too long.
const cutMark = "…"

// Redact replaces each of the values in s, and their forms in URLs and quoted
// texts, by "[secret]". Values of less than 4 bytes stay.
func Redact(s string, values []string) string { return newRedactor(values).text(s) }

// A redactor holds what is replaced, the longest first.
type redactor []string

func newRedactor(values []string) redactor {
	var r redactor
	add := func(form string) {
		if len(form) >= minRedacted {
			r = append(r, form)
		}
	}
	for _, value := range values {
		if len(value) < minRedacted {
			continue
		}
		for _, v := range []string{value, strings.TrimSpace(value)} { // a file often ends with a line break that its reader drops
			add(v)
			add(url.QueryEscape(v))
			add(url.PathEscape(v))
			quoted := strconv.Quote(v)
			add(quoted[1 : len(quoted)-1])
			if b, err := json.Marshal(v); err == nil { // a string: no error
				add(string(b[1 : len(b)-1]))
			}
		}
	}
	slices.SortFunc(r, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(r)
}

// A span is a part of a text, [from, to).
type span struct{ from, to int }

// text returns s without any of the values. Values that overlap go together, as
// what one leaves of the other would tell a part of it.
func (r redactor) text(s string) string {
	found := r.find(s)
	if found == nil {
		return s
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	end := 0 // of what is done with
	for i, f := range found {
		if i == 0 || f.from > end { // one that touches the last shares its mark
			out.WriteString(s[end:f.from])
			out.WriteString(mark)
		}
		end = max(end, f.to)
	}
	out.WriteString(s[end:])
	return out.String()
}

func (r redactor) find(s string) (found []span) {
	for _, value := range r {
		for from := 0; ; {
			i := strings.Index(s[from:], value)
			if i < 0 {
				break
			}
			from += i
			// Of a run of overlapping ones only the last byte moves on.
			if n := len(found); n > 0 && found[n-1].from <= from && from <= found[n-1].to {
				found[n-1].to = max(found[n-1].to, from+len(value))
			} else {
				found = append(found, span{from, from + len(value)})
			}
			from++
		}
	}
	// A text that was cut may end within a value.
	if rest, cut := strings.CutSuffix(s, cutMark); cut {
		for _, value := range r {
			for n := min(len(value)-1, len(rest)); n >= minRedacted; n-- {
				if strings.HasSuffix(rest, value[:n]) {
					found = append(found, span{len(rest) - n, len(rest)})
					break
				}
			}
		}
	}
	return found
}
