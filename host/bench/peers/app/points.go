package app

import "errors"

// MaxPoints is how many points one upload may bring.
const MaxPoints = 1000

// ErrPoints is the error of Check.
var ErrPoints = errors.New("want 1 to 1000 points [t, lat, lng, speed, heading, altitude, h_acc, v_acc], ordered by time")

// limits of the columns of a point.
var limits = [8][2]int64{
	{0, 1 << 53}, {-90_000_000, 90_000_000}, {-180_000_000, 180_000_000},
	{-1, 1_000_000}, {-1, 360}, {-100_000, 1_000_000}, {-1, 1_000_000}, {-1, 1_000_000},
}

// A Batch is an upload that is right.
type Batch struct {
	Rows        []byte // the points as they came, without the outer brackets
	N           int
	First, Last int64 // times of the first and the last point
}

// Check reads an upload: whole numbers, ordered by time. Nothing is copied.
func Check(body []byte) (Batch, error) {
	r := reader{text: body}
	r.take('[')
	begin := r.at
	b := Batch{First: -1, Last: -1}
	for more := !r.found(']'); more && !r.wrong; more = r.comma(']') {
		r.take('[')
		for i, limit := range limits {
			if i > 0 {
				r.take(',')
			}
			v := r.number()
			if v < limit[0] || v > limit[1] {
				return Batch{}, ErrPoints
			}
			if i == 0 {
				if v <= b.Last {
					return Batch{}, ErrPoints
				}
				if b.N == 0 {
					b.First = v
				}
				b.Last = v
			}
		}
		r.take(']')
		if b.N++; b.N > MaxPoints {
			return Batch{}, ErrPoints
		}
	}
	end := r.at - 1 // of the closing bracket
	if r.space(); r.wrong || b.N == 0 || r.at != len(r.text) {
		return Batch{}, ErrPoints
	}
	b.Rows = body[begin:end]
	return b, nil
}

// A reader walks over JSON. What is not as it should be sets wrong.
type reader struct {
	text  []byte
	at    int
	wrong bool
}

func (r *reader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\n', '\r', '\t':
			r.at++
		default:
			return
		}
	}
}

// found takes c if it is next.
func (r *reader) found(c byte) bool {
	r.space()
	if r.at < len(r.text) && r.text[r.at] == c {
		r.at++
		return true
	}
	return false
}

func (r *reader) take(c byte) {
	if !r.found(c) {
		r.wrong = true
	}
}

// comma says whether a list goes on.
func (r *reader) comma(end byte) bool {
	if r.found(',') {
		return true
	}
	r.take(end)
	return false
}

func (r *reader) number() int64 {
	r.space()
	begin := r.at
	negative := r.at < len(r.text) && r.text[r.at] == '-'
	if negative {
		r.at++
	}
	v, digits := int64(0), r.at
	for r.at < len(r.text) && r.text[r.at]-'0' <= 9 {
		v = v*10 + int64(r.text[r.at]-'0')
		r.at++
	}
	n := r.at - digits
	if n == 0 || n > 18 || n > 1 && r.text[digits] == '0' {
		r.wrong = true
		return 0
	}
	if negative {
		if begin+2 == r.at && r.text[digits] == '0' {
			return 0
		}
		return -v
	}
	return v
}
