package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

const good = `{"uuid":"4470009d-ca3c-4819-aa3a-000000000001","source":"web","type":"work","created_at":"2026-01-01T00:00:00Z","payload":{}}`

func TestABadElementRefusesTheWholeBatch(t *testing.T) {
	l := newLedger(t)
	long := strings.Repeat("x", maxText+1)
	for _, c := range []struct{ old, new, code, field string }{
		{`"uuid"`, `"uid"`, "missing_field", "uuid"},
		{`"source"`, `"sauce"`, "missing_field", "source"},
		{`"type"`, `"typ"`, "missing_field", "type"},
		{`"created_at"`, `"created"`, "missing_field", "created_at"},
		{`"payload"`, `"load"`, "missing_field", "payload"},
		{`{}`, `null`, "missing_field", "payload"},
		{`"web"`, `null`, "missing_field", "source"},
		{`"web"`, `""`, "bad_field", "source"},
		{`"web"`, `7`, "bad_field", "source"},
		{`"web"`, `"` + long + `"`, "bad_field", "source"},
		{`"work"`, `["work"]`, "bad_field", "type"},
		{`"work"`, `"` + long + `"`, "bad_field", "type"},
		{`"work"`, `"` + long[2:] + `ü"`, "bad_field", "type"},
		{`4470009d-`, ``, "bad_uuid", "uuid"},
		{`4470009d-`, `4470009g-`, "bad_uuid", "uuid"},
		{`"4470009d-ca3c-4819-aa3a-000000000001"`, `1`, "bad_field", "uuid"},
		{`2026-01-01T`, `2026-02-30T`, "bad_date", "created_at"},
		{`"2026-01-01T00:00:00Z"`, `1767225600000`, "bad_field", "created_at"},
		{`{}`, `[]`, "bad_field", "payload"},
		{`{}`, `"{}"`, "bad_field", "payload"},
		{`{}`, `{"x":"` + strings.Repeat("x", maxPayload) + `"}`, "too_large", "payload"},
	} {
		other := strings.Replace(good, "0001", "0002", 1)
		bad := strings.Replace(good, c.old, c.new, 1)
		a := l.do("ann", "POST", "/v1/status", "["+other+","+bad+"]")
		if a.status != 400 || a.code != c.code || a.detail != fmt.Sprintf(`{"index":1,"field":%q}`, c.field) {
			t.Errorf("%s for %s: %v, want 400 %s", c.new, c.old, a, c.code)
		}
	}
	for body, code := range map[string]string{"": "bad_body", "null": "bad_body", "{}": "bad_body", good: "bad_body", "[7]": "bad_field", "[[]]": "bad_field"} {
		if a := l.do("ann", "POST", "/v1/status", body); a.status != 400 || a.code != code {
			t.Errorf("%s: %v, want 400 %s", body, a, code)
		}
	}
	if len(l.entries) > 0 {
		t.Errorf("%d entries are stored", len(l.entries))
	}
	if a := l.do("ann", "POST", "/v1/status", "[]"); a.status != 201 || string(a.body) != "[]" {
		t.Errorf("an empty batch: %v", a)
	}
}

func TestAnUpdateIsKeptAsItCame(t *testing.T) {
	l := newLedger(t)
	for i, c := range []struct{ uuid, created, shown, payload string }{
		{"4470009D-CA3C-4819-AA3A-00000000000", "2026-01-01t00:00:00.1234567z", "", `{"a":[1,2.5,-0.1,null,true,"ü☕"],"b":{"":{}}}`},
		{"4470009d-CA3C-4819-AA3A-00000000000", "2026-01-01T05:30:00+05:30", "", `{"n":123456789012345678901234567890.5}`},
		{"4470009d-ca3c-4819-aa3a-00000000000", "20260101T101500,123456+0100", "2026-01-01T09:15:00.123456Z", `{}`},
		{"4470009d-ca3c-4819-aa3a-00000000000", "2026-01-01T00:00:00." + strings.Repeat("7", 30) + "Z", "2026-01-01T00:00:00.777777Z", `{}`},
	} {
		if c.shown == "" {
			c.shown = c.created
		}
		uuid := c.uuid + fmt.Sprint(i)
		shown := uuid
		if i > 0 {
			shown = strings.ToLower(uuid)
		}
		body := fmt.Sprintf(`[{"x":1,"uuid":"","uuid":%q,"source":"web","type":"work","created_at":%q,"payload":%s}]`, uuid, c.created, c.payload)
		want := fmt.Sprintf(`[{"uuid":%q,"gid_uuid":%q,"source":"web","type":"work","created_at":%q,"payload":%s,"uploaded_at":"2026-01-01T00:00:00.000Z"}]`,
			shown, identityOf("ann"), c.shown, c.payload)
		for _, a := range []*answer{
			l.do("ann", "POST", "/v1/status", body), l.do("ann", "POST", "/v1/status", body), l.do("ann", "GET", fmt.Sprint("/v1/status?per_page=1&page=", i+1), ""),
		} {
			if string(a.body) != want {
				t.Errorf("got  %s\nwant %s", a.body, want)
			}
		}
	}
}

func TestSomebodyElsesUUIDIsNotInTheWay(t *testing.T) {
	l := newLedger(t)
	for i, who := range []string{"ann", "bob", "cid"} {
		a := l.do(who, "POST", "/v1/status", "["+strings.Replace(good, "{}", fmt.Sprintf(`{"n":%d}`, i), 1)+"]")
		if list := a.updates(t); a.status != 201 || len(list) != 1 || list[0]["gid_uuid"] != identityOf(who).String() {
			t.Fatalf("%s: %v", who, a)
		}
	}
	l.do("bob", "DELETE", "/v1/status", "")
	for i, who := range []string{"ann", "bob", "cid"} {
		a := l.do(who, "GET", "/v1/status", "")
		if want := fmt.Sprintf(`"payload":{"n":%d}`, i); strings.Contains(string(a.body), want) != (who != "bob") {
			t.Errorf("%s: %v", who, a)
		}
		// A repeat of what was deleted stays deleted.
		a = l.do(who, "POST", "/v1/status", "["+good+"]")
		if (string(a.body) == "[]") != (who == "bob") {
			t.Errorf("%s: %v", who, a)
		}
	}
	id, _, _ := parseUUID("4470009d-ca3c-4819-aa3a-000000000001")
	kv := kvOf(l)
	list, err := findUploads(kv, id)
	if err != nil || len(list) != 3 || list[0].owner == list[1].owner {
		t.Errorf("uploads: %v, %v", list, err)
	}
}

func TestThousandsOfUpdatesAreUploadedAtOnce(t *testing.T) {
	r := newRecord(t, 1)
	r.upload(maxBatch, 0, 5)
	r.upload(0, maxBatch, 5)
	if n := r.rows(); n != maxBatch {
		t.Errorf("%d rows", n)
	}
	// Also while a deletion is pending.
	r.upload(maxBatch, 0, 5)
	r.erase(all())
	if len(r.head().erasures) != 1 {
		t.Fatalf("%d erasures are pending", len(r.head().erasures))
	}
	r.upload(maxBatch, 0, 300)
	r.page(all(), 500, 4)
	r.page(all(), 500, 5)
	if a := r.l.do("ann", "POST", "/v1/status", "["+strings.Repeat(good+",", maxBatch)+good+"]"); a.status != 413 || a.code != "too_many" {
		t.Errorf("one too many: %v", a)
	}
}

func TestABatchThatDoesNotFitIsToBeSentInParts(t *testing.T) {
	l := newLedger(t)
	var batch []string
	for i := range 300 {
		e := strings.Replace(good, "000000000001", fmt.Sprintf("%012d", i), 1)
		batch = append(batch, strings.Replace(e, "{}", `{"x":"`+strings.Repeat("x", 30<<10)+`"}`, 1))
	}
	if a := l.do("ann", "POST", "/v1/status", "["+strings.Join(batch, ",")+"]"); a.status != 413 || a.code != "too_large" {
		t.Errorf("9 MB: %v", a)
	}
	for len(batch) > 0 {
		if a := l.do("ann", "POST", "/v1/status", "["+strings.Join(batch[:100], ",")+"]"); a.status != 201 {
			t.Fatalf("3 MB: %v", a)
		}
		batch = batch[100:]
	}
	// Nor does a page that no instance could hold.
	for path, status := range map[string]int{"?per_page=500": 413, "?per_page=250": 200, "?per_page=250&page=2": 200} {
		if a := l.do("ann", "GET", "/v1/status"+path, ""); a.status != status {
			t.Errorf("%s: %v, want %d", path, a.status, status)
		}
	}
}

func TestARecordThatIsNotOneIsRefused(t *testing.T) {
	sent := &update{id: gid{15: 0xab}, upper: true, owner: gid{1}, kind: "work", source: "web", createdText: "2026-01-01", uploaded: 5, payload: abi.Value{0x80}}
	var w abi.Writer
	sent.appendRecord(&w)
	record := string(w.Value())
	read := func(record string) (u update, err error) {
		if err = u.read(sent.owner, position{}, []byte(record)); err == nil {
			err = u.readFields()
		}
		return u, err
	}
	// What a newer version adds behind is passed over.
	for _, record := range []string{record, "\x94" + record[1:] + "\x01\xc0"} {
		u, err := read(record)
		if u.args = sent.args; err != nil || !reflect.DeepEqual(&u, sent) {
			t.Errorf("%q: reads as %+v, %v", record, u, err)
		}
	}
	for n := range record {
		if _, err := read(record[:n]); err != abi.ErrFrame {
			t.Errorf("%q: %v", record[:n], err)
		}
	}
	for _, other := range []string{
		record + "\xc0", "\x93" + record[1:], strings.Replace(record, "\x86", "\x85", 1), strings.Replace(record, "uuid", "uuie", 1),
		"\x92\x05\xc4\x00", "\x92\x05\xc4\x09" + argsHead, strings.Replace(record, "uuid\xd9\x240", "uuid\xd9\x24x", 1),
	} {
		if _, err := read(other); err != abi.ErrFrame {
			t.Errorf("%q: %v", other, err)
		}
	}
}

func FuzzUpload(f *testing.F) {
	for _, body := range []string{good, "{}", `{"uuid":null}`, `{"payload":{"a":[[]]}}`, strings.Replace(good, "web", "", 1)} {
		f.Add([]byte("[" + body + "]"))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		value, err := text.ParseJSON(nil, body, abi.MaxDepth-8)
		if err != nil {
			return
		}
		batch, err := readBatch(value, gid{1}, 0)
		if err != nil {
			return
		}
		for i := range batch {
			u := &batch[i]
			var record, shown abi.Writer
			u.appendRecord(&record)
			var again update
			if err := again.read(u.owner, position{created: u.created}, record.Value()); err != nil {
				t.Fatal(err)
			}
			u.appendOwn(&shown, nil)
			var second abi.Writer
			again.appendOwn(&second, nil)
			if string(shown.Value()) != string(second.Value()) {
				t.Fatalf("%q: %x, %x", body, shown.Value(), second.Value())
			}
		}
	})
}
