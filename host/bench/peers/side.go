package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	tickets = 100 // as many as one account may share
	points  = 10  // in an upload

	firstUpload = 2 // that is sent as load: the number of it in its ticket
)

// A side is a server that runs, with tickets that have a trail of two uploads
// and a viewer who has seen the first.
type side struct {
	name    string
	addr    string
	token   string
	process *process
	client  *fasthttp.HostClient

	appendURI, viewURI []string     // by ticket
	base               int64        // time of the first point, ms
	uploads            atomic.Int64 // sent as load, over all tickets
}

func newSide(name, addr string, p *process) *side {
	return &side{name: name, addr: addr, process: p, client: &fasthttp.HostClient{Addr: addr}}
}

func (s *side) close() error {
	s.client.CloseIdleConnections()
	if text := s.process.stop(); s.process.cmd.ProcessState.ExitCode() > 0 {
		return fmt.Errorf("%s: %v\n%s", s.name, s.process.cmd.ProcessState, text)
	}
	return nil
}

// reply is what is read of the replies.
type reply struct {
	ID          string
	Code        string // of an invite, from peers that make it together with the ticket
	AccessToken string `json:"access_token"`
	Stored      int
	Next        int64
	Location    [][]int64
}

// call sends one request, which must succeed.
func (s *side) call(method, uri, body string) (reply, error) {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	req.SetRequestURI("http://" + s.addr + uri)
	s.fill(req, method, body)
	if err := s.client.DoTimeout(req, resp, time.Minute); err != nil {
		return reply{}, fmt.Errorf("%s: %s %s: %w", s.name, method, uri, err)
	}
	var r struct{ Response reply }
	if err := json.Unmarshal(resp.Body(), &r); err != nil || resp.StatusCode() != 200 {
		return reply{}, fmt.Errorf("%s: %s %s: status %d: %s", s.name, method, uri, resp.StatusCode(), resp.Body())
	}
	return r.Response, nil
}

// fill is for all requests but those of viewers, who have no token.
func (s *side) fill(req *fasthttp.Request, method, body string) {
	req.Header.SetMethod(method)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	if body != "" {
		req.Header.SetContentType("application/json")
		req.SetBodyString(body)
	}
}

// share makes the tickets and checks that a viewer sees what was uploaded.
func (s *side) share() error {
	s.base = time.Now().Add(-9 * time.Minute).UnixMilli()
	for range tickets {
		ticket, err := s.call("POST", "/v2/users/self/create_ticket?duration=14400000", "")
		if err != nil {
			return err
		}
		code := ticket.Code
		if code == "" {
			invite, err := s.call("POST", "/v2/tickets/"+ticket.ID+"/create_invite?type=link&send=client", "")
			if err != nil {
				return err
			}
			code = invite.ID
		}
		upload, view := "/v2/tickets/"+ticket.ID+"/append_location", "/v2/invites/"+code+"?uncompressed=true&next="
		next := "0"
		for n := range int64(firstUpload) {
			body := s.rows(nil, n)
			seen, err := s.exchange(upload, string(body), view+next)
			if err != nil {
				return err
			}
			var want [][]int64
			if err := json.Unmarshal(body, &want); err != nil {
				return err
			}
			if !slices.EqualFunc(seen.Location, want, slices.Equal) {
				return fmt.Errorf("%s: a viewer sees %v, want %v", s.name, seen.Location, want)
			}
			if n == 0 {
				next = strconv.FormatInt(seen.Next, 10)
			}
		}
		s.appendURI, s.viewURI = append(s.appendURI, upload), append(s.viewURI, view+next)
	}
	return nil
}

// exchange uploads a batch and has a viewer look.
func (s *side) exchange(upload, body, view string) (seen reply, err error) {
	got, err := s.call("POST", upload, body)
	if err != nil {
		return seen, err
	}
	if got.Stored != points {
		return seen, fmt.Errorf("%s: %d points stored, want %d", s.name, got.Stored, points)
	}
	return s.call("GET", view, "")
}

// rows appends the body of upload n of a ticket. Its points are later than those
// of the upload before, and close together: a ticket takes many.
func (s *side) rows(b []byte, n int64) []byte {
	b = append(b, '[')
	for i := range int64(points) {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "[%d,%d,%d,350,90,12,5,8]", s.base+n*points+i, 37772000+i*7, -122419000-i*9)
	}
	return append(b, ']')
}
