package secret

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Redacted returns a log in which none of the values stands, neither alone nor
// inside a longer text: see Redact. Without values to look for it is log itself.
func Redacted(log *slog.Logger, values []string) *slog.Logger {
	r := newRedactor(values)
	if len(r) == 0 {
		return log
	}
	return slog.New(&handler{log.Handler(), r})
}

// A handler hands records on without the values.
type handler struct {
	next slog.Handler
	redactor
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	clean := slog.NewRecord(record.Time, record.Level, h.text(record.Message), record.PC)
	record.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &handler{h.next.WithAttrs(h.attrs(attrs)), h.redactor}
}

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.next.WithGroup(h.text(name)), h.redactor}
}

func (r redactor) attrs(attrs []slog.Attr) []slog.Attr {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = r.attr(a)
	}
	return clean
}

func (r redactor) attr(a slog.Attr) slog.Attr {
	return slog.Attr{Key: r.text(a.Key), Value: r.value(a.Value.Resolve())}
}

// value keeps what has none of the values in it as it is, so that the next handler
// can tell a number from a text.
func (r redactor) value(v slog.Value) slog.Value {
	switch v.Kind() {
	case slog.KindGroup:
		return slog.GroupValue(r.attrs(v.Group())...)
	case slog.KindAny:
		for _, text := range texts(v.Any()) {
			if clean := r.text(text); clean != text {
				return slog.StringValue(clean)
			}
		}
	default:
		if text := v.String(); r.find(text) != nil {
			return slog.StringValue(r.text(text))
		}
	}
	return v
}

// texts returns what handlers may write of a value: what fmt makes of it, which is
// the text of errors and Stringers, and what its encodings do. JSON quotes the
// values that stand in it, which is a form that is looked for.
func texts(v any) (list []string) {
	if b, ok := v.([]byte); ok {
		return []string{string(b)}
	}
	list = append(list, fmt.Sprintf("%+v", v))
	// The methods are those of whoever logs: one that panics, as on a nil pointer,
	// panics in the handler as well, which knows what to do about it.
	defer func() { _ = recover() }()
	if m, ok := v.(encoding.TextMarshaler); ok {
		if b, err := m.MarshalText(); err == nil {
			list = append(list, string(b))
		}
	}
	if b, err := json.Marshal(v); err == nil {
		list = append(list, string(b))
	}
	return list
}
