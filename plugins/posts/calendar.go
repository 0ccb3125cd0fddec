package main

// A calendar is a point in time in UTC, taken apart. Writing its digits by hand
// costs a fraction of what package time does.
type calendar struct {
	year, month, day     int64
	hour, minute, second int64
	weekday              int64 // 0 is Sunday
}

const secondsOfDay = 24 * 60 * 60

// calendarOf takes apart a time in microseconds since 1970. What lies before that
// is shown as 1970, what lies behind 9999 as the end of that.
func calendarOf(micros int64) calendar {
	const last = 253402300799 // 9999-12-31 23:59:59
	seconds := min(max(micros, 0)/1_000_000, last)
	days, rest := seconds/secondsOfDay, seconds%secondsOfDay
	c := calendar{hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60, weekday: (days + 4) % 7}

	// Years that begin with March have the day that only some of them have as their
	// last one, and repeat after 400.
	const daysOf400 = 146097
	days += 719468 // from the 1st of March of the year 0
	period := days / daysOf400
	days %= daysOf400
	year := (days - days/1460 + days/36524 - days/146096) / 365
	days -= year*365 + year/4 - year/100
	month := (5*days + 2) / 153
	c.day = days - (153*month+2)/5 + 1
	c.year, c.month = period*400+year, month+3
	if c.month > 12 {
		c.year, c.month = c.year+1, c.month-12
	}
	return c
}

const (
	weekdays = "SunMonTueWedThuFriSat"
	months   = "JanFebMarAprMayJunJulAugSepOctNovDec"
)

// appendPlain writes "2026-11-21 10:15:00", as the API takes dates, too.
func (c *calendar) appendPlain(b []byte) []byte {
	b = append(b, "0000-00-00 00:00:00"...)
	c.fill((*[19]byte)(b[len(b)-19:]))
	return b
}

// appendRFC3339 writes "2026-11-21T10:15:00Z", as Atom has it.
func (c *calendar) appendRFC3339(b []byte) []byte {
	b = append(b, "0000-00-00T00:00:00Z"...)
	c.fill((*[19]byte)(b[len(b)-20:]))
	return b
}

// fill puts the digits into what lies between them.
func (c *calendar) fill(d *[19]byte) {
	d[0], d[1] = pair(c.year / 100)
	d[2], d[3] = pair(c.year % 100)
	d[5], d[6] = pair(c.month)
	d[8], d[9] = pair(c.day)
	d[11], d[12] = pair(c.hour)
	d[14], d[15] = pair(c.minute)
	d[17], d[18] = pair(c.second)
}

// appendRFC822 writes "Sat, 21 Nov 2026 10:15:00 GMT", as RSS and HTTP have it.
func (c *calendar) appendRFC822(b []byte) []byte {
	b = append(append(b, weekdays[3*c.weekday:3*c.weekday+3]...), ", 00 "...)
	b = append(append(b, months[3*c.month-3:3*c.month]...), " 0000 00:00:00 GMT"...)
	d := (*[longestDate]byte)(b[len(b)-longestDate:])
	d[5], d[6] = pair(c.day)
	d[12], d[13] = pair(c.year / 100)
	d[14], d[15] = pair(c.year % 100)
	d[17], d[18] = pair(c.hour)
	d[20], d[21] = pair(c.minute)
	d[23], d[24] = pair(c.second)
	return b
}

// pair returns the two digits of a number below 100.
func pair(n int64) (tens, ones byte) { return byte('0' + n/10), byte('0' + n%10) }

// longestDate is the room that a date takes.
const longestDate = len("Sat, 21 Nov 2026 10:15:00 GMT")
