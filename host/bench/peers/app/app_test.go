package app

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// state is a KV in memory.
type state struct {
	kv     map[string]string
	stamp  int64
	writes int
}

func (s *state) Get(key []byte) ([]byte, bool) {
	v, found := s.kv[string(key)]
	return []byte(v), found
}

func (s *state) Put(key, value []byte) {
	s.writes++
	s.kv[string(key)] = string(value)
}

func (s *state) PutStamped(prefix, value []byte) {
	s.stamp++
	s.Put(binary.BigEndian.AppendUint64(slices.Clone(prefix), uint64(s.stamp)), value)
}

func (s *state) Scan(start, end []byte, limit int, yield func(key, value []byte) bool) {
	var frame []byte
	for _, key := range slices.Sorted(maps.Keys(s.kv)) {
		if key >= string(start) && key < string(end) && limit > 0 {
			frame = AppendEntry(frame, []byte(key), []byte(s.kv[key]))
			limit--
		}
	}
	EachEntry(frame, yield)
}

func TestAViewerSeesEachUploadOnce(t *testing.T) {
	var r Room
	kv := &state{kv: map[string]string{}}
	const now = 1_000_000
	code := r.Create(kv, "ann", "5", now)
	r.Create(kv, "ann", "51", now) // its keys are neighbours
	upload := func(body, want string) {
		t.Helper()
		status, reply := r.Upload(kv, nil, "ann", "5", []byte(body), now)
		if want = `{"result":"ok","response":{"type":"stored","stored":` + want + `},"meta":{"time":1000000}}`; status != 200 || string(reply) != want {
			t.Fatalf("%d %s, want %s", status, reply, want)
		}
	}
	type answer struct {
		Response struct {
			ID, Owner         string
			First, Last, Next int64
			Location          [][]int64
		}
	}
	view := func(next int64) answer {
		t.Helper()
		status, reply := r.View(kv, nil, code, "me", next, now)
		var a answer
		if err := json.Unmarshal(reply, &a); err != nil || status != 200 || a.Response.ID != code || a.Response.Owner != "ann" {
			t.Fatalf("%d %s: %v", status, reply, err)
		}
		return a
	}
	upload("[[11,1,2,3,4,5,6,7],[12,1,2,3,4,5,6,7]]", "2")
	one := view(0).Response
	if len(one.Location) != 2 || one.First != 11 || one.Last != 12 || one.Next == 0 {
		t.Fatalf("%+v", one)
	}
	upload("[[11,1,2,3,4,5,6,7],[12,1,2,3,4,5,6,7]]", "0")
	upload("[[15,1,2,3,4,5,6,7]]", "1")
	upload("[[13,1,2,3,4,5,6,7]]", "1") // overtaken
	two := view(one.Next).Response
	if len(two.Location) != 2 || two.Location[0][0] != 15 || two.Location[1][0] != 13 || two.Last != 15 || two.Next <= one.Next {
		t.Errorf("%+v", two)
	}
	before := kv.writes
	if three := view(two.Next).Response; len(three.Location) != 0 || three.Next != two.Next {
		t.Errorf("%+v", three)
	}
	if kv.writes != before {
		t.Error("the viewer was noted again at once")
	}
	if _, _ = r.View(kv, nil, code, "me", 0, now+seenEvery); kv.writes != before+1 {
		t.Error("the viewer was not noted again")
	}
}

func TestRefusals(t *testing.T) {
	var r Room
	kv := &state{kv: map[string]string{}}
	r.Create(kv, "ann", "5", 0)
	const body = "[[11,1,2,3,4,5,6,7]]"
	for name, c := range map[string]struct {
		owner, id, body string
		now             int64
		want            int
	}{
		"body":      {"ann", "5", "[]", 0, 400},
		"ticket":    {"ann", "6", body, 0, 404},
		"another's": {"eve", "5", body, 0, 404},
		"ended":     {"ann", "5", body, lifetime + 1, 409},
	} {
		if status, reply := r.Upload(kv, nil, c.owner, c.id, []byte(c.body), c.now); status != c.want || reply != nil {
			t.Errorf("%s: %d %s, want %d", name, status, reply, c.want)
		}
	}
	if status, _ := r.View(kv, nil, "5", "me", 0, 0); status != 404 {
		t.Errorf("unknown code: %d", status)
	}
}

func TestCheck(t *testing.T) {
	const two = `[1000,-90000000,-180000000,-1,-1,-5,-1,-1],[1001,0,180000000,350,360,12,5,8]`
	b, err := Check([]byte("[" + two + "]"))
	if err != nil || string(b.Rows) != two || b.N != 2 || b.First != 1000 || b.Last != 1001 {
		t.Fatalf("%+v, %s: %v", b, b.Rows, err)
	}
	if b, err := Check([]byte(" [ [ 7 , 1 , 2 , 3 , 4 , 5 , 6 , -0 ] ] \n")); err != nil || b.N != 1 || b.First != 7 || b.Last != 7 {
		t.Errorf("with spaces: %+v: %v", b, err)
	}
}

func TestCheckRefuses(t *testing.T) {
	const row = `[1,1,2,3,4,5,6,7]`
	for _, text := range []string{
		"", "[", "]", "{}", "null", "[]", "[[]]", "[1]", "[" + row, row, "[" + row + ",]", "[" + row + "]]", "[" + row + "] x",
		"[" + row + row + "]", "[[1,1,2,3,4,5,6]]", "[[1,1,2,3,4,5,6,7,8]]", "[[1,1,2,3,4,5,6,null]]", "[[1,1,2,3,4,5,6,\"7\"]]",
		"[[-1,1,2,3,4,5,6,7]]", "[[1,90000001,2,3,4,5,6,7]]", "[[1,1,2,3,361,5,6,7]]", "[[1,1,2,3,4,5,6,07]]", "[[1,1,2,3,4,5,6,-]]",
		"[[9999999999999999999,1,2,3,4,5,6,7]]", "[[1,1.5,2,3,4,5,6,7]]",
		"[" + row + "," + row + "]", // not later than the one before
		"[" + strings.Repeat(row+",", MaxPoints) + row + "]",
	} {
		if b, err := Check([]byte(text)); !errors.Is(err, ErrPoints) {
			t.Errorf("%.40s: %+v: %v", text, b, err)
		}
	}
}
