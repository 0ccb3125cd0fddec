package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// maxTable is how many entries a table may have. Go plugins of a few megabytes
// have some thousands.
//
// The limit of memory does not count tables, and an entry takes 8 bytes of the
// host: without a limit of their own, one table.grow could take gigabytes.
const maxTable = 1 << 20

const (
	sectionTable = 4
	maxTables    = 16
)

var errMalformed = errors.New("malformed WebAssembly: a section ends too early")

// limitTables returns the module with every table bounded to maxTable, so that
// table.grow fails beyond it as the specification says it may.
func limitTables(wasm []byte) ([]byte, error) {
	for at := 8; at < len(wasm); {
		id := wasm[at]
		size, n := binary.Uvarint(wasm[at+1:])
		start := at + 1 + n
		if n <= 0 || size > uint64(len(wasm)-start) {
			return nil, errMalformed
		}
		end := start + int(size)
		if id != sectionTable {
			at = end
			continue
		}
		body, changed, err := boundTables(wasm[start:end])
		if err != nil || !changed {
			return wasm, err
		}
		out := make([]byte, 0, len(wasm)+16)
		out = append(out, wasm[:at]...)
		out = append(out, sectionTable)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
		return append(out, wasm[end:]...), nil
	}
	return wasm, nil
}

// boundTables rewrites the body of a table section: a count, and for each table
// a type, whether there is a maximum, the minimum, and the maximum.
func boundTables(body []byte) (out []byte, changed bool, err error) {
	rest := body
	number := func() uint64 {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			err, rest = errMalformed, nil
			return 0
		}
		rest = rest[size:]
		return n
	}
	count := number()
	if count > maxTables {
		return nil, false, fmt.Errorf("%d tables: at most %d are taken", count, maxTables)
	}
	out = binary.AppendUvarint(nil, count)
	for ; count > 0 && err == nil; count-- {
		if len(rest) < 2 {
			return nil, false, errMalformed
		}
		kind, bounded := rest[0], rest[1]
		rest = rest[2:]
		if bounded > 1 {
			// Nothing that this engine compiles; the compiler says what it is.
			return nil, false, nil
		}
		low, high := number(), uint64(maxTable)
		if bounded == 1 {
			high = number()
		}
		if low > maxTable {
			return nil, false, fmt.Errorf("table of %d entries: at most %d are taken", low, maxTable)
		}
		if bounded == 0 || high > maxTable {
			high, changed = min(high, maxTable), true
		}
		out = append(out, kind, 1)
		out = binary.AppendUvarint(out, low)
		out = binary.AppendUvarint(out, high)
	}
	if err == nil && len(rest) > 0 {
		return nil, false, nil
	}
	return out, changed, err
}
