package text

import (
	"strconv"

	"github.com/edgeset/edgeset/abi"
)

// AppendErrorForm appends e to dst as JSON in the form of an API family: form
// with its placeholders filled, as abi.Family says. A value "$detail" outside
// of a map becomes null if e has no detail. No form, or null, stands for
// abi.DefaultErrors.
func AppendErrorForm(dst []byte, form abi.Value, e *abi.Error, timeMS int64, requestID string) ([]byte, error) {
	if form.IsNil() {
		form = abi.DefaultErrors()
	}
	r := renderer{src: form, dst: dst, form: &filling{e, timeMS, requestID}}
	if r.value(0, abi.MaxDepth) != len(form) {
		return dst, ErrValue
	}
	return r.dst, nil
}

// filling is what the placeholders of an error form stand for.
type filling struct {
	err     *abi.Error
	timeMS  int64
	request string
}

const detail = "$detail"

// omits tells whether the value at the start of b is a detail that is not there.
func (f *filling) omits(b []byte) bool {
	return f.err.Detail.IsNil() && len(b) > len(detail) && b[0] == 0xa0|byte(len(detail)) && string(b[1:1+len(detail)]) == detail
}

// fill renders what stands for the placeholder s, if it is one.
func (r *renderer) fill(s []byte) bool {
	f := r.form
	switch string(s) {
	case "$status":
		r.dst = strconv.AppendInt(r.dst, int64(f.err.Status), 10)
	case "$code":
		r.dst = AppendString(r.dst, []byte(f.err.Code))
	case "$message":
		r.dst = AppendString(r.dst, []byte(f.err.Message))
	case detail:
		before := r.dst
		var err error
		if r.dst, err = AppendJSON(r.dst, f.err.Detail); err != nil {
			r.dst = append(before, "null"...)
		}
	case "$time":
		r.dst = strconv.AppendInt(r.dst, f.timeMS, 10)
	case "$request":
		r.dst = AppendString(r.dst, []byte(f.request))
	default:
		return false
	}
	return true
}
