package abi_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func message() abi.Message {
	args := value(func(w *abi.Writer) { w.FixedArray(1); w.Text("hello") })
	return abi.Message{
		Op: abi.OpEmit, To: []string{"i\xff\x00", "*"}, Except: []string{"m"}, Rooms: []string{"r"}, Reason: "enough",
		Events:  []abi.Event{{Name: "UPDATE", ID: "1", Labels: []string{"type", "source"}, Args: args}, {Name: "x", Labels: []string{}, Args: args}},
		Filters: [][]string{{"*", "web"}, {}},
	}
}

func TestMessagesComeThrough(t *testing.T) {
	for name, sent := range map[string]abi.Message{
		"with everything": message(),
		"of two fields":   {Op: abi.OpJoin, To: []string{"a"}, Rooms: []string{"b"}, Events: []abi.Event{}},
	} {
		got, err := abi.ReadMessage(value(sent.Append))
		if err != nil || !reflect.DeepEqual(*got, sent) {
			t.Errorf("%s: got %+v, %v\nwant %+v", name, got, err, sent)
		}
		got, err = abi.ReadMessage(longer(t, value(sent.Append)))
		if err != nil || !reflect.DeepEqual(*got, sent) {
			t.Errorf("%s, from a newer plugin: got %+v, %v\nwant %+v", name, got, err, sent)
		}
	}
}

func TestMessagesThatAreRefused(t *testing.T) {
	for name, change := range map[string]func(m *abi.Message){
		"to nobody":                 func(m *abi.Message) { m.To = nil },
		"an unknown op":             func(m *abi.Message) { m.Op = 9 },
		"a room without a name":     func(m *abi.Message) { m.Except = []string{""} },
		"a room with a long name":   func(m *abi.Message) { m.Rooms = []string{strings.Repeat("r", abi.MaxRoom+1)} },
		"too many rooms":            func(m *abi.Message) { m.To = make([]string, abi.MaxMessageRooms+1) },
		"too many events":           func(m *abi.Message) { m.Events = make([]abi.Event, abi.MaxMessageEvents+1) },
		"too many filters":          func(m *abi.Message) { m.Filters = make([][]string, abi.MaxFilters+1) },
		"too many labels":           func(m *abi.Message) { m.Events[0].Labels = make([]string, abi.MaxLabels+1) },
		"an event without a name":   func(m *abi.Message) { m.Events[0].Name = "" },
		"an event that is reserved": func(m *abi.Message) { m.Events[0].Name = "connect" },
		"an event of two lines":     func(m *abi.Message) { m.Events[0].Name = "a\nb" },
		"an id of two lines":        func(m *abi.Message) { m.Events[0].ID = "a\r\ndata: b" },
		"an id that is long":        func(m *abi.Message) { m.Events[0].ID = strings.Repeat("i", abi.MaxEventID+1) },
		"arguments that are no array": func(m *abi.Message) {
			m.Events[0].Args = value(func(w *abi.Writer) { w.Text("hello") })
		},
	} {
		m := message()
		change(&m)
		if got, err := abi.ReadMessage(value(m.Append)); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	m := message()
	f.Add([]byte(value(m.Append)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := abi.ReadMessage(frame)
		if err != nil {
			return
		}
		again, err := abi.ReadMessage(value(m.Append))
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%+v becomes %+v, %v", m, again, err)
		}
	})
}
