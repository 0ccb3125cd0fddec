package engine

func (m *mapped) region() (start, end uintptr) {
	return uintptr(m.base), uintptr(m.base) + m.reserved
}
