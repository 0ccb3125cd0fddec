package webhook

import (
	"errors"
	"time"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/text"
)

// payload writes what is sent: of an entry the same in each attempt.
func payload(m *outbox.Message) ([]byte, error) {
	b := append([]byte(nil), `{"id":`...)
	b = text.AppendString(b, []byte(m.ID))
	b = append(b, `,"type":`...)
	b = text.AppendString(b, []byte(m.Plugin))
	b = append(b, `,"key":`...)
	b = text.AppendString(b, []byte(m.Key))
	b = append(b, `,"to":`...)
	b = text.AppendString(b, []byte(m.To))
	b = append(b, `,"created":"`...)
	b = m.Created.UTC().Truncate(time.Microsecond).AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","data":`...)
	if len(m.Body) == 0 {
		b = append(b, "null"...)
	} else {
		var err error
		if b, err = text.AppendJSON(b, m.Body); err != nil {
			return nil, errors.New("body: want a valid value")
		}
	}
	return append(b, '}'), nil
}
