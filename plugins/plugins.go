// Package plugins carries the plugins that ship with edgeset, each built from
// the folder of its name, so that the binary can serve them without any file.
package plugins

import (
	"embed"
	"io/fs"
)

// Names of the plugins.
var Names = []string{"posts", "sharing", "signing", "status"}

// The Wasm files are built by make; a binary built without them embeds none.
//
//go:embed all:wasm
var wasm embed.FS

// Wasm holds <name>.wasm for each plugin.
func Wasm() fs.FS {
	sub, err := fs.Sub(wasm, "wasm")
	if err != nil {
		panic(err) // the folder is part of the embedded tree
	}
	return sub
}
