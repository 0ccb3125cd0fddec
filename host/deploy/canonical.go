package deploy

import (
	"encoding"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// TOML returns the deployment as a manifest in the canonical form: each key that does
// not have its default, in the order of the struct, settings by name. ParseManifest
// makes the same Spec of it, if this one came from there. Two deployments are the
// same if their texts are.
func (s *Spec) TOML() string {
	var w canonical
	w.table("[[deployment]]", reflect.ValueOf(s).Elem(), reflect.ValueOf(Spec{}))
	return w.String()
}

// maxWidth is how long a line with a list may get, before each entry has its own:
// so a diff shows which of them have changed.
const maxWidth = 100

// canonical writes manifests.
type canonical struct{ strings.Builder }

// table writes a struct: the keys that are not as in without, then the tables below.
func (w *canonical) table(header string, v, without reflect.Value) {
	if w.Len() > 0 {
		w.WriteByte('\n')
	}
	w.WriteString(header + "\n")
	path := strings.Trim(header, "[]")
	t := v.Type()
	for i := range t.NumField() {
		f := v.Field(i)
		if !hasTables(f.Type()) && f.Kind() != reflect.Map && !same(f, without.Field(i)) {
			w.key(t.Field(i).Tag.Get("toml"), f)
		}
	}
	for i := range t.NumField() {
		f, below := v.Field(i), path+"."+t.Field(i).Tag.Get("toml")
		switch {
		case f.Kind() == reflect.Struct:
			if standard := standardOf(f.Type()); !f.IsZero() && !f.Equal(standard) {
				w.table("["+below+"]", f, standard)
			}
		case f.Kind() == reflect.Map && f.Len() > 0:
			w.settings("["+below+"]", f.Interface().(map[string]string))
		case hasTables(f.Type()):
			for k := range f.Len() {
				w.table("[["+below+"]]", f.Index(k), reflect.Zero(f.Type().Elem()))
			}
		}
	}
}

// standardOf returns what a table below a deployment is that the manifest does not have.
func standardOf(t reflect.Type) reflect.Value {
	if t == reflect.TypeFor[CanaryRule]() {
		return reflect.ValueOf(DefaultCanary())
	}
	return reflect.Zero(t)
}

// same tells whether a field has the value that it has by default.
func same(f, standard reflect.Value) bool {
	if f.Kind() == reflect.Slice {
		return f.Len() == 0
	}
	return f.Equal(standard)
}

func (w *canonical) settings(header string, m map[string]string) {
	w.WriteString("\n" + header + "\n")
	for _, key := range slices.Sorted(maps.Keys(m)) {
		w.WriteString(bareOrQuoted(key) + " = " + tomlString(m[key]) + "\n")
	}
}

func (w *canonical) key(key string, f reflect.Value) {
	if f.Kind() == reflect.Slice {
		var entries []string
		for i := range f.Len() {
			entries = append(entries, tomlString(f.Index(i).String()))
		}
		line := key + " = [" + strings.Join(entries, ", ") + "]\n"
		if len(line) > maxWidth && len(entries) > 1 {
			line = key + " = [\n  " + strings.Join(entries, ",\n  ") + ",\n]\n"
		}
		w.WriteString(line)
		return
	}
	w.WriteString(key + " = " + scalar(f) + "\n")
}

// scalar writes a string, a number, true or false.
func scalar(f reflect.Value) string {
	if m, ok := f.Interface().(encoding.TextMarshaler); ok {
		if text, err := m.MarshalText(); err == nil {
			return tomlString(string(text))
		}
	}
	switch f = reflect.Indirect(f); f.Kind() {
	case reflect.String:
		return tomlString(f.String())
	case reflect.Float64:
		s := strconv.FormatFloat(f.Float(), 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	default:
		return fmt.Sprint(f.Interface())
	}
}

// tomlString quotes a string on one line. Bytes that are no UTF-8, which TOML cannot
// hold, become U+FFFD.
func tomlString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x20 || r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// bareOrQuoted writes a key.
func bareOrQuoted(key string) string {
	if key != "" && only(key, "_-") {
		return key
	}
	return tomlString(key)
}
