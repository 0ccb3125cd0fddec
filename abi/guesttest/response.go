package guesttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

// A Response is what a test gets back.
type Response struct {
	Status  int
	Headers map[string]string
	Kind    abi.BodyKind
	Value   abi.Value   // of a value, a property list, or an element
	Raw     []byte      // of a raw body, or of a blob
	Err     *abi.Error  // of a refusal
	Events  []Event     // that a stream begins with; Args has the data
	Stream  *Connection // what a stream gets from then on; nil if it has ended
	JSON    any         // the value, or the refusal in its family's form, as encoding/json decodes it
}

// Field walks the JSON by a path such as "response.items.0.id" and returns what
// it finds there, or nil.
func (r *Response) Field(path string) any {
	v := r.JSON
	for _, name := range strings.Split(path, ".") {
		switch t := v.(type) {
		case map[string]any:
			v = t[name]
		case []any:
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i < 0 || i >= len(t) {
				return nil
			}
			v = t[i]
		default:
			return nil
		}
	}
	return v
}

// Text returns a field as it prints, "" if there is none.
func (r *Response) Text(path string) string {
	if v := r.Field(path); v != nil {
		return fmt.Sprint(v)
	}
	return ""
}

// String shows a response in a failed test.
func (r *Response) String() string {
	body, err := json.Marshal(r.JSON)
	if err != nil {
		body = []byte(err.Error())
	}
	return fmt.Sprintf("%d %s%s", r.Status, body, r.Raw)
}

func (h *Host) response(p abi.Reply) *Response {
	r := &Response{Status: p.Status, Kind: p.BodyKind, Headers: headers(p.Headers)}
	switch p.BodyKind {
	case abi.BodyRaw:
		r.Raw, _ = p.Body.Bytes()
	case abi.BodyBlob:
		id, _ := p.Body.Bytes()
		r.Raw = h.Blob(abi.BlobID(id))
	case abi.BodyValue, abi.BodyPlist, abi.BodyXML:
		r.Value, r.JSON = p.Body, decode(p.Body)
	case abi.BodyEvents:
		for it := p.Body.Items(); it.Next(); {
			e := it.Value().Read()
			e.Array()
			r.Events = append(r.Events, Event{e.Text(), e.Text(), []any{decode(e.Value())}})
		}
	case abi.BodyCaller:
		r.Value = p.Body
	}
	return r
}

func headers(pairs abi.Pairs) map[string]string {
	m := map[string]string{}
	pairs.Each(func(name, value []byte) bool {
		m[string(name)] = string(value)
		return true
	})
	return m
}

// failure renders an error in the form of its family, as the host would.
func (c *Client) failure(e *abi.Error, family int) *Response {
	r := &Response{Status: e.Status, Err: e}
	if families := c.plugin.Description().Families; family < len(families) {
		r.JSON = fill(decode(families[family].Errors), map[string]any{
			"$status": json.Number(fmt.Sprint(e.Status)), "$code": e.Code, "$message": e.Message,
			"$detail": decode(e.Detail), "$time": json.Number(fmt.Sprint(c.Host.Now.UnixMilli())), "$request": "test",
		})
	}
	return r
}

func fill(form any, with map[string]any) any {
	switch t := form.(type) {
	case map[string]any:
		for k, v := range t {
			if v == "$detail" && with["$detail"] == nil {
				delete(t, k)
				continue
			}
			t[k] = fill(v, with)
		}
	case []any:
		for i, v := range t {
			t[i] = fill(v, with)
		}
	case string:
		if v, ok := with[t]; ok {
			return v
		}
	}
	return form
}

// decode turns a value into what encoding/json would make of its JSON, numbers
// as json.Number.
func decode(v abi.Value) any {
	switch v.Kind() {
	case abi.Bool:
		b, _ := v.Bool()
		return b
	case abi.Int, abi.Float:
		if n, ok := v.Int(); ok {
			return json.Number(fmt.Sprint(n))
		}
		f, _ := v.Float()
		return json.Number(fmt.Sprint(f))
	case abi.Number:
		s, _ := v.NumberText()
		return json.Number(s)
	case abi.String:
		s, _ := v.Text()
		return s
	case abi.Array:
		list := []any{}
		for it := v.Items(); it.Next(); {
			list = append(list, decode(it.Value()))
		}
		return list
	case abi.Map:
		m := map[string]any{}
		for it := v.Entries(); it.Next(); {
			m[string(it.Key())] = decode(it.Value())
		}
		return m
	}
	return nil
}

func parseJSON(s string) (abi.Value, error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return value(v), nil
}

// value encodes what encoding/json decodes to.
func value(v any) abi.Value {
	var w abi.Writer
	write(&w, v)
	return w.Value()
}

func write(w *abi.Writer, v any) {
	switch t := v.(type) {
	case nil:
		w.Nil()
	case bool:
		w.Bool(t)
	case string:
		w.Text(t)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			w.Int(n)
		} else if f, err := t.Float64(); err == nil {
			w.Float(f)
		} else {
			w.Number([]byte(t))
		}
	case []string:
		w.Array()
		for _, s := range t {
			w.Text(s)
		}
		w.End()
	case []any:
		w.Array()
		for _, e := range t {
			write(w, e)
		}
		w.End()
	case map[string]any:
		w.Map()
		for k, e := range t {
			w.Key(k)
			write(w, e)
		}
		w.End()
	}
}

func queryPairs(t testing.TB, query string) abi.Value {
	var w abi.Writer
	w.Array()
	for _, part := range strings.Split(query, "&") {
		if part == "" {
			continue
		}
		name, val, _ := strings.Cut(part, "=")
		for _, s := range []string{name, val} {
			u, err := url.QueryUnescape(s)
			if err != nil {
				t.Fatalf("guesttest: query %q: %v", query, err)
			}
			w.Text(u)
		}
	}
	w.End()
	return w.Value()
}

func headerPairs(headers map[string]string) abi.Pairs {
	var w abi.Writer
	w.Array()
	for name, val := range headers {
		w.Text(name)
		w.Text(val)
	}
	w.End()
	return abi.Pairs(w.Value())
}
