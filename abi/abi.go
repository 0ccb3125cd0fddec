// Package abi is the contract between the edgeset host and its plugins: the
// frames they exchange, the values in them, and what a plugin may ask of its
// host. It builds natively and for wasip1 and imports nothing of the host.
//
// A plugin in Go does not use this package directly but abi/guest. SCHEMA.md
// describes the frames byte for byte for authors in other languages.
package abi

// Version is the version of the contract. A host loads a plugin only if both
// were built with the same one; it rises with every change that either side
// could misread.
const Version = 1

// Names that cross the boundary.
const (
	// Module is the import module of the host functions.
	Module = "edge"

	// ExportAlloc is edge_alloc(size i32) → ptr i32: room for a frame of size
	// bytes. The room stays the plugin's input until edge_alloc is called again.
	ExportAlloc = "edge_alloc"

	// ExportCall is edge_call(len i32) → ptr<<32|len i64: handle the frame of
	// len bytes in the input, and return where the reply frame stands. It
	// stays readable until the next call.
	ExportCall = "edge_call"

	// ExportVersion is edge_abi_version() → i32, for a host to ask before it
	// sends the first frame.
	ExportVersion = "edge_abi_version"
)

// Limits of the contract.
const (
	MaxDepth     = 64       // arrays and maps that stand in each other, in a value
	MaxFrameSize = 64 << 20 // bytes of a frame, either way
	MaxNumber    = 1000     // bytes of a number kept as its text
)

// A Kind of call is the first element of a request frame.
type CallKind uint8

const (
	// CallDescribe asks the plugin for its Description.
	CallDescribe CallKind = iota
	// CallRequest hands over a request that matched one of the plugin's routes.
	CallRequest
	// CallAuthenticate asks who presents a credential.
	CallAuthenticate
	// CallEvent hands over an event that came over a socket.
	CallEvent
	// CallMigrate asks for a batch of a Migration.
	CallMigrate
	// CallOutcome tells the Outcome of a Dispatch.
	CallOutcome
)
