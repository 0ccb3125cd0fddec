package text

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

// MaxFields is how many fields a query or a form has at most. Every look-up
// walks them, so their number is the client's hold on our time.
const MaxFields = 1000

// AppendQuery writes a query, or a body of urlencoded form fields, as the array
// that abi.Pairs reads: names and values decoded, in their order. It returns a
// *SyntaxError for a query it will not guess about; w is of no use then until
// it is reset.
//
// ';' is a character like others, as browsers see it.
func AppendQuery(w *abi.Writer, query []byte) error {
	var room [256]byte
	scratch := room[:0]
	w.Array()
	fields := 0
	for from := 0; from < len(query); {
		end := len(query)
		if n := bytes.IndexByte(query[from:], '&'); n >= 0 {
			end = from + n
		}
		if end > from {
			if fields++; fields > MaxFields {
				return &SyntaxError{from, "more than " + strconv.Itoa(MaxFields) + " fields"}
			}
			equal, value := end, end
			if n := bytes.IndexByte(query[from:end], '='); n >= 0 {
				equal, value = from+n, from+n+1
			}
			var err error
			if scratch, err = appendUnescaped(w, scratch, query, from, equal); err != nil {
				return err
			}
			if scratch, err = appendUnescaped(w, scratch, query, value, end); err != nil {
				return err
			}
		}
		from = end + 1
	}
	w.End()
	return nil
}

// appendUnescaped writes query[from:end] with its escapes undone, in the room
// of scratch, which it returns for the next one.
func appendUnescaped(w *abi.Writer, scratch, query []byte, from, end int) ([]byte, error) {
	text, plain := query[from:end], 0
	for plain < len(text) && text[plain] != '%' && text[plain] != '+' {
		plain++
	}
	if plain < len(text) {
		scratch = append(scratch[:0], text[:plain]...)
		for i := from + plain; i < end; i++ {
			c := query[i]
			switch c {
			case '+':
				c = ' '
			case '%':
				if end-i < 3 || unhex(query[i+1]) < 0 || unhex(query[i+2]) < 0 {
					return scratch, &SyntaxError{i, "want two hexadecimal digits behind '%'; a '%' itself is written %25"}
				}
				c = byte(unhex(query[i+1])<<4 | unhex(query[i+2]))
				i += 2
			}
			scratch = append(scratch, c)
		}
		text = scratch
	}
	if !utf8.Valid(text) {
		return scratch, &SyntaxError{from, "field is not UTF-8"}
	}
	w.TextBytes(text)
	return scratch, nil
}
