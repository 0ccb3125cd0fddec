// Command pdkempty is the smallest plugin of Extism's Go PDK: what a call of
// this engine is compared with, when Extism's own host makes it.
package main

import pdk "github.com/extism/go-pdk"

//go:wasmexport empty
func empty() int32 { return 0 }

// echo is here so that the plugin links what any plugin would.
//
//go:wasmexport echo
func echo() int32 {
	pdk.Output(pdk.Input())
	return 0
}

func main() {}
