package abi

import (
	"errors"
	"time"
)

// A Host is what a plugin may ask of its host during one call. The host's own
// implementation stands behind the functions of the import module "edge"; a
// plugin that is built natively calls one directly.
//
// Everything that touches state is part of the call's transaction, which reads
// at most 64 MiB. Byte slices passed in may be reused when the method returns;
// those returned are valid until the call ends and must not be modified.
type Host interface {
	// Get returns the value of key, and false if there is none.
	Get(key []byte) (value []byte, found bool, err error)
	// GetMany returns one value for each of at most 1,000 keys, nil where there
	// is none; the values together have at most 16 MiB.
	GetMany(keys [][]byte) ([][]byte, error)
	// Put sets key to value, for good or for ttl (whole seconds, rounded up).
	Put(key, value []byte, ttl time.Duration) error
	// PutStamped writes under prefix + 8 bytes of stamp + suffix. Stamps rise
	// in commit order and read as microseconds since the epoch, big endian.
	PutStamped(prefix, suffix, value []byte, ttl time.Duration) error
	// Delete removes key.
	Delete(key []byte) error
	// Scan reads a page of a range in key order.
	Scan(Range) (Page, error)
	// GetShared is Get, and ScanShared is Scan, in the key space of another plugin of
	// the deployment. They fail with ErrDenied unless the manifest grants it.
	GetShared(plugin string, key []byte) (value []byte, found bool, err error)
	ScanShared(plugin string, r Range) (Page, error)

	// Publish tells connections of clients what a Message says, once the call's
	// transaction is committed. It fails with ErrArgument for what is no message,
	// and with ErrTooLarge beyond MaxMessages and MaxMessageSize.
	Publish(message Value) error

	// Dispatch has what a Dispatch says delivered, once the call's transaction is
	// committed. It fails with ErrDenied unless the manifest grants it and says how it
	// goes, with ErrArgument for what is no dispatch, with ErrLimited if the recipient
	// has been sent as much as may be for now or the outbox is full, and with
	// ErrTooLarge beyond MaxDispatches.
	Dispatch(dispatch Value) error

	// Image makes renditions of a picture that was uploaded with the request, natively,
	// and once, however often the call is run. What is wrong with the picture is the
	// Image's Code. It fails with ErrArgument if there is no such file.
	Image(*ImageQuery) (*Image, error)
	// KeepFile returns a file that was uploaded with the request as a blob.
	KeepFile(index int) (Blob, error)
	// LinkBlob links a name to a blob: one of the request, that Image or KeepFile has
	// returned, or one that is kept already. A blob is kept as long as a name is linked
	// to it. It fails with ErrArgument if there is no such blob, and with ErrTooLarge
	// if the transaction has no room for one that is new.
	LinkBlob(id BlobID, name []byte) error
	// UnlinkBlob takes a name off a blob; one that is not linked to it is no error.
	// The blob goes with the last one.
	UnlinkBlob(id BlobID, name []byte) error
	// FindBlob tells whether a blob is kept, and how many bytes it has.
	FindBlob(id BlobID) (size int64, found bool, err error)

	// HashPassword returns a hash for storing (argon2id, made natively).
	HashPassword(password []byte) ([]byte, error)
	// VerifyPassword compares a password with a hash, in the same time whether
	// they match or not. A hash of no bytes costs as much, and never matches:
	// what a login compares with when there is no such account.
	VerifyPassword(hash, password []byte) (bool, error)

	// BodyDigest returns the digest ("sha-256" or "sha-512", made natively) of the
	// body of the request as it came, before any decoding. It fails with
	// ErrArgument for another algorithm.
	BodyDigest(algorithm string) ([]byte, error)
	// HMACSHA256 returns the HMAC-SHA-256 of a message (made natively).
	HMACSHA256(key, message []byte) ([]byte, error)
	// VerifyEd25519 tells whether a signature of a message is by the holder of
	// the key (checked natively). A key that is not of 32 bytes matches nothing.
	VerifyEd25519(key, message, signature []byte) (bool, error)
	// Fetch makes an outbound request to a host that the manifest lets the plugin
	// reach. It goes out once, however often the call is run; what is wrong with
	// the request, the name or the server is the reply's Error.
	Fetch(*Fetch) (*FetchReply, error)

	// Config returns a setting of the plugin from the operator's manifest.
	Config(key string) (value string, found bool)
	// Log writes a line to the host's log, under the plugin's name and the
	// request's id.
	Log(level LogLevel, message string)
}

// A Range is the half-open interval [Start, End) of keys in byte order.
type Range struct {
	Start   []byte // nil: from the first key
	End     []byte // nil: to the last key
	Limit   int    // entries wanted; 0: as many as the host gives at once
	Reverse bool   // from End downwards
	// KeysOnly leaves the values out: for passing over many entries.
	KeysOnly bool
}

// Flags of kv_scan.
const (
	ScanReverse  = 1
	ScanKeysOnly = 2
)

// An Entry is a key and its value.
type Entry struct{ Key, Value []byte }

// A Page is what one Scan found. If More, the range goes on: continue with
// Start = last key + 0x00, or, in reverse, End = last key.
type Page struct {
	Entries []Entry
	More    bool
}

// A LogLevel is the weight of a log line.
type LogLevel uint8

const (
	LogDebug LogLevel = iota
	LogInfo
	LogWarn
	LogError
)

// Errors of a Host. On the wire a negative result is the error's code.
var (
	ErrKey      = errors.New("key must have 1 to 1,000 bytes")
	ErrValue    = errors.New("value is larger than 1 MiB")
	ErrTooLarge = errors.New("transaction is larger than 4,096 writes, 8 MiB or 32 MiB of values of 64 KiB and more, or publishes more than 1,024 messages or 4 MiB")
	ErrReadOnly = errors.New("write in a call that was declared read-only")
	ErrDenied   = errors.New("not granted by the manifest")
	ErrArgument = errors.New("argument is not what the contract says")
	ErrLimited  = errors.New("the recipient has been sent as much as may be for now, or the outbox is full")
	ErrHost     = errors.New("the host failed; the call will not be committed")
)

// Codes of the errors, and of "no such key", as results of host functions.
const (
	CodeNotFound = -1
	CodeKey      = -2
	CodeValue    = -3
	CodeTooLarge = -4
	CodeReadOnly = -5
	CodeDenied   = -6
	CodeArgument = -7
	CodeHost     = -8
	CodeLimited  = -9
)

var codes = [...]struct {
	code int64
	err  error
}{
	{CodeKey, ErrKey}, {CodeValue, ErrValue}, {CodeTooLarge, ErrTooLarge}, {CodeReadOnly, ErrReadOnly},
	{CodeDenied, ErrDenied}, {CodeArgument, ErrArgument}, {CodeHost, ErrHost},
	{CodeLimited, ErrLimited},
}

// CodeOf returns the code of an error of a Host.
func CodeOf(err error) int64 {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return CodeHost
}

// ErrorOf returns the error that a code stands for.
func ErrorOf(code int64) error {
	for _, c := range codes {
		if c.code == code {
			return c.err
		}
	}
	return ErrHost
}
