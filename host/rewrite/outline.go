package rewrite

// OutlineSection names the custom section of an outline that has the digest of
// the whole module.
const OutlineSection = Reserved + "outline"

// Outline returns the module without what its functions do: each of them traps.
// A compiler that has the machine code of the whole module already needs no
// more than that to know what the code belongs to.
//
// digest is the SHA-256 of the whole module as encoded. It becomes part of the
// outline, so that the outlines of two modules are never the same.
func (m *Module) Outline(digest [32]byte) *Module {
	o := *m
	trap := []byte{0, opUnreachable, opEnd} // no locals
	o.Code = make([][]byte, len(m.Code))
	for i := range o.Code {
		o.Code[i] = trap
	}
	o.Customs = append(m.Customs[:len(m.Customs):len(m.Customs)], Custom{Name: OutlineSection, Bytes: digest[:]})
	return &o
}
