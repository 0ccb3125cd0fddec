// Command everything uses all of Extism's Go PDK, and nothing else.
package main

import (
	"errors"
	"fmt"

	pdk "github.com/extism/go-pdk"
)

//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

//go:wasmexport fail
func fail() int32 {
	pdk.SetError(errors.New("no " + pdk.InputString()))
	return 7
}

//go:wasmexport config
func config() int32 {
	value, found := pdk.GetConfig(pdk.InputString())
	pdk.OutputString(fmt.Sprintf("%v %s", found, value))
	return 0
}

//go:wasmexport count
func count() int32 {
	n := pdk.GetVarInt("count") + 1
	pdk.SetVarInt("count", n)
	pdk.SetVar("last", pdk.Input())
	pdk.OutputString(fmt.Sprintf("%d %s", n, pdk.GetVar("last")))
	if n == 3 {
		pdk.RemoveVar("count")
	}
	return 0
}

//go:wasmexport logs
func logs() int32 {
	for level := pdk.LogTrace; level <= pdk.LogError; level++ {
		pdk.Log(level, fmt.Sprintf("level %d", level))
	}
	pdk.Log(pdk.LogInfo, "")
	return 0
}

//go:wasmexport fetch
func fetch() int32 {
	req := pdk.NewHTTPRequest(pdk.MethodPost, pdk.InputString())
	req.SetHeader("X-Asked", "yes").SetBody([]byte("the question"))
	res := req.Send()
	body := res.Body()
	pdk.Log(pdk.LogInfo, "something between, of the size of the reply or so")
	pdk.OutputString(fmt.Sprintf("%d %s %s %s", res.Status(), res.Headers()["x-answer"], body, res.Body()))
	return 0
}

//go:wasmimport extism:host/user kv_get
func kvGet(key uint64) uint64

//go:wasmimport extism:host/user kv_put
func kvPut(key, value uint64) int64

//go:wasmimport extism:host/user kv_delete
func kvDelete(key uint64) int64

//go:wasmexport store
func store() int32 {
	key, value := pdk.AllocateString("key"), pdk.AllocateBytes(pdk.Input())
	if kvGet(key.Offset()) != 0 {
		return 1
	}
	if code := kvPut(key.Offset(), value.Offset()); code != 0 {
		pdk.OutputString(fmt.Sprint(code))
		return 2
	}
	at := kvGet(key.Offset())
	found := pdk.FindMemory(at)
	pdk.Output(found.ReadBytes())
	if kvDelete(key.Offset()) != 0 || kvGet(key.Offset()) != 0 {
		return 3
	}
	return 0
}

// churn allocates and frees far more than there is memory.
//
//go:wasmexport churn
func churn() int32 {
	for n := range 2000 {
		m := pdk.Allocate(1000 + n)
		if m.Offset() == 0 {
			return 1
		}
		m.Free()
	}
	return 0
}

func main() {}
