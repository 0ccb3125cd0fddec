package rewrite

import "fmt"

// MaxTable is how many entries a table may have, and MaxTables how many tables
// there may be. Go plugins of a few megabytes have one, with some thousands.
//
// The limit of memory does not count tables, and an entry takes 8 bytes of the
// host: without a limit of their own, one table.grow could take gigabytes.
const (
	MaxTable  = 1 << 20
	MaxTables = 16
)

// LimitTables bounds every table to MaxTable, so that table.grow fails beyond it
// as the specification says it may.
func LimitTables(m *Module) error {
	if len(m.Tables) > MaxTables {
		return fmt.Errorf("%d tables: at most %d are taken", len(m.Tables), MaxTables)
	}
	for i := range m.Tables {
		t := &m.Tables[i]
		if t.Min > MaxTable {
			return fmt.Errorf("table of %d entries: at most %d are taken", t.Min, MaxTable)
		}
		if t.Flags&1 == 0 || t.Max > MaxTable {
			t.Flags, t.Max = t.Flags|1, MaxTable
		}
	}
	return nil
}
