//go:build !wasip1

package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"
)

var (
	types   = []string{"work", "pulse", "place"}
	sources = []string{"web", "watch", "app"}
)

// An author makes up a history: few people, types, sources and dates, so that
// things meet.
type author struct {
	*rand.Rand
	now         time.Time
	number      int
	dates       []int64 // that have been used, in microseconds
	uuids       []string
	permissions []made
	groups      []made
	listed      []string // gids that have been put on a list
	setBack     bool
	large       bool // many updates at once
	bulk        int  // how many may still come so
	most        int  // the number behind the last of them
}

type made struct {
	who    string
	number int
}

// manyUpdates is set in the seeds of histories in which updates come in bulk.
const manyUpdates = 1 << 32

// newHistory makes a history of about forty steps, at the end of which all is read.
func newHistory(seed uint64) (steps []step) {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	count := 30 + a.IntN(20)
	if seed&manyUpdates != 0 {
		a.bulk, a.large, count = 2400, true, 20
	}
	for i := range count {
		s := a.step(i < 10)
		a.number++
		s.number, s.wait = a.number, a.wait()
		a.now = a.now.Add(s.wait)
		steps = append(steps, s)
	}
	for _, who := range accounts {
		for _, path := range []string{"/v1/status/shared?per_page=500", "/v1/status?per_page=500", "/v1/status/permissions", "/v1/groups"} {
			a.number++
			steps = append(steps, step{number: a.number, who: who, method: "GET", path: path})
		}
	}
	return steps
}

func (a *author) wait() time.Duration {
	switch n := a.IntN(100); {
	case n < 30:
		return 0
	case n < 60:
		return time.Duration(a.IntN(3)) * time.Microsecond
	case n < 85:
		return time.Duration(a.IntN(1e6)) * time.Microsecond
	case n < 95:
		return time.Duration(a.IntN(100)) * time.Minute
	case n < 98:
		return -time.Duration(a.IntN(1e6)) * time.Microsecond
	case n == 98 && !a.setBack:
		a.setBack = true
		return -20 * time.Hour
	}
	return time.Duration(a.IntN(72)) * time.Hour
}

func pick[T any](a *author, list ...T) T { return list[a.IntN(len(list))] }

// someone is often one of the first few, so that they have to do with each other.
func (a *author) someone() string {
	return accounts[min(a.IntN(len(accounts)), a.IntN(len(accounts)+1))]
}

// gid names somebody, now and then in upper case or nobody at all.
func (a *author) gid() string {
	if a.IntN(30) == 0 {
		return "99999999-0000-5000-8000-000000000000"
	}
	return "@" + a.someone()
}

// step makes up a step, one of those at the beginning to have people share and listen.
func (a *author) step(beginning bool) step {
	who := a.someone()
	if a.large && a.IntN(3) > 0 {
		who = accounts[0]
	}
	if a.bulk > 0 && a.IntN(3) == 0 {
		n := min(a.bulk, 1+a.IntN(2000))
		if a.IntN(4) == 0 {
			n = min(a.bulk, 2000)
		}
		a.bulk -= n
		// Some of them, or many, have been uploaded before.
		from := pick(a, a.most, a.most, max(a.most-n/2, 0), a.IntN(a.most+1))
		a.most = max(a.most, from+n)
		return step{who: who, method: "POST", path: "/v1/status", bulk: n, from: from, kinds: pick(a, 0, 0, 300)}
	}
	if a.large && a.IntN(3) == 0 {
		return pick(a, (*author).erase, (*author).erase, (*author).own, (*author).shared, (*author).again)(a, who)
	}
	if beginning && a.IntN(3) > 0 {
		return pick(a, (*author).permit, (*author).permit, (*author).listen, (*author).people, (*author).group)(a, who)
	}
	n := a.IntN(128)
	for _, choice := range []struct {
		weight int // of 128
		write  func(*author, string) step
	}{
		{9, (*author).own}, {6, (*author).erase}, {10, (*author).permit}, {9, (*author).change}, {22, (*author).shared},
		{8, (*author).listen}, {7, (*author).stream}, {12, (*author).people}, {16, (*author).group},
	} {
		if n -= choice.weight; n < 0 {
			return choice.write(a, who)
		}
	}
	return a.upload(who)
}

// uuid returns the UUID of an update: few for each person, and some that more than
// one of them use.
func (a *author) uuid(who string) string {
	id := fmt.Sprintf("%c%ca0b1c2-0000-4000-8000-00000000000%x", who[0], who[0], a.IntN(16))
	id = strings.NewReplacer("nn", "ff", "yy", "1f").Replace(id)
	if a.IntN(8) == 0 {
		id = fmt.Sprintf("ffffffff-0000-4000-8000-00000000000%d", a.IntN(3))
	}
	switch a.IntN(8) {
	case 0:
		id = strings.ToUpper(id)
	case 1:
		id = strings.Replace(id, "a", "A", 1)
	}
	a.uuids = append(a.uuids, id)
	return id
}

// known returns the UUID of an update that may have been uploaded.
func (a *author) known() string {
	if len(a.uuids) == 0 || a.IntN(20) == 0 {
		return "77777777-7777-4777-8777-777777777777"
	}
	return strings.ToLower(a.uuids[min(a.IntN(len(a.uuids)), a.IntN(len(a.uuids)))])
}

func (a *author) kind() string {
	if a.IntN(40) == 0 {
		return pick(a, "*", "", "ünknown type ☕", "Work")
	}
	return pick(a, types...)
}

func (a *author) source() string {
	if a.IntN(40) == 0 {
		return pick(a, "*", "", "none", "web ")
	}
	return pick(a, sources...)
}

// at picks a moment, often one that was picked before or one next to it.
func (a *author) at() time.Time {
	var t time.Time
	switch n := a.IntN(20); {
	case n < 6 && len(a.dates) > 0:
		t = time.UnixMicro(pick(a, a.dates...) + pick[int64](a, 0, 0, 0, 1, -1, 1000, -1000))
	case n < 16:
		t = a.now.Add(time.Duration(a.Int64N(int64(pick(a, time.Microsecond, time.Second, 4*time.Hour)))))
		t = t.Add(-time.Duration(a.Int64N(int64(pick(a, time.Microsecond, time.Second, 4*time.Hour)))))
	case n < 18:
		t = a.now.Add(time.Duration(a.IntN(400)-200) * 24 * time.Hour)
	default:
		t, _ = time.Parse(time.RFC3339, pick(a, "1970-01-01T00:00:00Z", "0001-01-03T00:00:00Z", "9999-12-29T23:59:59.999999Z",
			"1969-12-31T23:59:59.5Z", "2000-02-29T12:00:00Z"))
	}
	return t.UTC()
}

// date writes a moment in one of the ways that there are.
func (a *author) date() (text string) {
	t := a.at()
	zone := pick(a, 0, 0, 3600, -19800, 50400, -43200)
	t = t.In(time.FixedZone("", zone))
	fraction := pick(a, "", ".000", ".000000", ".000000", ".000000000", ",000", ",000000")
	switch n := a.IntN(20); {
	case n < 10:
		text = t.Format("2006-01-02T15:04:05" + pick(a, "", ".000", ".000000") + "Z07:00")
	case n == 10:
		text = t.Format("2006-01-02")
	case n == 11:
		text = t.Format("20060102T150405" + fraction + pick(a, "", "Z0700"))
	case n == 12:
		text = t.Format("2006-01-02T15:04:05.000000") + strings.Repeat("3", 19) + t.Format("Z07:00")
	default:
		clock := pick(a, "15:04", "15:04:05", "15:04:05"+fraction, "15:04:05"+fraction)
		text = t.Format("2006-01-02" + pick(a, "T", "t", " ") + clock + pick(a, "Z07:00", "Z07:00", "Z0700", ""))
		if zone%3600 == 0 && a.IntN(6) == 0 {
			text = t.Format("2006-01-02T" + clock + "Z07")
		}
		if a.IntN(6) == 0 {
			text = strings.ToLower(text)
		}
	}
	at, ok := date(text)
	if !ok {
		panic("the model does not know the date " + text)
	}
	a.dates = append(a.dates, at)
	return text
}

func encode(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

func (a *author) upload(who string) step {
	list := []any{}
	for range pick(a, 1, 1, 2, 3, 5, 8) {
		kind, source := a.kind(), a.source()
		if kind == "" || source == "" {
			kind, source = "work", "web"
		}
		list = append(list, map[string]any{
			"uuid": a.uuid(who), "type": kind, "source": source, "created_at": a.date(), "other": 1,
			"payload": pick(a, map[string]any{}, map[string]any{"available": false, "n": len(list)},
				map[string]any{"list": []any{1.5, "ü☕", nil, map[string]any{"": -7}}}),
		})
	}
	if a.IntN(10) == 0 {
		i := a.IntN(len(list))
		e := list[i].(map[string]any)
		e["uuid"] = fmt.Sprintf("dddddddd-0000-4000-8000-%012d", a.number)
		f := pick(a, "uuid", "type", "source", "created_at", "payload")
		switch a.IntN(4) {
		case 0:
			delete(e, f)
		case 1:
			e[f] = pick[any](a, nil, 7, true, []any{})
		case 2:
			e["payload"] = map[string]any{"long": strings.Repeat("x", 33<<10)}
		default:
			e[f] = map[string]any{
				"uuid":       pick(a, "", "x", "dddddddd-0000-4000-8000-00000000000", "dddddddd000040008000000000000000", "{dddddddd-0000-4000-8000-000000000000}"),
				"type":       pick(a, "", strings.Repeat("t", 129)),
				"source":     pick(a, "", strings.Repeat("ü", 65)),
				"created_at": pick(a, "", "now", "2026-02-29T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+25:00", "2026-01-01T", "0000-01-01"),
				"payload":    pick(a, "", "{}"),
			}[f]
		}
	}
	body := encode(list)
	if a.IntN(60) == 0 {
		body = pick(a, "{}", "null", "7", "[7]", "[null]", "[[]]")
	}
	return step{who: who, method: "POST", path: "/v1/status", body: body}
}

// again uploads a few of many once more.
func (a *author) again(who string) step {
	return step{who: who, method: "POST", path: "/v1/status", bulk: 1 + a.IntN(20), from: a.IntN(a.most + 1)}
}

// filters writes parameters of a list.
func (a *author) filters(often int, names ...string) string {
	query := url.Values{}
	for _, name := range names {
		if a.IntN(often) > 0 {
			continue
		}
		switch name {
		case "type":
			query.Set(name, a.kind())
		case "source":
			query.Set(name, a.source())
		case "start", "end":
			query.Set(name, a.date())
		case "page":
			query.Set(name, fmt.Sprint(1+a.IntN(4)))
			if a.large {
				query.Set(name, fmt.Sprint(1+a.IntN(40)))
			}
		case "per_page":
			query.Set(name, fmt.Sprint(pick(a, 1, 2, 3, 5, 50, 500)))
		case "shared_by":
			query.Set(name, a.gid())
		}
	}
	if a.IntN(50) == 0 {
		if name := pick(a, names...); name != "type" && name != "source" {
			query.Set(name, pick(a, "0", "-1", "x", "501x"))
		}
	}
	text := strings.ReplaceAll(query.Encode(), "%40", "@")
	if text == "" {
		return ""
	}
	return "?" + text
}

func (a *author) own(who string) step {
	return step{who: who, method: "GET", path: "/v1/status" + a.filters(3, "type", "source", "start", "end", "page", "per_page")}
}

func (a *author) erase(who string) step {
	return step{who: who, method: "DELETE", path: "/v1/status" + a.filters(2, "type", "source", "start", "end", "type")}
}

func (a *author) shared(string) step {
	who := pick(a, accounts...)
	path := "/v1/status/shared"
	if a.IntN(2) == 0 {
		return step{who: who, method: "GET", path: path + a.filters(4, "type", "source", "start", "end", "page", "per_page", "shared_by")}
	}
	query := a.filters(4, "type", "source", "start", "end", "per_page", "shared_by")
	since := "since_uuid=" + a.known()
	if query == "" {
		return step{who: who, method: "GET", path: path + "?" + since}
	}
	return step{who: who, method: "GET", path: path + query + "&" + since}
}

func (a *author) stream(who string) step {
	s := step{who: who, method: "GET", path: "/v1/status/stream" + a.filters(3, "type", "source")}
	switch a.IntN(3) {
	case 0:
		s.last = a.known()
	case 1:
		mark := "?"
		if strings.Contains(s.path, "?") {
			mark = "&"
		}
		s.path += mark + "since_uuid=" + a.known()
	}
	return s
}

func (a *author) listen(string) step {
	who := pick(a, accounts...)
	socket := a.IntN(sockets)
	if a.IntN(10) == 0 {
		return step{who: who, method: "HANGUP", socket: socket}
	}
	argument := map[string]any{"access_token": "secret", "gid_uuid": "@" + who}
	if a.IntN(20) == 0 {
		argument["gid_uuid"] = pick[any](a, a.gid(), nil, 7, "x")
	}
	switch a.IntN(3) {
	case 0:
		argument["filters"] = "*"
	case 1:
		list := []any{}
		for range a.IntN(4) {
			list = append(list, []any{pick(a, "*", a.kind()), pick(a, "*", a.source())})
		}
		argument["filters"] = list
	}
	if a.IntN(20) == 0 {
		argument["filters"] = pick[any](a, "x", 7, []any{"*"}, []any{[]any{"work"}}, []any{[]any{"work", 1}}, []any{[]any{"a", "b", "c"}}, map[string]any{})
	}
	return step{who: who, method: "LISTEN", socket: socket, body: encode([]any{argument})}
}
