package main

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi/guest"
)

// createPost answers POST /1.0/posts.
func createPost(w *guest.Response, r *guest.Request) error {
	p, err := newPost(r)
	if err != nil {
		return err
	}
	if p.picture, err = receivePicture(r); err != nil {
		return err
	}
	if p.number, p.created, err = nextNumber(r, shelfPosts); err != nil {
		return err
	}
	p.modified = p.created
	if err := savePost(r.KV(), p); err != nil {
		return err
	}
	if err := addFacets(r.KV(), p.number, p.created, p.facets()); err != nil {
		return err
	}
	if err := keepPictures(r, p); err != nil {
		return err
	}
	if err := touch(r, shelfPosts); err != nil {
		return err
	}
	if err := eraseSome(r); err != nil {
		return err
	}
	if answerReferrer(w, r) {
		return nil
	}
	w.Status(201)
	w.Header("Location", r.BaseURL()+"/1.0/posts/"+strconv.FormatUint(uint64(p.number), 10)+".json")
	writePost(w.Value(), r.BaseURL(), p)
	return nil
}

// newPost reads what a request says of a new post, but for the picture.
func newPost(r *guest.Request) (*post, error) {
	c := r.Caller()
	p := &post{account: c.Account, app: c.App}
	if c.Account != "" {
		p.author = c.Name
	}
	var err error
	if p.udid, _, err = text(r, "udid", maxUDID); err != nil {
		return nil, err
	}
	if p.udid == "" {
		return nil, missing("udid")
	}
	if err := p.readFields(r); err != nil {
		return nil, err
	}
	if p.tags, err = readTags(r); err != nil {
		return nil, err
	}
	return p, p.facets().check()
}

// readFields changes what a post says to what is there in a request; what is there
// and empty is cleared.
func (p *post) readFields(r *guest.Request) error {
	email := p.email
	for _, field := range []struct {
		name  string
		to    *string
		limit int
	}{
		{"description", &p.description, maxDescription},
		{"address", &p.address, maxAddress},
		{"city", &p.city, maxAddress},
		{"state", &p.state, maxAddress},
		{"zip", &p.zip, maxZip},
		{"email", &email, maxEmail},
	} {
		s, there, err := text(r, field.name, field.limit)
		if err != nil {
			return err
		}
		if there {
			*field.to = s
		}
	}
	if email != "" && !isEmail(email) {
		return badParameter("email: %q is not an address such as bob@example.org.", email)
	}
	p.email = email
	l, err := readLocation(r)
	if err != nil {
		return err
	}
	if l.there {
		p.placed, p.at = l.placed, l.at
	}
	return nil
}

func isEmail(s string) bool {
	name, host, found := strings.Cut(s, "@")
	return found && name != "" && host != ""
}

func readTags(r *guest.Request) ([]string, error) {
	s, _ := r.Value("tags")
	tags := splitTags(s)
	if len(tags) > maxTags {
		return nil, badParameter("tags: there are %d; at most %d are taken.", len(tags), maxTags)
	}
	for _, tag := range tags {
		if utf8.RuneCountInString(tag) > maxTag {
			return nil, badParameter("tags: %q is longer than %d characters.", tag, maxTag)
		}
	}
	return tags, nil
}

// writablePost returns the post that a call names, if everybody may see it.
func writablePost(r *guest.Request) (*post, error) {
	n, err := namedNumber(r)
	if err != nil {
		return nil, err
	}
	return visiblePost(r, n)
}

// updatePost answers PUT /1.0/posts/ID.
func updatePost(w *guest.Response, r *guest.Request) error {
	p, err := writablePost(r)
	if err != nil {
		return err
	}
	if isFlag(r) {
		return flagPost(w, r, p)
	}
	if !owns(r.Caller(), p.account, p.app) {
		return errNotYours
	}
	old := p.facets()
	if err := p.readFields(r); err != nil {
		return err
	}
	now := p.facets()
	if err := now.check(); err != nil {
		return err
	}
	if err := changeFacets(r.KV(), p.number, p.created, old, now); err != nil {
		return err
	}
	p.modified = later(r, p.modified)
	if err := savePost(r.KV(), p); err != nil {
		return err
	}
	if err := touch(r, shelfPosts); err != nil {
		return err
	}
	if !answerReferrer(w, r) {
		writePost(w.Value(), r.BaseURL(), p)
	}
	return nil
}

// flagPost notes that the caller finds a post inappropriate.
func flagPost(w *guest.Response, r *guest.Request, p *post) error {
	before := p.flags
	hide, err := addFlag(r, shelfPosts, p.number, &p.flags)
	if err != nil {
		return err
	}
	if hide {
		if err := hidePost(r, p); err != nil {
			return err
		}
	}
	if p.flags != before {
		if err := savePost(r.KV(), p); err != nil {
			return err
		}
	}
	if !answerReferrer(w, r) {
		answerFlagged(w, p.number)
	}
	return nil
}

// answerFlagged tells that something is flagged, and not whether that counts.
func answerFlagged(w *guest.Response, number uint32) {
	v := w.Value()
	v.Map()
	v.Key("id")
	v.Int(int64(number))
	v.Key("flagged")
	v.Bool(true)
	v.End()
}

// deletePost answers DELETE /1.0/posts/ID.
func deletePost(w *guest.Response, r *guest.Request) error {
	p, err := writablePost(r)
	if err != nil {
		return err
	}
	if !owns(r.Caller(), p.account, p.app) {
		return errNotYours
	}
	if err := removePost(r, p); err != nil {
		return err
	}
	if !answerReferrer(w, r) {
		w.Status(204)
	}
	return nil
}

// removePost deletes a post, hidden or not, with its comments and pictures.
func removePost(r *guest.Request, p *post) error {
	kv := r.KV()
	if !p.hidden {
		if err := removeFacets(kv, p.number, p.created, p.facets()); err != nil {
			return err
		}
	}
	if err := removeComments(r, p.number); err != nil {
		return err
	}
	if err := dropPictures(r, p); err != nil {
		return err
	}
	if err := dropFlags(kv, shelfPosts, p.number); err != nil {
		return err
	}
	if err := kv.Delete(postKey(p.number)); err != nil {
		return err
	}
	return touch(r, shelfPosts)
}

// hidePost takes a post, its comments and its pictures from what people see. The
// caller saves it.
func hidePost(r *guest.Request, p *post) error {
	p.hidden = true
	if err := removeFacets(r.KV(), p.number, p.created, p.facets()); err != nil {
		return err
	}
	if err := hideComments(r, p.number); err != nil {
		return err
	}
	if err := countPictures(r.KV(), p, 0, -1); err != nil {
		return err
	}
	return touch(r, shelfPosts)
}

// unhidePost has people see a hidden post again. The caller saves it.
func unhidePost(r *guest.Request, p *post) error {
	p.hidden = false
	if err := addFacets(r.KV(), p.number, p.created, p.facets()); err != nil {
		return err
	}
	if err := showComments(r, p.number); err != nil {
		return err
	}
	if err := countPictures(r.KV(), p, 0, 1); err != nil {
		return err
	}
	return touch(r, shelfPosts)
}
