package text_test

import (
	"fmt"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
	"howett.net/plist"
)

// feedPage is a page of 20 posts of 15 fields, as a value for JSON and property
// lists, and as the elements of a feed.
func feedPage() (list, feed abi.Value) {
	var v, x abi.Writer
	v.Map()
	v.Key("total")
	v.Int(12345)
	v.Key("posts")
	v.Array()
	x.Element("rss", "version", "2.0", "xmlns:geo", "http://www.w3.org/2003/01/geo/wgs84_pos#")
	x.Element("channel")
	for i := range 20 {
		v.Map()
		x.Element("item")
		field := func(name string, write func(w *abi.Writer)) {
			v.Key(name)
			write(&v)
			x.Element(name)
			write(&x)
			x.End()
		}
		texts := func(pairs ...string) {
			for k := 0; k < len(pairs); k += 2 {
				field(pairs[k], func(w *abi.Writer) { w.Text(pairs[k+1]) })
			}
		}
		field("id", func(w *abi.Writer) { w.Int(int64(1000 + i)) })
		field("latitude", func(w *abi.Writer) { w.Float(35.4675602 + float64(i)/100) })
		field("longitude", func(w *abi.Writer) { w.Float(-97.5164276 - float64(i)/100) })
		field("comments", func(w *abi.Writer) { w.Int(int64(i)) })
		field("anonymous", func(w *abi.Writer) { w.Bool(i%2 == 0) })
		texts("title", fmt.Sprintf("Accident on I-35 & I-40, exit %d", i),
			"description", "Two lanes closed near <b>downtown</b>: expect delays of 20 minutes. #traffic #okc – \"avoid\" if you can",
			"city", "Oklahoma City", "state", "OK", "zip", "73102", "name", "J. R. Müller",
			"date", "2026-11-22 09:10:11", "link", fmt.Sprintf("http://localhost:8080/1.0/posts/%d/show.json?a=1&b=2", i),
			"image", fmt.Sprintf("http://localhost:8080/images/%064d/large.jpg", i), "tags", "traffic,okc,accident")
		v.End()
		x.End()
	}
	v.EndAll()
	x.EndAll()
	return v.Value(), x.Value()
}

func BenchmarkPage(b *testing.B) {
	list, feed := feedPage()
	for _, c := range []struct {
		name   string
		render func([]byte, abi.Value) ([]byte, error)
		v      abi.Value
	}{{"json", text.AppendJSON, list}, {"plist", text.AppendPlist, list}, {"xml", text.AppendXML, feed}} {
		b.Run(c.name, func(b *testing.B) {
			out, err := c.render(nil, c.v)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(out)))
			b.ReportAllocs()
			for b.Loop() {
				out, _ = c.render(out[:0], c.v)
			}
		})
	}
	b.Run("plist/howett.net", func(b *testing.B) {
		out, err := text.AppendPlist(nil, list)
		if err != nil {
			b.Fatal(err)
		}
		var v any
		if _, err := plist.Unmarshal(out, &v); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(out)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plist.Marshal(v, plist.XMLFormat); err != nil {
				b.Fatal(err)
			}
		}
	})
}
