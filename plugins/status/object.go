package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// maxText bounds sources and types, in bytes; maxName the names that people choose.
const (
	maxText = 128
	maxName = 150
)

// An object is a JSON object that a client has sent.
type object abi.Value

// objectOf returns the body of a request.
func objectOf(r *guest.Request) (object, error) {
	if r.Body().Kind() != abi.Map {
		return nil, fail(400, "bad_body", "", "body: want a JSON object, got %s", r.Body().Kind())
	}
	return object(r.Body()), nil
}

// value returns a field, whatever it is; no value if it is absent.
func (o object) value(field string) abi.Value { return abi.Value(o).Get(field) }

// required returns a field that must be there.
func (o object) required(field string) (abi.Value, error) {
	v := o.value(field)
	if v.IsNil() {
		return nil, fail(400, "missing_field", field, "%s: is missing", field)
	}
	return v, nil
}

// text returns a string of 1 to limit bytes, which must be there.
func (o object) text(field string, limit int) (string, error) {
	v, err := o.required(field)
	if err != nil {
		return "", err
	}
	s, ok := v.Text()
	if !ok || s == "" || len(s) > limit {
		return "", fail(400, "bad_field", field, "%s: want a string of 1 to %d bytes", field, limit)
	}
	return s, nil
}

// bool returns a field, def if it is absent.
func (o object) bool(field string, def bool) (bool, error) {
	v := o.value(field)
	if !v.Exists() {
		return def, nil
	}
	b, ok := v.Bool()
	if !ok {
		return false, fail(400, "bad_field", field, "%s: want true or false, got %s", field, v.Kind())
	}
	return b, nil
}

// uuid returns a field that must be there.
func (o object) uuid(field string) (gid, error) {
	v, err := o.required(field)
	if err != nil {
		return gid{}, err
	}
	text, ok := v.Text()
	id, _, valid := parseUUID(text)
	if !ok || !valid {
		return gid{}, fail(400, "bad_uuid", field, "%s: want a UUID, such as 4470009d-ca3c-4819-aa3a-7fa04e9af258", field)
	}
	return id, nil
}

// other returns the field gid_uuid, which must name somebody else than the caller.
func (o object) other(self gid) (gid, error) {
	id, err := o.uuid("gid_uuid")
	if err == nil && id == self {
		return gid{}, fail(400, "bad_field", "gid_uuid", "gid_uuid: is your own")
	}
	return id, err
}

// pathUUID returns the UUID in the path; what is none names nothing.
func pathUUID(r *guest.Request, param string) (gid, error) {
	id, _, ok := parseUUID(r.Param(param))
	if !ok {
		return gid{}, notFound(param)
	}
	return id, nil
}

func notFound(what string) error {
	return fail(404, "not_found", what, "%s: there is none of that id for you", what)
}

// writeText writes an entry of a map.
func writeText(w *abi.Writer, key, text string) {
	w.Key(key)
	w.Text(text)
}

// writeTextOrNull writes an entry of a map, null if there is no text.
func writeTextOrNull(w *abi.Writer, key, text string) {
	w.Key(key)
	if text == "" {
		w.Nil()
	} else {
		w.Text(text)
	}
}
