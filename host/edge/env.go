package edge

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
)

// The methods of extism.Env: what an Extism plugin, or go-pdk inside one of
// ours, asks for.

// An Extism plugin's variables outlive the call and are the same in all
// instances of the plugin, so they are entries of the store, beside the key
// space: the byte behind the plugin's name is 1 instead of 0.
const varMark = 1

func (c *Call) varKey(name string) ([]byte, error) {
	if err := c.check(len(name)); err != nil {
		return nil, err
	}
	k := c.full(&c.key, []byte(name))
	k[len(c.prefix)-1] = varMark
	return k, nil
}

// VarGet implements extism.Env.
func (c *Call) VarGet(name string) ([]byte, error) {
	k, err := c.varKey(name)
	if err != nil {
		return nil, err
	}
	value, found, err := c.get(k)
	if found && value == nil {
		value = []byte{}
	}
	return value, err
}

// VarSet implements extism.Env.
func (c *Call) VarSet(name string, value []byte) error {
	k, err := c.varKey(name)
	if err != nil {
		return err
	}
	if c.ReadOnly {
		return abi.ErrReadOnly
	}
	c.wrote(k)
	if value == nil {
		return c.storeError(c.txn.Delete(k))
	}
	return c.storeError(c.txn.Put(k, value, 0))
}

// KVGet implements extism.Env.
func (c *Call) KVGet(key []byte) ([]byte, bool, error) { return c.Get(key) }

// KVPut implements extism.Env.
func (c *Call) KVPut(key, value []byte) error { return c.Put(key, value, 0) }

// KVDelete implements extism.Env.
func (c *Call) KVDelete(key []byte) error { return c.Delete(key) }

// HTTP implements extism.Env. A request goes out once, however often the call
// is run.
func (c *Call) HTTP(q *extism.HTTPRequest) (*extism.HTTPResponse, error) {
	reply, err := c.fetch(q)
	if err != nil {
		return nil, err
	}
	return reply, c.spend(len(reply.Body))
}

var _ extism.Env = (*Call)(nil)
