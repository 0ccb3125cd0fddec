package gateway

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// The Extism lane: a plugin that only knows extism:host/env gets the request as
// JSON input and answers with JSON output.
//
// Input:
//
//	{"method", "path", "params": [...], "query": {...}, "headers": {...},
//	 "json": the parsed body | "form": {...} | "body": base64,
//	 "caller": {"account", "app", "proof", "scheme", "name"} | null,
//	 "time": microseconds, "remote", "id", "base_url"}
//
// Output:
//
//	{"status": 200, "headers": {...}, "json": any | "body": "text"}

// appendExtismRequest writes a request as the value that becomes the input.
func appendExtismRequest(w *abi.Writer, q *abi.Request) {
	w.Map()
	field := func(name, value string) {
		w.Key(name)
		w.Text(value)
	}
	field("method", q.Method)
	field("path", q.Path)
	w.Key("params")
	w.Raw(q.Params)
	w.Key("query")
	appendPairs(w, q.Query)
	w.Key("headers")
	appendPairs(w, q.Headers)
	switch q.BodyKind {
	case abi.BodyValue:
		w.Key("json")
		w.Raw(q.Body)
	case abi.BodyForm:
		w.Key("form")
		appendPairs(w, abi.Pairs(q.Body))
	case abi.BodyRaw:
		w.Key("body")
		w.Bytes(q.Body)
	}
	w.Key("caller")
	if q.Caller.IsZero() {
		w.Nil()
	} else {
		w.Map()
		field("account", q.Caller.Account)
		field("app", q.Caller.App)
		field("proof", q.Caller.Proof)
		field("scheme", q.Caller.Scheme)
		field("name", q.Caller.Name)
		w.End()
	}
	w.Key("time")
	w.Int(q.Time)
	field("remote", q.Remote)
	field("id", q.ID)
	field("base_url", q.BaseURL)
	w.End()
}

// appendPairs writes pairs as a map. Of names that repeat, the first counts, as
// it does for plugins of the other lane.
func appendPairs(w *abi.Writer, pairs abi.Pairs) {
	w.Map()
	defer w.End()
	seen := map[string]bool{}
	pairs.Each(func(name, value []byte) bool {
		if !seen[string(name)] {
			seen[string(name)] = true
			w.KeyBytes(name)
			w.TextBytes(value)
		}
		return true
	})
}

// invokeExtism calls the route's function and turns its output into a reply
// frame.
func (x *exchange) invokeExtism() ([]byte, error) {
	input, err := text.AppendJSON(x.out[:0], x.frame)
	if err != nil {
		return nil, err
	}
	x.out = input
	state := x.call.Extism()
	state.Reset(&x.call, input)
	plugin := x.route.plugin
	code, fuel, err := x.leased.Invoke(&x.life, &x.call, x.route.function)
	x.release()
	x.spend(fuel, &x.route.metrics.fuel)
	if err != nil {
		return nil, err
	}
	if code != 0 {
		return nil, fmt.Errorf("gateway: plugin %q: %s returned %d: %s", plugin.Spec.Name, x.route.function, code, state.Error())
	}
	return x.readExtismReply(state.Output())
}

func (x *exchange) readExtismReply(output []byte) ([]byte, error) {
	value, err := text.ParseJSON(nil, output, abi.MaxDepth-8)
	v := abi.Value(value)
	if err == nil && v.Kind() != abi.Map {
		err = fmt.Errorf("got %s", v.Kind())
	}
	if err != nil {
		return nil, fmt.Errorf("gateway: plugin %q: output of %s: want a JSON object with \"status\", \"headers\" and \"json\" or \"body\": %w",
			x.route.plugin.Spec.Name, x.route.function, err)
	}
	reply := abi.Reply{Status: 200}
	if s := v.Get("status"); s.Exists() {
		status, ok := s.Int()
		if !ok || status < 200 || status > 599 {
			return nil, fmt.Errorf("gateway: plugin %q: output of %s: status is not 200 to 599", x.route.plugin.Spec.Name, x.route.function)
		}
		reply.Status = int(status)
	}
	var headers, body abi.Writer
	headers.Array()
	for m := v.Get("headers").Entries(); m.Next(); {
		if s, ok := m.Value().TextBytes(); ok {
			headers.TextBytes(m.Key())
			headers.TextBytes(s)
		}
	}
	headers.End()
	reply.Headers = abi.Pairs(headers.Value())
	if value := v.Get("json"); value.Exists() {
		reply.BodyKind, reply.Body = abi.BodyValue, value
	} else if s, ok := v.Get("body").TextBytes(); ok {
		body.Bytes(s)
		reply.BodyKind, reply.Body = abi.BodyRaw, body.Value()
	}
	var w abi.Writer
	w.Reset(x.reply)
	reply.Append(&w)
	return w.Value(), nil
}
