//go:build !wasip1

package main_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// An author makes up a history: few people, words, towns and spots, so that things
// meet.
type author struct {
	*rand.Rand
	now      time.Time
	number   int
	times    []time.Time // at which something was done
	posts    []made      // steps that make a post
	comments []made
	middle   [2]float64 // of a crowd
	spread   float64    // of its posts, in degrees; 0: there is none, or they are at one place
}

type made struct {
	who    string
	number int
}

func (m made) String() string { return fmt.Sprintf("{#%d}", m.number) }

// crowd is set in the seeds of histories with hundreds of posts.
const crowd = 1 << 32

// newHistory makes a history of about eighty steps, at the end of which all is read.
func newHistory(seed uint64) *history {
	a := &author{Rand: rand.New(rand.NewPCG(seed, 0)), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	h := &history{hideAfter: pick(a, 3, 1, 2, 0), keepOriginal: a.IntN(3) == 0, maxImage: pick(a, 1<<24, 1<<24, 1<<24, 700)}
	// Some begin where numbers take another byte, or another container.
	start := int64(pick(a, 0, 0, 1<<15, 1<<16, 1<<20, 1<<31)) - int64(a.IntN(12))
	h.posts, h.comments = max(0, start), max(0, start*int64(a.IntN(2)))
	add := func(s step) {
		a.number++
		s.number, s.wait = a.number, a.wait()
		a.now = a.now.Add(s.wait)
		a.times = append(a.times, a.now)
		h.steps = append(h.steps, s)
	}
	count := 60 + a.IntN(50)
	if seed&crowd != 0 {
		add(a.crowd(seed, h.posts))
		for range 30 {
			add(a.find())
		}
		count = 60
	}
	for i := range count {
		if i == count/2 && seed&crowd != 0 && a.IntN(2) == 0 {
			// With all its comments.
			add(step{who: "ann", method: "DELETE", path: "/1.0/posts/{#1}"})
		}
		add(a.step(i < 12))
	}
	a.finish(add)
	return h
}

// finish reads everything.
func (a *author) finish(add func(step)) {
	for _, format := range formats {
		add(step{method: "GET", path: "/1.0/posts." + format, query: []string{"count=100"}})
		add(step{method: "GET", path: "/1.0/comments/index." + format, query: []string{"count=100"}})
	}
	for _, kind := range []string{"posts", "comments"} {
		add(step{who: "operator", method: "GET", path: "/queue", query: []string{"count=100", "kind=" + kind}})
	}
	for _, p := range slices.Clone(a.posts) {
		add(step{method: "GET", path: "/1.0/posts/" + p.String() + ".json"})
		add(step{who: "operator", method: "GET", path: "/posts/" + p.String()})
		add(step{method: "GET", path: "/1.0/comments.json", query: []string{"postId=" + p.String()}})
	}
	for _, c := range slices.Clone(a.comments) {
		add(step{method: "GET", path: "/1.0/comments/" + c.String() + ".json"})
	}
}

func (a *author) wait() time.Duration {
	switch n := a.IntN(100); {
	case n < 35:
		return 0
	case n < 50:
		return time.Duration(a.IntN(1000)) * time.Microsecond
	case n < 75:
		return time.Duration(a.IntN(3e6)) * time.Microsecond
	case n < 90:
		return time.Duration(a.IntN(300)) * time.Minute
	case n < 93:
		return -time.Duration(a.IntN(5e6)) * time.Microsecond
	}
	return time.Duration(a.IntN(72)) * time.Hour
}

func pick[T any](a *author, list ...T) T { return list[a.IntN(len(list))] }

// someone may write; now and then it is somebody who may not.
func (a *author) someone() string {
	if a.IntN(40) == 0 {
		return pick(a, "", "operator")
	}
	return pick(a, "ann", "ann@one", "bob", "bob@two", "cyd", "one", "one@", "two")
}

// reader has a session.
func (a *author) reader() string {
	if a.IntN(15) == 0 {
		return a.someone()
	}
	return pick(a, "ann", "bob", "cyd")
}

// ref picks something that a step may have made, often of late.
func (a *author) ref(list []made) made {
	if len(list) == 0 || a.IntN(30) == 0 {
		return made{who: "ann"}
	}
	return list[max(a.IntN(len(list)), a.IntN(len(list)))]
}

func (a *author) step(beginning bool) step {
	if beginning && a.IntN(4) > 0 {
		return a.create()
	}
	n := a.IntN(100)
	for _, choice := range []struct {
		weight int // of 100
		write  func(*author) step
	}{
		{13, (*author).create}, {8, (*author).update}, {5, (*author).remove}, {9, (*author).flag}, {5, (*author).moderate},
		{9, (*author).comment}, {7, (*author).changeComment}, {25, (*author).find}, {7, (*author).show}, {6, (*author).listComments},
		{4, (*author).picture},
	} {
		if n -= choice.weight; n < 0 {
			return choice.write(a)
		}
	}
	return a.odd()
}

var (
	// Some of it is the same but for case, blanks, the hashtag, or a late character.
	vocabulary = []string{
		"traffic", "Traffic", "#traffic", "#Traffic", "jam", "fire", "#fire", "it's", "O'Neil", "rock", "'n'", "naïve", "NAÏVE",
		"cafe\u0301", "café", "#café", "Москва", "#москва", "snake_case", "2026", "#2026", "x1", "dogs'", "tower東京", "2026年",
		"東京", "東京都", "京都", "#東京", "都", "ภาษาไทย", "ไทย", "ひらがな", "カタカナ", "မြန်မာ", "ລາວ", "ខ្មែរ", "食べる",
		strings.Repeat("long", 20) + "a", "#" + strings.Repeat("LONG", 20) + "a", strings.Repeat("long", 20) + "b",
	}
	separators = []string{" ", " ", " ", ", ", "\n", "-", "/", "  ", ". ", "…", "😀", "\u0007", "]]>", "<b>", "(", "\u202e"}
	cities     = []string{"Oklahoma City", "oklahoma city", "OKLAHOMA  CITY", " Oklahoma\tCity ", "Tulsa", "Örebro", "ÖREBRO", "МОСКВА", "Москва", "東京", "Oklahoma\u00a0City",
		strings.Repeat("Ö", 199), strings.Repeat("ö", 199), strings.Repeat("ö", 198) + "x"}
	states = []string{"OK", "ok", "Oklahoma", "TX", " Ok"}
	zips   = []string{"73102", "73 102", "K1A 0B6", "k1a  0b6"}
	tags   = []string{"news", "News", "#news", "city hall", "City  Hall", "straße", "東京", "#x", "weather", "a", "b"}
)

func (a *author) words(most int) string {
	var b strings.Builder
	for i := range 1 + a.IntN(most) {
		if i > 0 {
			b.WriteString(pick(a, separators...))
		}
		b.WriteString(pick(a, vocabulary...))
	}
	return b.String()
}

func (a *author) tags(most int) string {
	var list []string
	for range a.IntN(most + 1) {
		list = append(list, pick(a, "", " ")+pick(a, tags...))
	}
	if a.IntN(60) == 0 {
		for i := range 14 + a.IntN(5) {
			list = append(list, "tag"+strconv.Itoa(i))
		}
	}
	if a.IntN(60) == 0 {
		list = append(list, strings.Repeat("ü", 50+a.IntN(2)))
	}
	return strings.Join(list, pick(a, ",", ", ", " ,,"))
}

// fields makes up what create and update have in common.
func (a *author) fields(often int) (form []string) {
	add := func(name, value string) {
		if a.IntN(often) == 0 {
			form = append(form, name+"="+value)
		}
	}
	add("description", a.words(6))
	add("address", pick(a, "1 Main St", "", "Kärrgatan 5\nÖrebro"))
	add("city", pick(a, cities...))
	add("state", pick(a, states...))
	add("zip", pick(a, zips...))
	add("email", pick(a, "ann@mail.example", "secret@mail.example", ""))
	if a.IntN(often) == 0 || a.IntN(3) == 0 {
		form = append(form, a.place()...)
	}
	if a.IntN(25) == 0 {
		name := pick(a, "description", "address", "city", "state", "zip", "email", "latitude", "longitude")
		form = slices.DeleteFunc(form, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
		form = append(form, name+"="+a.bad(name))
	}
	if a.IntN(15) == 0 {
		form = append(form, "referrer="+pick(a, "yes", "1", "true", "TRUE", "x", "", "0", "false", "No", "off"))
	}
	return form
}

// bad makes up a value that is refused, or just taken.
func (a *author) bad(name string) string {
	if most, ok := limits[name]; ok && (name != "email" || a.IntN(2) == 0) {
		text := strings.Repeat(pick(a, "ü", "x ", "東"), most)
		text = string([]rune(text)[:most-1-a.IntN(2)]) + pick(a, "é", "éé")
		if name == "email" {
			text = "a@" + strings.ReplaceAll(text, " ", "")
		}
		return text
	}
	switch name {
	case "email":
		return pick(a, "@", "a@", "@b", "nobody", "a@b")
	case "latitude", "longitude":
		return pick(a, "", "north", "NaN", "Inf", "-91", "90.1", "181", "-180.0000001", "1,5", "12°", "0x10", "--1", "1 2", "-")
	}
	return pick(a, "0", "-1", "x", "1.5", "99999999999999999999x")
}

func (a *author) create() step {
	s := step{who: a.someone(), method: "POST", path: pick(a, "/1.0/posts", "/1.0/posts/create"), form: a.fields(2), field: "image"}
	s.form = append(s.form, "udid="+pick(a, "udid-1", "udid-2", " udid-3 "))
	if a.IntN(2) == 0 {
		s.form = append(s.form, "tags="+a.tags(4))
	}
	s.picture = 1 + min(a.IntN(8), a.IntN(8))
	switch a.IntN(40) {
	case 0:
		s.picture = 9 + a.IntN(3)
	case 1:
		s.picture = 0
		s.form = append(s.form, pick(a, "image=x", "photo=x"))
	case 2:
		s.field = "photo"
	case 3:
		s.form = slices.DeleteFunc(s.form, func(pair string) bool { return strings.HasPrefix(pair, "udid=") })
		s.form = append(s.form, "udid="+pick(a, "", "  ", strings.Repeat("u", 200), strings.Repeat("ü", 201)))
	case 4:
		s.query, s.form = s.form, nil
	}
	a.refer(&s)
	a.posts = append(a.posts, made{s.who, a.number + 1})
	return s
}

func (a *author) refer(s *step) {
	s.referer = pick(a, "", "", "http://site.example/page?x=1", "https://site.example/", "javascript:alert(1)", "//site.example/", "/page",
		"http://user:secret@site.example/", "ftp://site.example/", "http://", "data:text/html,x", "http://site.example/\r\nSet-Cookie: x=y")
}

// target picks a post or comment to be written to, mostly by whom it is of.
func (a *author) target(kind string, list []made, action string) step {
	m := a.ref(list)
	s := step{who: m.who}
	if a.IntN(4) == 0 {
		s.who = a.someone()
	}
	base := "/1.0/" + kind + "/" + m.String()
	s.method, s.path = "POST", base+"/"+action
	if a.IntN(2) == 0 {
		s.method, s.path = map[string]string{"update": "PUT", "delete": "DELETE"}[action], base
	}
	a.refer(&s)
	return s
}

// send puts the parameters of a write into its form, or now and then its query.
func (a *author) send(s *step, pairs []string) {
	if a.IntN(10) == 0 || s.method == "DELETE" {
		s.query = pairs
	} else {
		s.form = pairs
	}
}

func (a *author) update() step {
	s := a.target("posts", a.posts, "update")
	pairs := a.fields(4)
	for i, pair := range pairs {
		if name, _, _ := strings.Cut(pair, "="); a.IntN(6) == 0 {
			pairs[i] = name + "="
		}
	}
	if a.IntN(10) == 0 {
		pairs = append(pairs, pick(a, "flag=0", "flag=", "flag=no", "flag=false", "tags=other", "udid=udid-9", "hidden=1"))
	}
	a.send(&s, pairs)
	return s
}

func (a *author) remove() step {
	s := a.target("posts", a.posts, "delete")
	a.send(&s, pick(a, nil, nil, []string{"referrer=yes"}))
	return s
}

// flag flags a post, often the same.
func (a *author) flag() step {
	s := a.target("posts", a.posts[:min(len(a.posts), 6)], "update")
	s.who = a.someone()
	pairs := []string{"flag=" + pick(a, "1", "true", "yes", "spam")}
	switch a.IntN(8) {
	case 0, 1, 2:
		pairs = append(pairs, "udid="+pick(a, "udid-1", "udid-2", "udid-3", ""))
	case 3:
		pairs = append(pairs, "latitude=north", "description=other")
	case 4:
		pairs = append(pairs, "referrer=1")
	}
	a.send(&s, pairs)
	return s
}

func (a *author) comment() step {
	s := step{who: a.reader(), method: "POST", path: pick(a, "/1.0/comments", "/1.0/comments/create")}
	post, content := a.ref(a.posts[:min(len(a.posts), 6)]).String(), a.words(5)
	if a.IntN(15) == 0 {
		post = pick(a, "", "x", "-", post+"x", "1.5")
	}
	if a.IntN(20) == 0 {
		content = pick(a, "", " \n ", strings.Repeat("ü", 5000), strings.Repeat("x", 5001))
	}
	pairs := []string{"postId=" + post, "content=" + content}
	if a.IntN(20) == 0 {
		pairs = append(pairs, "referrer=1")
		a.refer(&s)
	}
	if a.IntN(20) == 0 {
		pairs = pairs[a.IntN(2):][:1]
	}
	a.send(&s, pairs)
	a.comments = append(a.comments, made{s.who, a.number + 1})
	return s
}

func (a *author) changeComment() step {
	action := pick(a, "update", "update", "update", "delete")
	s := a.target("comments", a.comments, action)
	pairs := []string{"content=" + a.words(4)}
	switch {
	case action == "delete":
		pairs = pick(a, nil, nil, []string{"referrer=yes"})
	case a.IntN(2) == 0:
		s = a.target("comments", a.comments[:min(len(a.comments), 4)], action)
		s.who, pairs = a.reader(), []string{"flag=1", "content="}
	case a.IntN(10) == 0:
		pairs = pick(a, nil, []string{"content="}, []string{"content= "}, []string{"flag=0"}, []string{"content=" + strings.Repeat("x", 5001)})
	}
	a.send(&s, pairs)
	return s
}

func (a *author) moderate() step {
	s := step{who: "operator", method: "POST"}
	if a.IntN(20) == 0 {
		s.who = a.someone()
	}
	kind, list := "posts", a.posts[:min(len(a.posts), 6)]
	if a.IntN(3) == 0 {
		kind, list = "comments", a.comments[:min(len(a.comments), 4)]
	}
	base := "/" + kind + "/" + a.ref(list).String()
	switch a.IntN(12) {
	case 0, 1, 2, 3:
		s.path = base + "/restore"
	case 4:
		s.path = base + "/remove"
	case 5, 6:
		s.method, s.path = "GET", base
	case 7:
		s.method, s.path = "GET", "/images/"+a.rendition()
	default:
		s.method, s.path = "GET", "/queue"
		if a.IntN(4) > 0 {
			s.query = append(s.query, "kind="+pick(a, "posts", "comments"))
		}
		s.query = append(s.query, a.window()...)
	}
	return s
}
