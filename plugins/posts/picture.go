package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// What is made of an upload, by the box it fits into.
const (
	thumbnailBox = 160
	mediumBox    = 640
	largeBox     = 1600
)

// uploadedFile returns which of the files of a request is its image.
func uploadedFile(r *guest.Request) (index int, f abi.File, err error) {
	for i, f := range r.Files() {
		// A browser sends a file without a name if none was chosen.
		if f.Field == "image" && (f.Name != "" || f.Size > 0) {
			return i, f, nil
		}
	}
	return 0, f, guest.Errorf(400, "missing_parameter",
		"image is missing: want a file, in a multipart form (<input type=\"file\" name=\"image\">).")
}

// receivePicture makes the pictures of a post from the file that was uploaded.
func receivePicture(r *guest.Request) (p picture, err error) {
	index, f, err := uploadedFile(r)
	if err != nil {
		return p, err
	}
	limit, err := maxImage(r)
	if err != nil {
		return p, err
	}
	if f.Size > int64(limit) {
		return p, guest.Errorf(413, abi.ImageTooLarge, "The image has %d bytes; at most %d are taken.", f.Size, limit)
	}
	made, err := r.Image(&abi.ImageQuery{File: index, Renditions: []abi.Rendition{
		{Width: thumbnailBox, Height: thumbnailBox},
		{Width: mediumBox, Height: mediumBox},
		{Width: largeBox, Height: largeBox},
	}})
	if err != nil {
		return p, err
	}
	if made.Code != "" {
		return p, &guest.Error{Status: refusalStatus(made.Code), Code: made.Code, Message: made.Message}
	}
	if len(made.Renditions) != 3 {
		return p, fmt.Errorf("image: got %d renditions, want 3", len(made.Renditions))
	}
	p.format = made.Format
	for i, to := range []*image{&p.thumbnail, &p.medium, &p.large} {
		*to = imageOf(made.Renditions[i])
	}
	keep, err := keepsOriginal(r)
	if err != nil || !keep {
		return p, err
	}
	original, err := r.KeepFile(index)
	if err != nil {
		return p, err
	}
	p.original = image{id: original.ID, size: original.Size, width: made.Width, height: made.Height}
	return p, nil
}

// refusalStatus returns the HTTP status for a picture that the host refuses.
func refusalStatus(code string) int {
	switch code {
	case abi.ImageTooLarge:
		return 413
	case abi.ImageUnsupported:
		return 415
	}
	return 422
}

func imageOf(b abi.Blob) image {
	return image{id: b.ID, size: b.Size, width: b.Width, height: b.Height}
}

// A kept is an image of a post, each blob once: of a small upload the pictures are
// one and the same.
type kept struct {
	id     abi.BlobID
	format string
	public bool // the original is not: it has all that the camera wrote
}

func (p *picture) kept() []kept {
	list := make([]kept, 0, 4)
	add := func(i image, format string, public bool) {
		for _, k := range list {
			if k.id == i.id {
				return
			}
		}
		if i.size > 0 {
			list = append(list, kept{i.id, format, public})
		}
	}
	add(p.thumbnail, jpeg, true)
	add(p.medium, jpeg, true)
	add(p.large, jpeg, true)
	add(p.original, p.format, false)
	return list
}

// A usage tells of a blob of how many posts it is a picture. The last post that goes
// takes the blob with it.
type usage struct {
	format  string
	posts   int
	visible int // of these, that show it
}

func (u *usage) record() []byte {
	var w abi.Writer
	w.FixedArray(3)
	w.Text(u.format)
	w.Int(int64(u.posts))
	w.Int(int64(u.visible))
	return w.Value()
}

// readUsage reads the record of a blob; none is that of one that nobody uses.
func readUsage(record []byte) (u usage, err error) {
	if record == nil {
		return u, nil
	}
	r := abi.Value(record).Read()
	more := r.Array() - 3
	u = usage{format: r.TextShared(), posts: int(r.Int()), visible: int(r.Int())}
	if r.Skip(more); more < 0 || !r.Done() {
		return u, fmt.Errorf("usage of a picture: cannot be read: want an array of at least 3 fields")
	}
	return u, nil
}

// keepPictures links the blobs of a new, visible post.
func keepPictures(r *guest.Request, p *post) error {
	for _, k := range p.picture.kept() {
		if err := r.LinkBlob(k.id, linkName(p)); err != nil {
			return err
		}
	}
	return countPictures(r.KV(), p, 1, 1)
}

// dropPictures lets go of the blobs of a post that is deleted.
func dropPictures(r *guest.Request, p *post) error {
	for _, k := range p.picture.kept() {
		if err := r.UnlinkBlob(k.id, linkName(p)); err != nil {
			return err
		}
	}
	visible := -1
	if p.hidden {
		visible = 0
	}
	return countPictures(r.KV(), p, -1, visible)
}

func linkName(p *post) string { return "post " + strconv.FormatUint(uint64(p.number), 10) }

// countPictures adds to the usage of a post's blobs.
func countPictures(kv *guest.KV, p *post, posts, visible int) error {
	list := p.picture.kept()
	keys := make([][]byte, len(list))
	for i, k := range list {
		keys[i] = pictureKey(k.id)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return err
	}
	for i, k := range list {
		u, err := readUsage(records[i])
		if err != nil {
			return err
		}
		u.format = k.format
		u.posts += posts
		if k.public {
			u.visible += visible
		}
		if u.posts > 0 {
			err = kv.Put(keys[i], u.record())
		} else {
			err = kv.Delete(keys[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// showPicture answers GET /1.0/images/:name, as long as a visible post shows it.
func showPicture(w *guest.Response, r *guest.Request) error {
	id, u, err := namedPicture(r)
	if err == nil && u.visible == 0 {
		err = errNoPicture
	}
	if err != nil {
		return err
	}
	// What is under this name never changes.
	w.Header("Cache-Control", "public, max-age=31536000, immutable")
	w.Blob("image/"+u.format, id)
	return nil
}

// namedPicture returns the picture that the path names, by its blob and format.
func namedPicture(r *guest.Request) (id abi.BlobID, u usage, err error) {
	name, ext, _ := strings.Cut(r.Param("name"), ".")
	id, ok := abi.ParseBlobID(name)
	if !ok {
		return id, u, errNoPicture
	}
	record, _, err := r.KV().Get(pictureKey(id))
	if err != nil {
		return id, u, err
	}
	if u, err = readUsage(record); err == nil && (u.posts == 0 || ext != extension(u.format)) {
		err = errNoPicture
	}
	return id, u, err
}

// extension returns how the names of pictures of a format end.
func extension(format string) string {
	if format == jpeg {
		return "jpg"
	}
	return format
}

var errNoPicture = guest.Errorf(404, "not_found", "There is no picture of this name, or no post shows it.")
