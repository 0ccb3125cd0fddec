// Package empty is the plugin that does nothing, for what everything around a
// plugin costs.
package empty

import "github.com/edgeset/edgeset/abi/guest"

// Plugin answers GET /empty with {"result":"ok"}.
func Plugin() *guest.Plugin {
	p := guest.New("empty", "1.0.0")
	p.Family("/empty", nil).GET("/empty", func(w *guest.Response, _ *guest.Request) error {
		v := w.Value()
		v.Map()
		v.Key("result")
		v.Text("ok")
		v.End()
		return nil
	})
	return p
}
