// Command plain is a plugin that knows only Extism's Go PDK.
package main

import (
	"encoding/json"
	"strconv"

	pdk "github.com/extism/go-pdk"
)

type request struct {
	Method  string            `json:"method"`
	Path    string            `json:"path"`
	Params  []string          `json:"params"`
	Query   map[string]string `json:"query"`
	Headers map[string]string `json:"headers"`
	JSON    any               `json:"json"`
}

type reply struct {
	Status  int               `json:"status,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	JSON    any               `json:"json,omitempty"`
	Body    *string           `json:"body,omitempty"`
}

func answer(r reply) int32 {
	if err := pdk.OutputJSON(r); err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

//go:wasmexport greet
func greet() int32 {
	var q request
	if err := json.Unmarshal(pdk.Input(), &q); err != nil {
		pdk.SetError(err)
		return 1
	}
	greeting, _ := pdk.GetConfig("greeting")
	return answer(reply{Status: 201, Headers: map[string]string{"X-Plain": "yes"}, JSON: map[string]any{
		"text": greeting + ", " + q.Params[0], "query": q.Query["q"], "body": q.JSON, "method": q.Method,
	}})
}

// visits counts in a variable of the plugin.
//
//go:wasmexport visits
func visits() int32 {
	n, _ := strconv.Atoi(string(pdk.GetVar("visits")))
	text := strconv.Itoa(n + 1)
	pdk.SetVar("visits", []byte(text))
	return answer(reply{Body: &text, Headers: map[string]string{"Content-Type": "text/plain"}})
}

//go:wasmimport extism:host/user kv_get
func kvGet(key uint64) uint64

//go:wasmimport extism:host/user kv_put
func kvPut(key, value uint64) int64

// keep writes what the query says into the key space, and reads it back.
//
//go:wasmexport keep
func keep() int32 {
	var q request
	if err := json.Unmarshal(pdk.Input(), &q); err != nil {
		pdk.SetError(err)
		return 1
	}
	key := pdk.AllocateString(q.Params[0])
	if value, ok := q.Query["value"]; ok {
		block := pdk.AllocateString(value)
		if code := kvPut(key.Offset(), block.Offset()); code != 0 {
			return answer(reply{Status: 409, JSON: code})
		}
	}
	text := ""
	if offset := kvGet(key.Offset()); offset != 0 {
		mem := pdk.FindMemory(offset)
		text = string(mem.ReadBytes())
	}
	return answer(reply{Body: &text})
}

//go:wasmexport fails
func fails() int32 {
	pdk.SetVar("visits", []byte("1000"))
	pdk.SetErrorString("it does not want to")
	return 1
}

//go:wasmexport fetch
func fetch() int32 {
	var q request
	if err := json.Unmarshal(pdk.Input(), &q); err != nil {
		pdk.SetError(err)
		return 1
	}
	res := pdk.NewHTTPRequest(pdk.MethodGet, q.Query["url"]).Send()
	return answer(reply{Status: int(res.Status())})
}

//go:wasmexport nonsense
func nonsense() int32 {
	pdk.OutputString("not JSON")
	return 0
}

func main() {}
