//go:build !wasip1

package main_test

import (
	"fmt"
	"testing"
)

// More people share with one reader than are looked at together.
func TestACrowdThatSharesIsWhatTheModelSays(t *testing.T) {
	const crowd = 160
	reader, people := "reader", []string{}
	for i := range crowd {
		people = append(people, fmt.Sprintf("p%03d", i))
	}
	gids := gidsOf(t, append(people, reader))
	var steps []step
	add := func(who, method, path, body string) {
		steps = append(steps, step{number: len(steps) + 1, who: who, method: method, path: path, body: body, wait: 1})
	}
	upload := func(who string, n int, kind string) {
		add(who, "POST", "/v1/status", fmt.Sprintf(
			`[{"uuid":"cccccccc-0000-4000-8000-%012d","type":%q,"source":"app","created_at":"2026-01-01T00:00:00Z","payload":{}}]`, n, kind))
	}
	add(reader, "LISTEN", "", `[{"access_token":"secret","gid_uuid":"@reader","filters":"*"}]`)
	add(reader, "POST", "/v1/groups", `{"name":"crowd","open":true}`)
	group := fmt.Sprintf("{#%d}", len(steps))
	for i, who := range people {
		recipient := [...]string{
			`"recipient_type":"all"`, `"recipient_type":"contacts"`,
			`"recipient_type":"group","recipient_uuid":"` + group + `"`, `"recipient_type":"individual","recipient_uuid":"@reader"`,
		}[i%4]
		add(who, "POST", "/v1/status/permissions", `{"source":"*","type":"pulse",`+recipient+`}`)
		if i%8 > 0 {
			add(who, "POST", "/v1/contacts", `{"gid_uuid":"@reader"}`)
		}
		upload(who, 2*i, "pulse")
		switch i % 50 {
		case 7:
			add(reader, "POST", "/v1/blocks", `{"gid_uuid":"@`+who+`"}`)
		case 11:
			add(who, "POST", "/v1/blocks", `{"gid_uuid":"@reader"}`)
		case 13:
			add(who, "DELETE", "/v1/status", "")
		}
	}
	for i, who := range people {
		upload(who, 2*i+1, [...]string{"pulse", "place"}[i%2])
	}
	for page := 1; page < 5; page++ {
		for _, query := range []string{"", "&source=app&end=2026-01-02"} {
			add(reader, "GET", fmt.Sprintf("/v1/status/shared?per_page=100&page=%d%s", page, query), "")
		}
	}
	for i := 0; i < 2*crowd; i += 101 {
		add(reader, "GET", fmt.Sprintf("/v1/status/shared?since_uuid=cccccccc-0000-4000-8000-%012d", i), "")
		add(reader, "GET", fmt.Sprintf("/v1/status/shared?shared_by=@%s", people[i/2]), "")
		add(reader, "GET", fmt.Sprintf("/v1/status/stream?since_uuid=cccccccc-0000-4000-8000-%012d", i), "")
	}
	add(reader, "DELETE", "/v1/groups/"+group, "")
	add(reader, "GET", "/v1/status/shared?per_page=500", "")
	if failed, err := play(t, gids, steps); err != nil {
		t.Fatalf("%s\n%v", steps[failed], err)
	}
}
