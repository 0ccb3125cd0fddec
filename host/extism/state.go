package extism

import (
	"net/http"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// An Env is what an Extism plugin may ask of its host during a call, besides
// the memory: who serves the call implements it. Byte slices passed in are valid
// until the method returns, and those returned are read before the next call.
//
// Extism's functions cannot return errors. One that comes back here ends the
// call, as it does in Extism's own hosts.
type Env interface {
	// Config returns a setting from the operator's manifest.
	Config(key string) (value string, found bool)
	// Log writes a line to the host's log.
	Log(level abi.LogLevel, message string)
	// VarGet returns a variable of the plugin, nil if it is not set.
	VarGet(name string) ([]byte, error)
	// VarSet sets a variable; nil deletes it.
	VarSet(name string, value []byte) error
	// HTTP does an outbound request.
	HTTP(*HTTPRequest) (*HTTPResponse, error)
	// KVGet returns a value of the plugin's key space, and whether there is one.
	KVGet(key []byte) (value []byte, found bool, err error)
	// KVPut and KVDelete change it, within the transaction of the call. Unlike
	// others, their errors are told to the plugin.
	KVPut(key, value []byte) error
	KVDelete(key []byte) error
}

// An HTTPRequest is an outbound request.
type HTTPRequest struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte

	NoFollow bool          // a redirect is the reply
	MaxReply int64         // bytes of its body; 0: the client's limit
	Within   time.Duration // for all of it; 0: the client's limit
}

// An HTTPResponse is the reply to one.
type HTTPResponse struct {
	Status int
	URL    string // of the last redirect that was followed
	Header http.Header
	Body   []byte
}

// DefaultLimit is how many bytes of memory a State gives a call.
const DefaultLimit = 64 << 20

// A State is the memory of one call, its input and its output. Whoever calls a
// plugin has its engine state implement
//
//	Extism() *State
//
// It is reused from call to call, and then allocates nothing.
type State struct {
	// Limit is how many bytes of memory a call may use, at most 4 GiB; 0:
	// DefaultLimit. It takes effect with Reset.
	Limit int

	env     Env
	mem     memory
	input   []byte
	inputAt uint64 // the input's block, once a plugin asked for it

	output    uint64
	outputLen uint64
	err       uint64

	response HTTPResponse // of the last outbound request, without its body
}

// Reset makes the State ready for a call: what it may ask of env, and the
// input, which must not change until the call has ended.
func (s *State) Reset(env Env, input []byte) {
	s.env, s.input, s.inputAt = env, input, 0
	s.output, s.outputLen, s.err = 0, 0, 0
	s.response = HTTPResponse{}
	s.mem.limit = DefaultLimit
	if s.Limit > 0 {
		s.mem.limit = min(s.Limit, 1<<32-1)
	}
	s.mem.reset()
}

// Output returns what the plugin set as its output, valid until the next Reset.
func (s *State) Output() []byte {
	b, _ := s.mem.slice(s.output, s.outputLen)
	return b
}

// Error returns the message that the plugin set as its error, "" if none.
func (s *State) Error() string {
	// A message is read even from a block that was freed since: the plugin had
	// no more use for it, but the host does.
	if b := s.mem.find(s.err); b != nil {
		text, _ := s.mem.slice(b.offset, b.used)
		return string(text)
	}
	return ""
}

// forget is what the guest's own reset does: everything goes, the input too.
func (s *State) forget() {
	limit := s.mem.limit
	s.Reset(s.env, nil)
	s.mem.limit = limit
}
