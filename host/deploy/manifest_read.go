package deploy

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// Bounds of what a manifest can have.
const (
	maxDeployments = 1000
	maxPlugins     = 64 // of a deployment
	maxProbes      = 64 // of a deployment
	maxWebhooks    = 64 // of a deployment
	maxPath        = 2000
)

// readDeployments reads and checks all that a manifest says.
func readDeployments(p place) *Manifest {
	m := new(Manifest)
	p.unknown(reflect.TypeFor[Manifest]())
	tables := p.tables("deployment", "[[deployment]]")
	switch {
	case len(tables) == 0 && p.none("deployment"):
		p.add(1, "no [[deployment]]: want at least one")
	case len(tables) > maxDeployments:
		p.add(tables[maxDeployments].line, "%d deployments; want at most %d", len(tables), maxDeployments)
		tables = tables[:maxDeployments]
	}
	names, hosts := map[string]int{}, map[string]hostOwner{}
	for _, t := range tables {
		d := place{faults: p.faults, table: t, who: "deployment " + quote(t.name()) + ": "}
		s := Spec{Canary: DefaultCanary()}
		d.read(&s)
		d.checkDeployment(&s, names, hosts)
		if n := d.child("canary"); n != nil {
			c := d
			c.table, c.path = n, "canary."
			c.read(&s.Canary)
			c.checkCanary(s.Canary)
		}
		d.readMail(&s.Mail)
		d.readWebhooks(&s)
		d.readOutbox(&s.Outbox)
		d.readProbes(&s)
		d.readPlugins(&s)
		m.Deployments = append(m.Deployments, s)
	}
	return m
}

func (p place) readProbes(s *Spec) {
	tables := p.tables("probe", "[[deployment.probe]]")
	if len(tables) > maxProbes {
		p.add(tables[maxProbes].line, "%s%d probes; want at most %d", p.who, len(tables), maxProbes)
		tables = tables[:maxProbes]
	}
	for _, t := range tables {
		probe := ProbeSpec{Status: 200}
		pp := place{faults: p.faults, table: t, who: p.who + "probe " + quote(t.stringAt("path")) + ": "}
		pp.read(&probe)
		pp.checkProbe(&probe)
		s.Probes = append(s.Probes, probe)
	}
}

func (p place) readPlugins(s *Spec) {
	tables := p.tables("plugin", "[[deployment.plugin]]")
	switch {
	case len(tables) == 0 && p.none("plugin"):
		p.add(p.table.line, "%sno [[deployment.plugin]]: want at least one", p.who)
	case len(tables) > maxPlugins:
		p.add(tables[maxPlugins].line, "%s%d plugins; want at most %d", p.who, len(tables), maxPlugins)
		tables = tables[:maxPlugins]
	}
	names := map[string]*node{} // the first of a name counts
	for _, t := range slices.Backward(tables) {
		names[t.name()] = t
	}
	for _, t := range tables {
		pl := place{faults: p.faults, table: t, who: p.who + "plugin " + quote(t.name()) + ": "}
		var spec PluginSpec
		pl.read(&spec)
		pl.checkPlugin(&spec, names, s.Webhooks)
		routes := pl.tables("route", "[[deployment.plugin.route]]")
		if len(routes) > maxRoutes {
			pl.add(routes[maxRoutes].line, "%s%d routes; want at most %d", pl.who, len(routes), maxRoutes)
			routes = routes[:maxRoutes]
		}
		for _, t := range routes {
			var r RouteSpec
			rp := place{faults: p.faults, table: t}
			rp.who = fmt.Sprintf("%sroute %s: ", pl.who, quote(t.stringAt("method")+" "+t.stringAt("pattern")))
			rp.read(&r)
			rp.checkRoute(&r)
			spec.Routes = append(spec.Routes, r)
		}
		s.Plugins = append(s.Plugins, spec)
	}
}

// stringAt returns a string of a table, if it is one.
func (n *node) stringAt(key string) string {
	if v := n.keys[key]; v != nil && v.kind == unstable.String {
		return v.text
	}
	return ""
}

func (n *node) name() string { return n.stringAt("name") }

func (n *node) nameLine() int {
	if v := n.keys["name"]; v != nil {
		return v.line
	}
	return n.line
}

// none tells whether a list is absent or empty.
func (p place) none(key string) bool {
	n := p.table.keys[key]
	return n == nil || n.kind == unstable.Array && len(n.items) == 0
}

// tables returns the tables of a list, written with headers or inline.
func (p place) tables(key, header string) []*node {
	n := p.table.keys[key]
	if n == nil {
		return nil
	}
	if n.kind == unstable.ArrayTable {
		return n.items
	}
	if n.kind != unstable.Array {
		p.fault(key, "it is %s; want %s", n.what(), header)
		return nil
	}
	var list []*node
	for i, it := range n.items {
		if it.isTable() {
			list = append(list, it)
		} else {
			p.entryFault(key, i, "it is %s; want %s", it.what(), header)
		}
	}
	return list
}

// child returns a table below; nil: there is none.
func (p place) child(key string) *node {
	n := p.table.keys[key]
	if n != nil && !n.isTable() {
		p.fault(key, "it is %s; want a table", n.what())
		return nil
	}
	return n
}

// read sets the fields of a struct to what the table has for them: all but the
// tables below, which have checks of their own.
func (p place) read(into any) {
	v := reflect.ValueOf(into).Elem()
	p.unknown(v.Type())
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("toml")
		if n := p.table.keys[key]; n != nil && !hasTables(v.Type().Field(i).Type) {
			p.value(key, n, v.Field(i))
		}
	}
}

// hasTables tells whether a field holds one of our structs, or a list of them.
func hasTables(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

func (p place) value(key string, n *node, v reflect.Value) {
	wrong := func(want string) {
		if n.kind == unstable.String {
			p.fault(key, "%s: want %s", quote(n.text), want)
		} else {
			p.fault(key, "it is %s: want %s", n.what(), want)
		}
		n.bad = true
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		text := n.text
		if number, err := n.integer(); err == nil {
			text = strconv.FormatInt(number, 10)
		} else if n.text == "" && n.kind != unstable.String {
			text = n.what()
		}
		if err := u.UnmarshalText([]byte(text)); err != nil {
			p.fault(key, "%v", err)
			n.bad = true
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		if n.kind != unstable.String {
			wrong("a string, in quotes")
			return
		}
		v.SetString(n.text)
	case reflect.Int, reflect.Int64:
		number, err := n.integer()
		if err != nil || v.OverflowInt(number) {
			wrong("a whole number")
			return
		}
		v.SetInt(number)
	case reflect.Float64:
		number, err := n.number()
		if err != nil {
			wrong("a number")
			return
		}
		v.SetFloat(number)
	case reflect.Bool, reflect.Pointer:
		if n.kind != unstable.Bool {
			wrong("true or false, without quotes")
			return
		}
		if v.Kind() == reflect.Pointer {
			v.Set(reflect.New(v.Type().Elem()))
			v = v.Elem()
		}
		v.SetBool(n.text == "true")
	case reflect.Slice:
		if n.kind != unstable.Array {
			wrong(`a list of strings, such as ["a", "b"]`)
			return
		}
		for i, it := range n.items {
			if it.kind != unstable.String {
				p.entryFault(key, i, "entry %d is %s: want a string, in quotes", i+1, it.what())
				n.bad = true
			}
			v.Set(reflect.Append(v, reflect.ValueOf(it.text)))
		}
	case reflect.Map:
		if !n.isTable() {
			p.fault(key, "it is %s: want a table of settings", n.what())
			n.bad = true
			return
		}
		p.settings(key, n, v)
	}
}

// settings reads a table of strings. What they are is not repeated in messages: it
// may be confidential.
func (p place) settings(key string, n *node, v reflect.Value) {
	for _, name := range n.order {
		switch it := n.keys[name]; {
		case it.kind == unstable.String:
			if v.IsNil() {
				v.Set(reflect.MakeMap(v.Type()))
			}
			v.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(it.text))
		case it.isTable():
			p.add(it.line, "%s%s%s.%s: it is a table: want a string; a name with a dot in it has quotes", p.who, p.path, key, shown(name))
		default:
			p.add(it.line, "%s%s%s.%s: it is %s: want a string, in quotes", p.who, p.path, key, shown(name), it.what())
		}
	}
}

// integer returns the value of a whole number. Underscores, bases and leading zeros
// are the library's to judge.
func (n *node) integer() (int64, error) {
	var doc struct{ V int64 }
	if n.kind != unstable.Integer || len(n.text) > 100 {
		return 0, strconv.ErrSyntax
	}
	err := toml.Unmarshal([]byte("V = "+n.text), &doc)
	return doc.V, err
}

func (n *node) number() (float64, error) {
	if n.kind == unstable.Integer {
		number, err := n.integer()
		return float64(number), err
	}
	var doc struct{ V float64 }
	if n.kind != unstable.Float || len(n.text) > 400 {
		return 0, strconv.ErrSyntax
	}
	err := toml.Unmarshal([]byte("V = "+n.text), &doc)
	if err == nil && (math.IsNaN(doc.V) || math.IsInf(doc.V, 0)) {
		err = strconv.ErrRange
	}
	return doc.V + 0, err // which makes 0 of -0
}

// unknown tells which keys of the table no field of the struct has.
func (p place) unknown(t reflect.Type) {
	known := keysOf(t)
	for _, key := range p.table.order {
		if slices.Contains(known, key) {
			continue
		}
		right := "want one of " + strings.Join(known, ", ")
		if near := nearest(key, known); near != "" {
			right = fmt.Sprintf("want %q?", near)
		} else if header := belongs(key, p.table.keys[key]); header != "" {
			right = "it belongs below " + header
		}
		p.add(p.table.keys[key].line, "%sunknown key %s: %s", p.who, quote(p.path+key), right)
	}
}

// keysOf returns the keys of the table that a struct stands for.
func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("toml")
	}
	return keys
}

// belongs returns the header below which a key belongs that was found elsewhere; "":
// there is none. What is a table is not meant to be a key that is none.
func belongs(key string, found *node) string {
	for _, t := range []struct {
		header string
		of     reflect.Type
	}{
		{"[[deployment]]", reflect.TypeFor[Spec]()},
		{"[deployment.mail]", reflect.TypeFor[MailSpec]()},
		{"[[deployment.webhook]]", reflect.TypeFor[WebhookSpec]()},
		{"[deployment.outbox]", reflect.TypeFor[OutboxSpec]()},
		{"[deployment.canary]", reflect.TypeFor[CanaryRule]()},
		{"[[deployment.probe]]", reflect.TypeFor[ProbeSpec]()},
		{"[[deployment.plugin]]", reflect.TypeFor[PluginSpec]()},
		{"[[deployment.plugin.route]]", reflect.TypeFor[RouteSpec]()},
	} {
		i := slices.Index(keysOf(t.of), key)
		if i < 0 {
			continue
		}
		if f := t.of.Field(i).Type; !found.isTable() || hasTables(f) || f.Kind() == reflect.Map {
			return t.header
		}
	}
	return ""
}
