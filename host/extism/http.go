package extism

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// httpRequest does what a block of JSON and one of body ask for, and returns
// the block of the reply's body. Guests free what they passed by themselves,
// after the call: were it freed here, they would free the reply that was put in
// its place.
func httpRequest(s *State, stack []uint64) {
	var head struct {
		URL     string            `json:"url"`
		Method  string            `json:"method"`
		Headers map[string]string `json:"headers"`
	}
	text, body := s.load("http_request", stack[0]), s.load("http_request", stack[1])
	s.response = HTTPResponse{}
	if len(text) > egressMaxHeader {
		panic(fmt.Errorf("extism: http_request: url and headers of %d bytes: at most %d are sent", len(text), egressMaxHeader))
	}
	if err := json.Unmarshal(text, &head); err != nil {
		panic(fmt.Errorf("extism: http_request: want a JSON object of url, method and headers: %w", err))
	}
	r := &HTTPRequest{Method: strings.ToUpper(head.Method), URL: head.URL, Header: make(http.Header, len(head.Headers)), Body: body}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	for name, value := range head.Headers {
		r.Header.Set(name, value)
	}
	reply, err := s.ask("http_request").HTTP(r)
	if err != nil {
		panic(fmt.Errorf("extism: http_request %s %s: %w", r.Method, r.URL, err))
	}
	s.response = HTTPResponse{Status: reply.Status, Header: reply.Header}
	stack[0] = 0
	if len(reply.Body) > 0 {
		stack[0] = s.store("http_request", reply.Body)
	}
}

// httpHeaders returns the headers of the last reply as a JSON object.
func httpHeaders(s *State, stack []uint64) {
	stack[0] = 0
	if s.response.Header == nil {
		return
	}
	list := make(map[string]string, len(s.response.Header))
	for name, values := range s.response.Header {
		list[strings.ToLower(name)] = strings.Join(values, ",")
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(fmt.Errorf("extism: http_headers: %w", err))
	}
	stack[0] = s.store("http_headers", text)
}
