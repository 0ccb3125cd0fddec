package main

import (
	"strconv"

	"github.com/edgeset/edgeset/abi/guest"
)

// maxContent bounds what a comment says, in characters.
const maxContent = 5000

// content returns what a comment is to say.
func content(r *guest.Request) (string, error) {
	s, _, err := text(r, "content", maxContent)
	if err == nil && s == "" {
		err = missing("content")
	}
	return s, err
}

// createComment: POST /1.0/comments
func createComment(w *guest.Response, r *guest.Request) error {
	name := filterText(r, "postId")
	if name == "" {
		return missing("postId")
	}
	said, err := content(r)
	if err != nil {
		return err
	}
	kv := r.KV()
	post, ok := number(name)
	if ok {
		if ok, err = isSeen(kv, post); err != nil {
			return err
		}
	}
	if !ok {
		return guest.Errorf(404, "not_found", "postId: there is no post of this number.")
	}
	c := &comment{post: post, account: r.Caller().Account, author: r.Caller().Name, content: said}
	if c.number, c.created, err = nextNumber(r, shelfComments); err != nil {
		return err
	}
	c.modified = c.created
	if err := c.put(kv); err != nil {
		return err
	}
	if err := allComments(kv).add(c.number); err != nil {
		return err
	}
	if err := thread(kv, post).add(c.number); err != nil {
		return err
	}
	if err := changeComments(r); err != nil {
		return err
	}
	if answerReferrer(w, r) {
		return nil
	}
	w.Status(201)
	w.Header("Location", r.BaseURL()+"/1.0/comments/"+strconv.FormatUint(uint64(c.number), 10)+".json")
	writeComment(w.Value(), r.BaseURL(), c)
	return nil
}

// changeComments remembers that people see other comments than before.
func changeComments(r *guest.Request) error {
	if err := touch(r, shelfComments); err != nil {
		return err
	}
	return eraseSome(r)
}

// updateComment: PUT /1.0/comments/ID
func updateComment(w *guest.Response, r *guest.Request) error {
	c, err := namedComment(r)
	if err != nil {
		return err
	}
	if isFlag(r) {
		return flagComment(w, r, c)
	}
	if !owns(r.Caller(), c.account, "") {
		return errNotYours
	}
	if c.content, err = content(r); err != nil {
		return err
	}
	c.modified = later(r, c.modified)
	if err := c.put(r.KV()); err != nil {
		return err
	}
	if err := changeComments(r); err != nil {
		return err
	}
	if !answerReferrer(w, r) {
		writeComment(w.Value(), r.BaseURL(), c)
	}
	return nil
}

// namedComment returns the comment that a call without a format is about.
func namedComment(r *guest.Request) (*comment, error) {
	n, err := namedNumber(r)
	if err != nil {
		return nil, err
	}
	return seenComment(r.KV(), n)
}

// flagComment notes that somebody finds a comment inappropriate.
func flagComment(w *guest.Response, r *guest.Request, c *comment) error {
	kv := r.KV()
	before := c.flags
	hide, err := addFlag(r, shelfComments, c.number, &c.flags)
	if err != nil {
		return err
	}
	if c.flags != before {
		if err := flagged(kv, c.post).add(c.number); err != nil {
			return err
		}
		if hide {
			if err := hideComment(r, c); err != nil {
				return err
			}
		}
		if err := c.put(kv); err != nil {
			return err
		}
	}
	if err := eraseSome(r); err != nil {
		return err
	}
	if !answerReferrer(w, r) {
		answerFlagged(w, c.number)
	}
	return nil
}

// hideComment takes a comment that people see away from them.
func hideComment(r *guest.Request, c *comment) error {
	c.hidden = true
	if err := allComments(r.KV()).remove(c.number); err != nil {
		return err
	}
	if err := thread(r.KV(), c.post).remove(c.number); err != nil {
		return err
	}
	return touch(r, shelfComments)
}

// deleteComment: DELETE /1.0/comments/ID
func deleteComment(w *guest.Response, r *guest.Request) error {
	c, err := namedComment(r)
	if err != nil {
		return err
	}
	if !owns(r.Caller(), c.account, "") {
		return errNotYours
	}
	if err := removeComment(r, c); err != nil {
		return err
	}
	if !answerReferrer(w, r) {
		w.Status(204)
	}
	return nil
}

// removeComment deletes a comment, whoever sees it.
func removeComment(r *guest.Request, c *comment) error {
	kv := r.KV()
	for _, s := range []*set{allComments(kv), thread(kv, c.post), flagged(kv, c.post)} {
		if err := s.remove(c.number); err != nil {
			return err
		}
	}
	if err := dropFlags(kv, shelfComments, c.number); err != nil {
		return err
	}
	if err := kv.Delete(commentKey(c.number)); err != nil {
		return err
	}
	return changeComments(r)
}
