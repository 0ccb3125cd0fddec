//go:build !wasip1

package guest

// served is the plugin of a native build, for Served.
var served *Plugin

// Serve makes p the plugin of this module. Call it once, from init.
func Serve(p *Plugin) { served = p }

// Served returns the plugin that was handed to Serve, for running it natively:
// in the plugin's own tests and benchmarks.
func Served() *Plugin { return served }
