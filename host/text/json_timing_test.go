package text_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// points is ten location points as a client sends them.
func points() []byte {
	var list []string
	for i := range 10 {
		list = append(list, fmt.Sprintf("[%d,%d,%d,%d,90,12,5,8]", 1469998688756+1000*i, 37772000+17*i, -122419000-23*i, 350+i))
	}
	return []byte("[" + strings.Join(list, ",") + "]")
}

// degrees is ten points as JavaScript writes them, in degrees and up to the
// last digit of its floats.
func degrees() []byte {
	var list []string
	for i := range 10 {
		list = append(list, fmt.Sprintf("[%d,%v,%v,%v]", 1469998688756+1000*i, 37.774929400000002+float64(i)/3e4, -122.41941550000001-float64(i)/7e4, 12.5))
	}
	return []byte("[" + strings.Join(list, ",") + "]")
}

// statuses is a batch of status updates.
func statuses(n int) []byte {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprintf(`{"uuid":"6ba7b810-9dad-11d1-80b4-%012d","time":%d,"user":"user-%d","battery":%.2f,"text":"On my way – back at \"five\"","location":{"latitude":37.7%04d,"longitude":-122.4%04d,"accuracy":12.5},"public":true,"reply_to":null,"tags":["commute","bike"]}`,
			i, 1469998688756+i, i%50, float64(i%100)/100, i, i))
	}
	return []byte("[" + strings.Join(list, ",") + "]")
}

// prose is text without much ASCII.
func prose() []byte {
	return []byte(`["` + strings.Repeat("Съешь же ещё этих мягких французских булок. 日本語のテキスト。", 20) + `"]`)
}

func bench(b *testing.B, src []byte) {
	value, err := text.ParseJSON(nil, src, abi.MaxDepth)
	if err != nil {
		b.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(src, &tree); err != nil {
		b.Fatal(err)
	}
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst, _ = text.ParseJSON(dst[:0], src, abi.MaxDepth)
		}
	})
	b.Run("parse/encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			var tree any
			if err := json.Unmarshal(src, &tree); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("render", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		var dst []byte
		for b.Loop() {
			dst, _ = text.AppendJSON(dst[:0], value)
		}
	})
	b.Run("render/encoding-json", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := json.Marshal(tree); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("valid", func(b *testing.B) {
		b.SetBytes(int64(len(src)))
		for b.Loop() {
			if !abi.Value(value).Valid() {
				b.Fatal("not valid")
			}
		}
	})
}

func BenchmarkTenPoints(b *testing.B)          { bench(b, points()) }
func BenchmarkTenPointsInDegrees(b *testing.B) { bench(b, degrees()) }
func BenchmarkThousandStatuses(b *testing.B)   { bench(b, statuses(1000)) }
func BenchmarkProse(b *testing.B)              { bench(b, prose()) }

func BenchmarkQuery(b *testing.B) {
	query := []byte("since=1469998688756&name=J%C3%BCrgen+M&limit=20")
	var w abi.Writer
	room := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		w.Reset(room)
		if err := text.AppendQuery(&w, query); err != nil {
			b.Fatal(err)
		}
	}
}
