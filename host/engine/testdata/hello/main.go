// Command hello is the smallest plugin: what the engine's tests and benchmarks
// call.
package main

import "github.com/edgeset/edgeset/abi/guest"

func init() {
	p := guest.New("hello", "1.0.0")
	api := p.Family("/hello", nil)
	api.GET("/hello", empty)
	api.GET("/hello/:name", hello)
	guest.Serve(p)
}

func main() {}

func empty(*guest.Response, *guest.Request) error { return nil }

func hello(w *guest.Response, r *guest.Request) error {
	v := w.Value()
	v.Map()
	v.Key("greeting")
	v.Text("Hello, " + r.Param("name"))
	v.End()
	return nil
}
