package edge

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"golang.org/x/crypto/argon2"
)

// Cost of a password hash: OWASP's recommendation for argon2id. It is part of
// every hash, so that it can be raised without locking anybody out.
const (
	argonMemory  = 19 << 10 // KiB
	argonPasses  = 2
	argonLanes   = 1
	argonKeySize = 32
	argonSalt    = 16
)

// maxPassword bounds what is hashed, maxHash what is taken for a hash.
const (
	maxPassword = 1 << 10
	maxHash     = 256
)

// hashing bounds how many hashes are made at a time: each takes a core and
// 19 MiB, and logins must not starve the rest of the host.
var hashing = make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1))

// derive hashes a password, or returns why ctx ended before it had.
func derive(ctx context.Context, password, salt []byte, passes, memory uint32, lanes uint8) ([]byte, error) {
	select {
	case hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	// A hash cannot be interrupted, and takes longer than a call may outlive its
	// deadline. So it is made beside the call, which then leaves it behind, and
	// from a copy, since the password stands in the memory of the guest.
	password = bytes.Clone(password)
	made := make(chan []byte, 1)
	go func() {
		defer func() { <-hashing }()
		made <- argon2.IDKey(password, salt, passes, memory, lanes, argonKeySize)
	}()
	select {
	case sum := <-made:
		return sum, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// HashPassword implements abi.Host.
func (c *Call) HashPassword(password []byte) ([]byte, error) {
	if err := c.checkPassword(password); err != nil {
		return nil, err
	}
	hash, err := once(&c.memo, question("hash", password), func() ([]byte, error) {
		salt := make([]byte, argonSalt)
		rand.Read(salt)
		sum, err := derive(c.ctx, password, salt, argonPasses, argonMemory, argonLanes)
		if err != nil {
			return nil, err
		}
		b64 := base64.RawStdEncoding
		return fmt.Appendf(nil, "$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
			argonMemory, argonPasses, argonLanes, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
	})
	return hash, c.over(err)
}

// VerifyPassword implements abi.Host.
func (c *Call) VerifyPassword(hash, password []byte) (bool, error) {
	if err := c.checkPassword(password); err != nil {
		return false, err
	}
	if len(hash) > maxHash {
		return false, abi.ErrArgument
	}
	match, err := once(&c.memo, question("verify", hash, password), func() (bool, error) {
		if len(hash) == 0 {
			_, err := derive(c.ctx, password, make([]byte, argonSalt), argonPasses, argonMemory, argonLanes)
			return false, err
		}
		h, err := parseHash(string(hash))
		if err != nil {
			return false, err
		}
		sum, err := derive(c.ctx, password, h.salt, h.passes, h.memory, h.lanes)
		return err == nil && subtle.ConstantTimeCompare(sum, h.sum) == 1, err
	})
	return match, c.over(err)
}

func (c *Call) checkPassword(password []byte) error {
	switch {
	case !c.plugin.granted(abi.GrantPasswords):
		return abi.ErrDenied
	case len(password) > maxPassword:
		return abi.ErrArgument
	}
	return nil
}

// question tells calls apart without keeping passwords: it holds a digest.
func question(op string, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte(op))
	for _, p := range parts {
		fmt.Fprintf(h, " %d:", len(p))
		h.Write(p)
	}
	return h.Sum(nil)
}

type passwordHash struct {
	passes, memory uint32
	lanes          uint8
	salt, sum      []byte
}

// parseHash reads a hash back. It comes from the plugin, so its costs are
// bounded as well.
func parseHash(s string) (h passwordHash, err error) {
	parts := strings.Split(s, "$")
	var version int
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" {
		return h, abi.ErrArgument
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return h, abi.ErrArgument
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.passes, &h.lanes); err != nil {
		return h, abi.ErrArgument
	}
	if h.memory > 4*argonMemory || h.passes > 4*argonPasses || h.passes == 0 || h.lanes == 0 || h.lanes > 4 {
		return h, abi.ErrArgument
	}
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return h, abi.ErrArgument
	}
	if h.sum, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.sum) != argonKeySize {
		return h, abi.ErrArgument
	}
	return h, nil
}
