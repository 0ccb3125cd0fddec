package main_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestBadInput sends what is wrong in every way to a server and wants it told
// so, in the envelope, with nothing changed.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	key := s.newApp()
	ann := nobody.newUser(key)
	ticket, code := filledTicket(ann)
	before := snapshot(ann, ticket, code)
	path := "/v2/tickets/" + ticket
	locations, data := path+"/append_location", path+"/append_data"
	now := time.Now().UnixMilli()
	point := func(format string, args ...any) string {
		return fmt.Sprintf("[[%d,47600000,-122300000],[%d", now, now+1) + fmt.Sprintf(format, args...) + "]]"
	}
	text := func(n int) string { return strings.Repeat("x", n) }
	row := func(format string, args ...any) string {
		return fmt.Sprintf(`[{"t":%d,"pid":0,"n":"message","v":"good"},`, now) + fmt.Sprintf(format, args...) + "]"
	}

	for _, c := range []struct {
		name   string
		call   string
		body   any
		params []string
		status int
		code   string
	}{
		// JSON
		{"no JSON", "POST " + locations, "points", nil, 400, "bad_request"},
		{"half of JSON", "POST " + locations, point(",1,1")[:20], nil, 400, "bad_request"},
		{"more than JSON", "POST " + locations, point(",1,1") + "]", nil, 400, "bad_request"},
		{"JSON with a comma too many", "POST " + locations, "[[1,2,3,]]", nil, 400, "bad_request"},
		{"NaN", "POST " + locations, point(",NaN,1"), nil, 400, "bad_request"},
		{"JSON of Latin 1", "POST " + data, row(`{"t":1,"n":"message","v":"%s"}`, "\xe5"), nil, 400, "bad_request"},
		{"JSON nested without end", "POST " + data, strings.Repeat("[", 100_000), nil, 400, "bad_request"},
		{"a value nested too deep", "POST " + data, row(`{"t":1,"n":"x","v":%s1%s}`, strings.Repeat("[", 2000), strings.Repeat("]", 2000)), nil, 400, "bad_request"},

		// points
		{"an object for points", "POST " + locations, `{"t":1}`, nil, 400, "bad_point"},
		{"a text for points", "POST " + locations, `"points"`, nil, 400, "bad_point"},
		{"a number for a point", "POST " + locations, fmt.Sprint([]int64{now, 1, 1}), nil, 400, "bad_request"},
		{"a flat point", "POST " + locations, fmt.Sprintf("[%d,1,1]", now), nil, 400, "bad_point"},
		{"a point of two", "POST " + locations, point(",1"), nil, 400, "bad_point"},
		{"a point of nine", "POST " + locations, point(",1,1,1,1,1,1,1,1"), nil, 400, "bad_point"},
		{"a point with a text", "POST " + locations, point(`,"1",1`), nil, 400, "bad_point"},
		{"a point with null", "POST " + locations, point(",null,1"), nil, 400, "bad_point"},
		{"a point with a truth", "POST " + locations, point(",1,1,true"), nil, 400, "bad_point"},
		{"latitude", "POST " + locations, point(",90000001,1"), nil, 400, "bad_point"},
		{"longitude", "POST " + locations, point(",1,-180000001"), nil, 400, "bad_point"},
		{"degrees", "POST " + locations, point(",47.6,-122.3"), nil, 400, "bad_point"},
		{"heading", "POST " + locations, point(",1,1,1,361"), nil, 400, "bad_point"},
		{"speed", "POST " + locations, point(",1,1,-2"), nil, 400, "bad_point"},
		{"a number without end", "POST " + locations, point(",1,1,1e999"), nil, 400, "bad_point"},
		{"the future", "POST " + locations, fmt.Sprintf("[[%d,1,1]]", now+3_600_000), nil, 400, "bad_point"},
		{"seconds for milliseconds", "POST " + locations, fmt.Sprintf("[[%d,1,1]]", now/1000), nil, 400, "bad_point"},
		{"a time below zero", "POST " + locations, "[[-1,1,1]]", nil, 400, "bad_point"},
		{"a huge batch", "POST " + locations, batchOf(1001, now), nil, 400, "bad_point"},
		{"a huge body", "POST " + locations, "[" + text(600<<10) + "]", nil, 413, "too_large"},
		{"the same for all tickets", "POST /v2/tickets/append_location", point(",90000001,1"), nil, 400, "bad_point"},
		{"a bad since", "POST " + locations, point(",1,1"), []string{"since", "yesterday"}, 400, "bad_parameter"},
		{"a since below zero", "POST " + locations, point(",1,1"), []string{"since", "-1"}, 400, "bad_parameter"},

		// properties
		{"an object for properties", "POST " + data, `{"t":1,"pid":0,"n":"message","v":"x"}`, nil, 400, "bad_property"},
		{"a property without name", "POST " + data, row(`{"t":1,"v":1}`), nil, 400, "bad_property"},
		{"a property without time", "POST " + data, row(`{"n":"x","v":1}`), nil, 400, "bad_property"},
		{"a property without value", "POST " + data, row(`{"t":1,"n":"x"}`), nil, 400, "bad_property"},
		{"a property with a number for a name", "POST " + data, row(`{"t":1,"n":1,"v":1}`), nil, 400, "bad_property"},
		{"a property with a long name", "POST " + data, row(`{"t":1,"n":"%s","v":1}`, text(65)), nil, 400, "bad_property"},
		{"a property with a text for a name space", "POST " + data, row(`{"t":1,"pid":"0","n":"x","v":1}`), nil, 400, "bad_property"},
		{"a property of the future", "POST " + data, row(`{"t":%d,"n":"x","v":1}`, now+3_600_000), nil, 400, "bad_property"},
		{"the server's own property", "POST " + data, row(`{"t":1,"pid":0,"n":"owner","v":"me"}`), nil, 400, "bad_property"},
		{"a huge property", "POST " + data, row(`{"t":1,"n":"x","v":"%s"}`, text(17<<10)), nil, 400, "bad_property"},
		{"a huge list of properties", "POST " + data, "[" + strings.TrimSuffix(strings.Repeat(`{"t":1,"n":"x","v":1},`, 501), ",") + "]", nil, 400, "bad_property"},

		// parameters
		{"a ticket without duration", "POST /v2/users/self/create_ticket", nil, nil, 400, "bad_parameter"},
		{"a ticket of a word", "POST /v2/users/self/create_ticket", nil, []string{"duration", "long"}, 400, "bad_parameter"},
		{"a ticket of 0", "POST /v2/users/self/create_ticket", nil, []string{"duration", "0"}, 400, "bad_parameter"},
		{"a ticket below 0", "POST /v2/users/self/create_ticket", nil, []string{"duration", "-5"}, 400, "bad_parameter"},
		{"a ticket of five hours", "POST /v2/users/self/create_ticket", nil, []string{"duration", "18000000"}, 400, "bad_parameter"},
		{"a ticket of more than fits", "POST /v2/users/self/create_ticket", nil, []string{"duration", "99999999999999999999"}, 400, "bad_parameter"},
		{"an extension of five hours", "POST " + path + "/update", nil, []string{"duration", "18000000"}, 400, "bad_parameter"},
		{"visibility", "POST " + path + "/set_visibility", nil, []string{"location", "gone"}, 400, "bad_parameter"},
		{"an invite without type", "POST " + path + "/create_invite", nil, nil, 400, "bad_parameter"},
		{"an invite by pigeon", "POST " + path + "/create_invite", nil, []string{"type", "pigeon"}, 400, "bad_parameter"},
		{"an invite to nobody", "POST " + path + "/create_invite", nil, []string{"type", "email"}, 400, "bad_parameter"},
		{"an invite to a long address", "POST " + path + "/create_invite", nil, []string{"type", "email", "address", text(257)}, 400, "bad_parameter"},
		{"an invite sent by nobody", "POST " + path + "/create_invite", nil, []string{"type", "link", "send", "nobody"}, 400, "bad_parameter"},
		{"an invite with a long name", "POST " + path + "/create_invite", nil, []string{"type", "link", "name", text(151)}, 400, "bad_parameter"},
		{"a status of delivery", "POST /v2/invites/" + code + "/update", nil, []string{"status", "eaten"}, 400, "bad_parameter"},
		{"a cursor of a word", "GET /v2/invites/" + code, nil, []string{"next", "x"}, 400, "bad_parameter"},
		{"a cursor below 0", "GET /v2/invites/" + code, nil, []string{"next", "-1"}, 400, "bad_parameter"},
		{"a cursor too large", "GET /v2/invites/" + code, nil, []string{"next", "9223372036854775807"}, 400, "bad_parameter"},
		{"a yes for true", "GET /v2/invites/" + code, nil, []string{"full_trail", "yes"}, 400, "bad_parameter"},
		{"a list of no tickets", "GET /v2/users/self/tickets", nil, []string{"limit", "0"}, 400, "bad_parameter"},
		{"a list from nowhere", "GET /v2/users/self/tickets", nil, []string{"next", "here"}, 400, "bad_parameter"},
		{"changes since a word", "GET /v2/users/self/invites", nil, []string{"since", "x"}, 400, "bad_parameter"},
		{"a query that is none", "GET /v2/users/self/tickets?limit=%zz", nil, nil, 400, "bad_request"},

		// accounts
		{"a login without anything", "POST /v2/account/login", nil, nil, 400, "missing_parameter"},
		{"an account of a long name", "POST /v2/account/create", nil, []string{"api_key", key, "name", text(151)}, 400, "bad_parameter"},
		{"an account of a short password", "POST /v2/account/create", nil, []string{"api_key", key, "username", "ann", "password", "x"}, 400, "bad_parameter"},

		// places
		{"a ticket that is not", "GET /v2/tickets/1", nil, nil, 404, "ticket_id"},
		{"a ticket that cannot be", "GET /v2/tickets/x", nil, nil, 404, "ticket_id"},
		{"a ticket below 0", "GET /v2/tickets/-1", nil, nil, 404, "ticket_id"},
		{"a ticket of a long id", "GET /v2/tickets/" + strings.Repeat("9", 5000), nil, nil, 404, "ticket_id"},
		{"an invite that is not", "GET /v2/invites/2222-2222", nil, nil, 404, "invite_code"},
		{"an invite that cannot be", "GET /v2/invites/O0O0-1l1l", nil, nil, 404, "invite_code"},
		{"a path that is not", "GET /v2/nothing", nil, nil, 404, "not_found"},
		{"a path too long", "GET " + path + "/invites/x", nil, nil, 404, "not_found"},
		{"a path with an empty part", "GET /v2//tickets/" + ticket + "/x", nil, nil, 404, "not_found"},
		{"a method that is not taken", "GET " + locations, nil, nil, 405, "method_not_allowed"},
		{"a method nobody takes", "PATCH " + path, nil, nil, 405, "method_not_allowed"},
		{"a method nobody knows", "BREW " + path, nil, nil, 405, "method_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, at, _ := strings.Cut(c.call, " ")
			r := ann.in(t).do(method, at, c.body, c.params...)
			refused(t, r, c.status, c.code)
			if allow := r.header.Get("Allow"); (c.status == 405) != (allow != "") {
				t.Errorf("%v\nhas the header Allow %q", r, allow)
			}
		})
	}

	t.Run("compressed bodies", func(t *testing.T) {
		for _, c := range []struct {
			encoding string
			body     []byte
			status   int
			code     string
		}{
			{"gzip", []byte("[[1,1,1]]"), 400, "bad_request"},
			{"gzip", zipped(bytes.Repeat([]byte(" "), 64<<20)), 413, "too_large"},
			{"gzip", zipped([]byte("[[1,1,1]]")), 400, "bad_point"},
			{"br", []byte("x"), 415, "bad_request"},
		} {
			req := httptest.NewRequest("POST", "http://"+s.listen+locations, bytes.NewReader(c.body))
			req.RequestURI = ""
			req.Header.Set("Content-Encoding", c.encoding)
			r, err := ann.send(req)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, r, c.status, c.code)
		}
	})

	t.Run("a body too huge for any call", func(t *testing.T) {
		// A client that asks first is spared sending it.
		req := httptest.NewRequest("POST", "http://"+s.listen+locations, strings.NewReader(text(5<<20)))
		req.RequestURI = ""
		req.Header.Set("Expect", "100-continue")
		r, err := ann.send(req)
		if err != nil {
			t.Fatal(err)
		}
		refused(t, r, 413, "too_large")
	})

	t.Run("a header too large", func(t *testing.T) {
		req := httptest.NewRequest("GET", "http://"+s.listen+path, nil)
		req.RequestURI = ""
		req.Header.Set("X-Large", text(20<<10))
		r, err := ann.send(req)
		if err != nil || r.status != 431 || r.text("error.code") == "" {
			t.Errorf("%v, %v\nwant 431 and an error", r, err)
		}
	})

	t.Run("no HTTP", func(t *testing.T) {
		for _, c := range []struct {
			sent   string
			status string
		}{
			{"hello\r\n\r\n", " 400 "},
			{"GET\r\n\r\n", " 400 "},
			{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", " 400 "},
			{"POST " + locations + " HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", " 400 "},
			{"POST " + locations + " HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n[", " 413 "},
			{"POST " + locations + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", " 400 "},
		} {
			answer := exchange(t, s.listen, c.sent)
			if first, _, _ := strings.Cut(answer, "\n"); !strings.HasPrefix(first, "HTTP/1.1"+c.status) || !strings.Contains(answer, `"code"`) &&
				!strings.Contains(answer, `"failure"`) {
				t.Errorf("%.60q: got %.300q, want%sand an error", c.sent, answer, c.status)
			}
		}
	})

	t.Run("many at once", func(t *testing.T) {
		// Connections that send half a request keep nobody from being served.
		for range 200 {
			conn, err := net.Dial("tcp", s.listen)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n[", locations)
		}
		start := time.Now()
		ann.get(path)
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("a request took %v", took)
		}
	})

	if after := snapshot(ann, ticket, code); after != before {
		t.Errorf("the ticket was\n%sand is\n%s", before, after)
	}
}

// batchOf is the body of n points.
func batchOf(n int, now int64) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ",[%d,1,1]", now-int64(i))
	}
	return "[" + b.String()[1:] + "]"
}

func zipped(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(text)
	w.Close()
	return b.Bytes()
}

// exchange sends text over a connection and returns what comes back.
func exchange(t *testing.T, addr, sent string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		t.Errorf("%.60q: no answer: %v", sent, err)
	}
	return string(answer)
}
