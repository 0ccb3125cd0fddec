package main

// An instant is a time in microseconds since the epoch.
type instant = int64

const (
	second = instant(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// The first and the last instant that dates can name.
const (
	firstInstant = instant(-62135596800) * second
	lastInstant  = instant(253402300800)*second - 1
)

// A dateReader reads a date from front to back; the first thing that is not as it
// should be stops it.
type dateReader struct {
	rest   string
	failed bool
}

// digits reads a number of n digits between two bounds.
func (d *dateReader) digits(n int, least, most int64) (value int64) {
	if len(d.rest) < n {
		d.failed = true
		return 0
	}
	for i := range n {
		c := d.rest[i] - '0'
		if c > 9 {
			d.failed = true
			return 0
		}
		value = value*10 + int64(c)
	}
	d.rest = d.rest[n:]
	if value < least || value > most {
		d.failed = true
	}
	return value
}

// next reads one of some characters, if it is next, and returns it; 0 otherwise.
func (d *dateReader) next(chars string) byte {
	if d.rest == "" {
		return 0
	}
	for i := range len(chars) {
		if d.rest[0] == chars[i] {
			d.rest = d.rest[1:]
			return chars[i]
		}
	}
	return 0
}

// fraction reads the digits behind a point, of which the first six count.
func (d *dateReader) fraction() (micros int64) {
	n := 0
	for n < len(d.rest) && d.rest[n]-'0' <= 9 {
		if n < 6 {
			micros = micros*10 + int64(d.rest[n]-'0')
		}
		n++
	}
	d.failed = d.failed || n == 0
	for i := n; i < 6; i++ {
		micros *= 10
	}
	d.rest = d.rest[n:]
	return micros
}

// parseDate reads a date as ISO 8601 has it, in the forms that are in use: of RFC 3339,
// with a blank for the T or a comma for the point, without seconds, with the offset
// without its colon or its minutes, without an offset, which is UTC, in the basic
// format without separators, or the day alone, which is its midnight. rfc3339 tells
// whether it is what RFC 3339 asks for. Fractions beyond microseconds are dropped.
func parseDate(text string) (at instant, rfc3339, ok bool) {
	d := dateReader{rest: text}
	rfc3339 = true
	year := d.digits(4, 1, 9999)
	extended := d.next("-") != 0
	month := d.digits(2, 1, 12)
	if extended && d.next("-") == 0 {
		return 0, false, false
	}
	date := d.digits(2, 1, 31)
	if d.failed || date > daysIn(year, month) {
		return 0, false, false
	}
	at = daysBefore(year, month, date) * day
	if d.rest == "" {
		return at, false, true
	}
	switch d.next("Tt ") {
	case 0:
		return 0, false, false
	case ' ':
		rfc3339 = false
	}
	colon := func() bool { return !extended || d.next(":") != 0 }
	at += d.digits(2, 0, 23) * hour
	if !colon() {
		return 0, false, false
	}
	at += d.digits(2, 0, 59) * minute
	if extended && d.next(":") != 0 || !extended && d.rest != "" && d.rest[0]-'0' <= 9 {
		at += d.digits(2, 0, 59) * second
		switch d.next(".,") {
		case '.':
			at += d.fraction()
		case ',':
			at += d.fraction()
			rfc3339 = false
		}
	} else {
		rfc3339 = false
	}
	switch sign := d.next("Zz+-"); sign {
	case 0:
		rfc3339 = false
	case '+', '-':
		offset := d.digits(2, 0, 23) * hour
		if d.next(":") != 0 {
			offset += d.digits(2, 0, 59) * minute
		} else {
			rfc3339 = false
			if d.rest != "" {
				offset += d.digits(2, 0, 59) * minute
			}
		}
		if sign == '-' {
			offset = -offset
		}
		at -= offset
	}
	if d.failed || d.rest != "" || at < firstInstant || at > lastInstant {
		return 0, false, false
	}
	return at, rfc3339 && extended, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

const (
	daysIn400 = 146097
	toEpoch   = 719468 // days from the 1st of March of the year 0
)

// daysBefore returns the days from the epoch to a date. Years begin with March here, so
// that the day that only some have is their last; 400 of them repeat.
func daysBefore(year, month, date int64) int64 {
	month -= 3
	if month < 0 {
		month += 12
		year--
	}
	return year/400*daysIn400 + daysOf(year%400) + (153*month+2)/5 + date - 1 - toEpoch
}

// daysOf returns the days of the first years of 400.
func daysOf(years int64) int64 { return years*365 + years/4 - years/100 }

// civil returns the date of a day, which is daysBefore the other way round.
func civil(days int64) (year, month, date int64) {
	days += toEpoch
	period := days / daysIn400
	days %= daysIn400
	year = (days - days/1460 + days/36524 - days/146096) / 365
	days -= daysOf(year)
	month = (5*days + 2) / 153
	date = days - (153*month+2)/5 + 1
	year += period * 400
	if month += 3; month > 12 {
		month -= 12
		year++
	}
	return year, month, date
}

// maxDateText bounds a date that is kept as it was sent, in bytes.
const maxDateText = 40

// appendDate writes an instant as RFC 3339 has it, in UTC, to the millisecond.
func appendDate(b []byte, at instant) []byte {
	days := at / day
	if at%day < 0 {
		days--
	}
	at -= days * day
	year, month, date := civil(days)
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), month, 2)
	b = appendDigits(append(b, '-'), date, 2)
	b = appendDigits(append(b, 'T'), at/hour, 2)
	b = appendDigits(append(b, ':'), at%hour/minute, 2)
	b = appendDigits(append(b, ':'), at%minute/second, 2)
	b = appendDigits(append(b, '.'), at%second/1000, 3)
	return append(b, 'Z')
}

// appendDigits writes the last n digits of a number.
func appendDigits(b []byte, value int64, n int) []byte {
	var digits [4]byte
	for i := range n {
		digits[n-1-i] = byte('0' + value%10)
		value /= 10
	}
	return append(b, digits[:n]...)
}

// formatDate is appendDate as text.
func formatDate(at instant) string {
	var b [24]byte
	return string(appendDate(b[:0], at))
}

// exactDate is formatDate to the microsecond, where that makes a difference.
func exactDate(at instant) string {
	var b [27]byte
	text := appendDate(b[:0], at)
	if micros := (at%1000 + 1000) % 1000; micros != 0 {
		text = append(appendDigits(text[:len(text)-1], micros, 3), 'Z')
	}
	return string(text)
}
