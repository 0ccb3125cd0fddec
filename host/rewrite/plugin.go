package rewrite

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"strings"
	"sync"
)

// Plugin takes a plugin apart and changes it in all the ways that the engine
// relies on.
func Plugin(wasm []byte) (*Module, error) {
	m, err := Parse(wasm)
	if err != nil {
		return nil, err
	}
	if err := LimitTables(m); err != nil {
		return nil, err
	}
	structured, err := StructureGo(m)
	if err != nil {
		return nil, err
	}
	// Only of Go's code is it known that what is added to a pointer to the stack
	// does not leave the memory.
	if err := Addresses(m, structured > 0); err != nil {
		return nil, err
	}
	if err := Snapshot(m); err != nil {
		return nil, err
	}
	if err := Fuel(m); err != nil {
		return nil, err
	}
	return m, nil
}

//go:embed *.go
var source embed.FS

// Version identifies what Plugin does: it is a digest of this package's source,
// so that nobody can change the one and forget the other.
var Version = sync.OnceValue(func() string {
	sum := sha256.New()
	files, err := source.ReadDir(".")
	if err != nil {
		panic(err) // the files are part of the binary
	}
	for _, f := range files {
		if strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		text, err := source.ReadFile(f.Name())
		if err != nil {
			panic(err)
		}
		fileSum := sha256.Sum256(text)
		sum.Write(fileSum[:])
	}
	return hex.EncodeToString(sum.Sum(nil))
})
