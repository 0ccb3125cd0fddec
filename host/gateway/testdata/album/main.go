// Command album is a plugin that takes uploads and shows what it was given: the least
// that a plugin with blobs is.
package main

import (
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

func init() {
	p := guest.New("album", "1.0.0")
	f := p.Family("/album", nil)
	f.POST("/album/pictures/:name", addPicture, guest.Upload, guest.MaxBody(2<<20))
	f.POST("/album/files/:name", addFile, guest.Upload)
	f.POST("/album/small", addFile, guest.Upload, guest.MaxBody(10<<10))
	f.POST("/album/digest", digest, guest.Upload)
	f.POST("/album/:id/links/:name", link)
	f.DELETE("/album/:id/links/:name", unlink)
	f.GET("/album/:id", show)
	f.GET("/album/:id/size", size)
	f.GET("/album/feed.xml", feed, guest.ETag)
	f.GET("/album/feed.plist", list, guest.ETag)
	f.GET("/album/dated", dated)
	f.GET("/album/broken.xml", broken)
	guest.Serve(p)
}

func main() {}

// addPicture links a name to a rendition of the first file.
func addPicture(w *guest.Response, r *guest.Request) error {
	m, err := r.Image(&abi.ImageQuery{Renditions: []abi.Rendition{{Width: 16, Height: 16}}})
	if err != nil {
		return err
	}
	if m.Code != "" {
		return guest.Errorf(422, m.Code, "%s", m.Message)
	}
	return keep(w, r, m.Renditions[0])
}

// addFile links a name to the last file as it came, and tells what was sent.
func addFile(w *guest.Response, r *guest.Request) error {
	files := r.Files()
	if len(files) == 0 {
		return guest.Errorf(400, "no_file", "There is no file in the form.")
	}
	b, err := r.KeepFile(len(files) - 1)
	if err != nil {
		return err
	}
	return keep(w, r, b)
}

func keep(w *guest.Response, r *guest.Request, b abi.Blob) error {
	if name := r.Param("name"); name != "" {
		if err := r.LinkBlob(b.ID, name); err != nil {
			return err
		}
	}
	var sent []string
	r.Form().Each(func(name, value []byte) bool {
		sent = append(sent, string(name)+"="+string(value))
		return true
	})
	for _, f := range r.Files() {
		sent = append(sent, f.Field+":"+f.Name+":"+f.Type+":"+strconv.FormatInt(f.Size, 10))
	}
	if refuse, _ := r.Value("refuse"); refuse != "" {
		return guest.Errorf(409, "refused", "as asked")
	}
	w.Status(201)
	v := w.Value()
	v.Map()
	v.Key("id")
	v.Text(b.ID.String())
	v.Key("size")
	v.Int(b.Size)
	v.Key("sent")
	v.Text(strings.Join(sent, " "))
	v.End()
	return nil
}

func digest(w *guest.Response, r *guest.Request) error {
	sum, err := r.BodyDigest("sha-256")
	if err != nil {
		return guest.Errorf(400, "no_digest", "%v", err)
	}
	w.Value().Bytes(sum)
	return nil
}

func id(r *guest.Request) (abi.BlobID, error) {
	id, ok := abi.ParseBlobID(r.Param("id"))
	if !ok {
		return id, guest.Errorf(404, "not_found", "That is no id.")
	}
	return id, nil
}

func link(w *guest.Response, r *guest.Request) error {
	id, err := id(r)
	if err == nil {
		err = r.LinkBlob(id, r.Param("name"))
	}
	if err == abi.ErrArgument {
		err = guest.Errorf(404, "not_found", "There is no such blob.")
	}
	return err
}

func unlink(w *guest.Response, r *guest.Request) error {
	id, err := id(r)
	if err == nil {
		err = r.UnlinkBlob(id, r.Param("name"))
	}
	return err
}

func show(w *guest.Response, r *guest.Request) error {
	id, err := id(r)
	if err != nil {
		return err
	}
	_, found, err := r.FindBlob(id)
	if err == nil && !found {
		err = guest.Errorf(404, "not_found", "There is no such blob.")
	}
	w.Header("Cache-Control", "public, max-age=31536000, immutable")
	w.Blob("image/jpeg", id)
	return err
}

func size(w *guest.Response, r *guest.Request) error {
	id, err := id(r)
	if err != nil {
		return err
	}
	n, found, err := r.FindBlob(id)
	v := w.Value()
	v.Array()
	v.Int(n)
	v.Bool(found)
	v.End()
	return err
}

func feed(w *guest.Response, r *guest.Request) error {
	v := w.XML("application/rss+xml; charset=utf-8")
	v.Element("rss", "version", "2.0")
	v.Element("title")
	v.Text(r.Query("title"))
	v.EndAll()
	return nil
}

func list(w *guest.Response, r *guest.Request) error {
	v := w.Plist()
	v.Map()
	v.Key("title")
	v.Text(r.Query("title"))
	v.End()
	return nil
}

func dated(w *guest.Response, r *guest.Request) error {
	w.Header("Last-Modified", "Tue, 01 Sep 2026 10:00:00 GMT")
	w.Value().Text("dated")
	return nil
}

func broken(w *guest.Response, r *guest.Request) error {
	w.XML("application/xml").Text("no element")
	return nil
}
