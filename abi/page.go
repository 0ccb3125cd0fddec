package abi

// Append writes a page as the result of a scan: [more, key, value, key, …].
func (p *Page) Append(w *Writer) {
	w.FixedArray(1 + 2*len(p.Entries))
	w.Bool(p.More)
	for _, e := range p.Entries {
		w.Bytes(e.Key)
		w.Bytes(e.Value)
	}
}

// ReadPage reads the result of a scan. The entries point into list.
func ReadPage(list []byte) (Page, error) {
	r := Value(list).Read()
	n := r.Array() - 1
	if n < 0 || n%2 != 0 {
		return Page{}, ErrFrame
	}
	p := Page{More: r.Bool()}
	if n > 0 {
		p.Entries = make([]Entry, n/2)
	}
	for i := range p.Entries {
		p.Entries[i] = Entry{Key: r.Bytes(), Value: r.Bytes()}
	}
	if !r.Done() {
		return Page{}, ErrFrame
	}
	return p, nil
}
