package deploy

import (
	"errors"
	"sort"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Bounds of a manifest's text.
const (
	maxManifest = 1 << 20
	// maxDepth bounds how deep values lie in one another, and the parts of a key.
	// The parser calls itself for each level of values.
	maxDepth = 16
)

// A node is a value of a manifest that knows its line.
type node struct {
	line int
	// kind is that of the value. Table is what headers and dotted keys make, and
	// ArrayTable a list of those.
	kind  unstable.Kind
	text  string           // of a string; of other scalars, as it is written
	items []*node          // of a list
	keys  map[string]*node // of a table
	order []string         // of its keys
	made  origin           // of a Table
	bad   bool             // it was found to have the wrong type, and that is told
}

// An origin is what made a table, which decides what may add to it.
type origin int

const (
	byHeader origin = iota
	byPath          // the header of a table below: its own may follow
	byDots          // a dotted key: more of them may follow
)

func (n *node) isTable() bool { return n.kind == unstable.Table || n.kind == unstable.InlineTable }

func (n *node) put(key string, value *node) *node {
	if n.keys == nil {
		n.keys = map[string]*node{}
	}
	n.keys[key] = value
	n.order = append(n.order, key)
	return value
}

// what says what kind of value it is.
func (n *node) what() string {
	switch n.kind {
	case unstable.String:
		return "a string"
	case unstable.Bool:
		return "true or false"
	case unstable.Integer, unstable.Float:
		return "a number"
	case unstable.Array, unstable.ArrayTable:
		return "a list"
	case unstable.Table, unstable.InlineTable:
		return "a table"
	default:
		return "a date or time"
	}
}

// A document builds the tree of nodes.
type document struct {
	*faults
	parser unstable.Parser
	lines  []int // where they start
	root   *node
}

// parseDocument reads a text as TOML. A text that is none has one fault, and no
// tree.
func parseDocument(text string, f *faults) *node {
	if line := tooDeep(text); line > 0 {
		f.add(line, "values lie more than %d deep in one another; want fewer [ and {", maxDepth)
		return nil
	}
	d := document{faults: f, lines: []int{0}, root: &node{line: 1, kind: unstable.Table}}
	for i := range len(text) {
		if text[i] == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	// With a byte to spare, a slice of what is left lies in the text also where
	// nothing is left, as the parser wants it.
	d.parser.Reset(append(make([]byte, 0, len(text)+1), text...))
	current := d.root
	for d.parser.NextExpression() {
		if e := d.parser.Expression(); e.Kind == unstable.KeyValue {
			d.set(current, e)
		} else {
			current = d.open(e)
		}
	}
	err := d.parser.Error()
	if err == nil {
		return d.root
	}
	line := len(d.lines)
	var at *unstable.ParserError
	if errors.As(err, &at) {
		line = d.line(d.parser.Range(at.Highlight))
	}
	message := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, err.Error())
	f.list, f.more = nil, 0
	f.add(line, "no TOML: %s", message)
	return nil
}

func (d *document) line(at unstable.Range) int {
	return sort.SearchInts(d.lines, int(at.Offset)+1)
}

// open returns the table that a header opens.
func (d *document) open(header *unstable.Node) *node {
	keys, line := d.key(header)
	opened := &node{line: line, kind: unstable.Table}
	if len(keys) > maxDepth {
		d.add(line, "a key of %d parts; want at most %d", len(keys), maxDepth)
		return opened // what follows belongs nowhere
	}
	last := len(keys) - 1
	t := d.root
	for _, key := range keys[:last] {
		n := t.keys[key]
		if n == nil {
			n = t.put(key, &node{line: line, kind: unstable.Table, made: byPath})
		}
		if n.kind == unstable.ArrayTable {
			n = n.items[len(n.items)-1]
		}
		if n.kind != unstable.Table {
			d.add(line, "%s: it is %s already, at line %d; want one of the two", shown(key), n.what(), n.line)
			return opened
		}
		t = n
	}
	key := keys[last]
	n := t.keys[key]
	switch {
	case n == nil && header.Kind == unstable.ArrayTable:
		t.put(key, &node{line: line, kind: unstable.ArrayTable, items: []*node{opened}})
	case n == nil:
		t.put(key, opened)
	case header.Kind == unstable.ArrayTable && n.kind == unstable.ArrayTable:
		n.items = append(n.items, opened)
	case header.Kind == unstable.Table && n.kind == unstable.Table && n.made == byPath:
		n.made, n.line = byHeader, line
		return n
	default:
		d.add(line, "%s: it is %s already, at line %d; want one of the two", shown(key), n.what(), n.line)
	}
	return opened
}

// set puts a key and its value into a table.
func (d *document) set(t *node, e *unstable.Node) {
	keys, line := d.key(e)
	if len(keys) > maxDepth {
		d.add(line, "a key of %d parts; want at most %d", len(keys), maxDepth)
		return
	}
	last := len(keys) - 1
	for _, key := range keys[:last] {
		n := t.keys[key]
		if n == nil {
			n = t.put(key, &node{line: line, kind: unstable.Table, made: byDots})
		}
		if n.kind != unstable.Table || n.made != byDots {
			d.add(line, "%s: it is %s already, at line %d; want one of the two", shown(key), n.what(), n.line)
			return
		}
		t = n
	}
	if n := t.keys[keys[last]]; n != nil {
		d.add(line, "%s: it is there already, at line %d; want it once", shown(keys[last]), n.line)
		return
	}
	t.put(keys[last], d.value(e.Value(), line))
}

// value makes a node of a value whose key stands at the line.
func (d *document) value(e *unstable.Node, line int) *node {
	if e.Raw.Length > 0 {
		line = d.line(e.Raw)
	}
	n := &node{line: line, kind: e.Kind}
	switch e.Kind {
	case unstable.Array:
		for it := e.Children(); it.Next(); {
			n.items = append(n.items, d.value(it.Node(), line))
		}
	case unstable.InlineTable:
		for it := e.Children(); it.Next(); {
			d.set(n, it.Node())
		}
	default:
		n.text = string(e.Data)
	}
	return n
}

// key returns the parts of a key, or of a header, and its line.
func (d *document) key(e *unstable.Node) (parts []string, line int) {
	for it := e.Key(); it.Next(); {
		if line == 0 {
			line = d.line(it.Node().Raw)
		}
		parts = append(parts, string(it.Node().Data))
	}
	return parts, line
}

// tooDeep returns the line at which values lie too deep in one another; 0: there is
// none. Up to the first fault in the syntax it sees strings and comments as the
// parser does.
func tooDeep(text string) int {
	line, depth := 1, 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case '\n':
			line++
		case '#':
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case '"', '\'':
			n := stringLength(text[i:])
			line += strings.Count(text[i:i+n], "\n")
			i += n - 1
		case '[', '{':
			if depth++; depth > maxDepth {
				return line
			}
		case ']', '}':
			depth--
		}
	}
	return 0
}

// stringLength measures the string that text begins with, quotes included.
func stringLength(text string) int {
	quote := text[:1]
	escapes := quote == `"`
	long := strings.HasPrefix(text, strings.Repeat(quote, 3))
	i := 1
	if long {
		i = 3
	}
	for ; i < len(text); i++ {
		switch {
		case escapes && text[i] == '\\':
			i++
		case !long && text[i] == '\n':
			return i // it is not closed
		case !long && text[i] == quote[0]:
			return i + 1
		case long && strings.HasPrefix(text[i:], strings.Repeat(quote, 3)):
			// Up to two quotes before the end belong to the string.
			for i += 3; i < len(text) && text[i] == quote[0]; i++ {
			}
			return i
		}
	}
	return len(text)
}
