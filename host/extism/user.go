package extism

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
)

// user is extism:host/user: what Extism has no function for. Arguments and
// results follow its convention, offsets of blocks.
var user = []function{
	// kv_get(key) → the block of the value, 0 if there is none.
	{"kv_get", types(i64), types(i64), kvGet},
	// kv_put(key, value) → 0, or a code of package abi, which is negative.
	{"kv_put", types(i64, i64), types(i64), kvPut},
	// kv_delete(key) → 0, or a code.
	{"kv_delete", types(i64), types(i64), kvDelete},
}

func kvGet(s *State, stack []uint64) {
	value, found, err := s.ask("kv_get").KVGet(s.load("kv_get", stack[0]))
	if err != nil {
		// There is no result left to say it with: 0 would be "no such key", and
		// the plugin might go on and write.
		panic(fmt.Errorf("extism: kv_get: %w", err))
	}
	stack[0] = 0
	if found {
		stack[0] = s.store("kv_get", value)
	}
}

func kvPut(s *State, stack []uint64) {
	err := s.ask("kv_put").KVPut(s.load("kv_put", stack[0]), s.load("kv_put", stack[1]))
	stack[0] = code(err)
}

func kvDelete(s *State, stack []uint64) {
	stack[0] = code(s.ask("kv_delete").KVDelete(s.load("kv_delete", stack[0])))
}

func code(err error) uint64 {
	if err == nil {
		return 0
	}
	return uint64(abi.CodeOf(err))
}
