package rewrite

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Names of what Snapshot adds to a module. What is numbered counts from 0.
const (
	// DataExport begins the names of functions () → (), to be called once each
	// and in their order before anything else: they write what the active data
	// segments hold.
	DataExport = Reserved + "data"
	// StartExport names the start function, () → (), which is called next.
	StartExport = Reserved + "start"
	// GlobalExport begins the names of the mutable globals that hold numbers.
	GlobalExport = Reserved + "global"
	// ChangedExport names an i32 global that is 1 if the module has changed what
	// cannot be carried over: a table, a passive segment, or a global that holds a
	// vector or a reference. There is none if it has no code that does.
	ChangedExport = Reserved + "changed"
	// TakenExport names an i32 global that tells what the code of a Go guest has
	// taken that differs from one instance to the next: TakenTime, TakenRandom or
	// nothing, 0. There is none in modules that are not Go's or have no names.
	TakenExport = Reserved + "taken"
)

// ErrReserved is the error of a module that imports or exports a name of its own
// that begins with Reserved.
var ErrReserved = errors.New("it imports or exports a name that begins with \"" + Reserved + "\", which only the host uses")

// Snapshot gives a module the exports that are needed to start instances of it
// from the memory and the globals of another.
//
// Data segments are no longer written when the module is instantiated, and the
// start function is no longer called, since an instance that starts from an
// image has the effects of both. Whoever starts without one calls DataExport
// and StartExport.
func Snapshot(m *Module) (err error) {
	defer catch(&err)
	for i := range m.Exports {
		if strings.HasPrefix(m.Exports[i].Name, Reserved) {
			return ErrReserved
		}
	}
	s := &snapshotter{m: m, flags: make(map[string]uint32)}
	s.exportGlobals()
	s.survey()
	if m.Start != nil {
		// In a function of its own, since an import that is exported again cannot
		// be called from outside.
		m.addFunction(StartExport, m.addType(nil, nil), append(appendU32([]byte{0, opCall}, *m.Start), opEnd))
		m.Start = nil
	}
	s.apply()
	s.deferData()
	return nil
}

// A snapshotter holds what is known of a module while it is changed.
type snapshotter struct {
	m     *Module
	other map[uint32]bool   // mutable globals that hold no number
	flags map[string]uint32 // globals that were added, by their export

	segments bool // code names data segments, so that they keep their numbers
	edits    []edit
}

// An edit puts text in place of a part of a body.
type edit struct {
	body       int
	start, end int
	text       []byte
}

// exportGlobals exports the mutable globals that hold numbers, and remembers
// the others.
func (s *snapshotter) exportGlobals() {
	s.other = make(map[uint32]bool)
	first, n := s.m.imported(KindGlobal), 0
	for i := range s.m.Globals {
		g, index := &s.m.Globals[i], first+uint32(i)
		switch {
		case !g.Mutable:
		case g.Type == I32, g.Type == I64, g.Type == f32, g.Type == f64:
			s.m.Exports = append(s.m.Exports, Export{Name: GlobalExport + strconv.Itoa(n), Kind: KindGlobal, Index: index})
			n++
		default:
			s.other[index] = true
		}
	}
}

// survey finds the code that changes what cannot be carried over, and that of
// Go's that takes what differs.
func (s *snapshotter) survey() {
	taken := s.m.takers()
	if taken != nil {
		s.flag(TakenExport)
	}
	first := s.m.imported(KindFunc)
	// An active segment counts as dropped once it has been written, which is the
	// same as empty: one that is is added behind the others.
	empty := uint32(len(s.m.Data))
	var in instr
	for i, body := range s.m.Code {
		r := &reader{data: body}
		for _, _, r.pos = r.locals(); r.more(); {
			r.instr(&in)
			switch in.op {
			case opTableSet:
				s.set(i, in.start, ChangedExport, 1)
			case opGlobalSet:
				if s.other[uint32(in.a)] {
					s.set(i, in.start, ChangedExport, 1)
				}
			case opCall:
				if what := taken.what(first+uint32(i), uint32(in.a)); what != 0 {
					s.set(i, in.start, TakenExport, what)
				}
			case opMisc:
				switch in.sub {
				case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill, miscElemDrop:
					s.set(i, in.start, ChangedExport, 1)
				case miscDataDrop:
					s.segment(&in)
					s.set(i, in.start, ChangedExport, 1)
				case miscMemoryInit:
					if !s.segment(&in).Passive {
						text := appendU32(append([]byte{opMisc}, miscMemoryInit), empty)
						s.edits = append(s.edits, edit{i, in.start, in.end, appendU32(text, uint32(in.b))})
					}
				}
			}
		}
	}
}

// segment returns the data segment that an instruction names.
func (s *snapshotter) segment(in *instr) *Data {
	if s.m.DataCount == nil || uint32(in.a) >= *s.m.DataCount {
		fail("an instruction names data segment %d, which is not announced", uint32(in.a))
	}
	s.segments = true
	return &s.m.Data[uint32(in.a)]
}

// set inserts code that sets a flag. It can stand before any instruction, since
// it leaves the operands alone.
func (s *snapshotter) set(body, at int, flag string, value int64) {
	text := appendS64([]byte{opI32Const}, value)
	text = appendU32(append(text, opGlobalSet), s.flag(flag))
	s.edits = append(s.edits, edit{body, at, at, text})
}

// flag returns the number of the global that is exported under a name.
func (s *snapshotter) flag(export string) uint32 {
	index, ok := s.flags[export]
	if !ok {
		index = s.m.addGlobal(I32)
		s.flags[export] = index
		s.m.Exports = append(s.m.Exports, Export{Name: export, Kind: KindGlobal, Index: index})
	}
	return index
}

// apply makes the edits, which are in order.
func (s *snapshotter) apply() {
	for n := 0; n < len(s.edits); {
		i, done := s.edits[n].body, 0
		body := s.m.Code[i]
		var out []byte
		for ; n < len(s.edits) && s.edits[n].body == i; n++ {
			e := s.edits[n]
			out = append(append(out, body[done:e.start]...), e.text...)
			done = e.end
		}
		s.m.Code[i] = append(out, body[done:]...)
	}
}

// Segments of Go's come by ten thousands, with a few zeros between them. They
// are written as one, up to such a distance. A function writes no more than
// dataChunk of them: compilers do not like it when one is too long.
const (
	dataGap   = 128
	dataChunk = 256
)

// deferData makes the active data segments passive, and adds the functions that
// write them. They trap where instantiating would have failed.
func (s *snapshotter) deferData() {
	m := s.m
	if !s.segments {
		m.Data = merge(m.Data)
	}
	n := 0
	var body []byte
	flush := func() {
		if len(body) > 0 {
			m.addFunction(DataExport+strconv.Itoa(n), m.addType(nil, nil), append(body, opEnd))
			n, body = n+1, nil
		}
	}
	for i := range m.Data {
		d := &m.Data[i]
		if d.Passive || d.Memory != 0 { // the compiler refuses the latter
			continue
		}
		if i%dataChunk == 0 {
			flush()
		}
		if body == nil {
			body = []byte{0}
		}
		body = append(body, d.Offset[:len(d.Offset)-1]...)
		body = appendS64(append(body, opI32Const, 0, opI32Const), int64(int32(len(d.Bytes))))
		body = append(appendU32(append(body, opMisc, miscMemoryInit), uint32(i)), 0)
		d.Passive, d.Offset = true, nil
	}
	flush()
	if s.segments {
		m.Data = append(m.Data, Data{Passive: true})
	}
	if len(m.Data) > 0 {
		count := uint32(len(m.Data))
		m.DataCount = &count
	}
}

// merge joins segments that follow each other closely, if nothing else is
// written between them, so that it is zero there.
func merge(segments []Data) []Data {
	written := extents(segments)
	if written == nil {
		return segments
	}
	var out []Data
	end := int64(-1) // of the last of out, if it can be added to
	for _, d := range segments {
		at, ok := d.at()
		gap := at - end
		if ok && end >= 0 && gap >= 0 && gap <= dataGap && len(d.Bytes) > 0 && (gap == 0 || free(written, end, at)) {
			last := &out[len(out)-1]
			last.Bytes = append(append(last.Bytes, make([]byte, gap)...), d.Bytes...)
		} else {
			out = append(out, d)
		}
		if end = -1; ok {
			end = at + int64(len(d.Bytes))
		}
	}
	return out
}

// An extent is a part of the memory.
type extent struct{ start, end int64 }

// extents returns the parts that active segments write, in order and joined; or
// nil if that is not known of all of them.
func extents(segments []Data) []extent {
	var all []extent
	for i := range segments {
		at, ok := segments[i].at()
		switch {
		case ok:
			all = append(all, extent{at, at + int64(len(segments[i].Bytes))})
		case !segments[i].Passive:
			return nil
		}
	}
	slices.SortFunc(all, func(a, b extent) int { return cmp.Compare(a.start, b.start) })
	var out []extent
	for _, e := range all {
		if n := len(out); n > 0 && e.start <= out[n-1].end {
			out[n-1].end = max(out[n-1].end, e.end)
		} else {
			out = append(out, e)
		}
	}
	return out
}

// free tells whether nothing is written from one address up to another.
func free(written []extent, from, to int64) bool {
	i, _ := slices.BinarySearchFunc(written, from, func(e extent, at int64) int { return cmp.Compare(e.end, at+1) })
	return i == len(written) || written[i].start >= to
}

// at returns where an active segment goes, if that is a constant.
func (d *Data) at() (int64, bool) {
	if d.Passive || d.Memory != 0 {
		return 0, false
	}
	var in instr
	r := &reader{data: d.Offset}
	if r.instr(&in); in.op != opI32Const || in.end != len(d.Offset)-1 {
		return 0, false
	}
	return int64(uint32(in.a)), true
}
