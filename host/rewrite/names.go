package rewrite

// The custom section "name" says what functions are called, for stack traces.
const (
	nameSection   = "name"
	functionNames = 1 // the part that names functions
)

// A functionName is one entry of the section.
type functionName struct {
	index uint32
	name  string
}

// functionNames returns the names of functions. What cannot be read is as good
// as not there: the section is for people.
func (m *Module) functionNames() (names []functionName) {
	defer func() {
		if recover() != nil {
			names = nil
		}
	}()
	for _, c := range m.Customs {
		if c.Name != nameSection {
			continue
		}
		for r := (&reader{data: c.Bytes}); r.more(); {
			id := r.byte()
			body := r.sub(r.u32())
			if id == functionNames {
				return list(body, func(r *reader) functionName { return functionName{r.u32(), r.name()} })
			}
		}
	}
	return nil
}

// setFunctionNames puts names in place of all custom sections: the others, such
// as those for debuggers, speak of code that is not what it was.
func (m *Module) setFunctionNames(names []functionName) {
	m.Customs = nil
	if len(names) == 0 {
		return
	}
	body := appendU32(nil, uint32(len(names)))
	for _, n := range names {
		body = appendName(appendU32(body, n.index), n.name)
	}
	section := append(appendU32([]byte{functionNames}, uint32(len(body))), body...)
	m.Customs = []Custom{{Name: nameSection, Bytes: section}}
}
