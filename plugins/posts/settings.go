package main

import (
	"fmt"
	"strconv"

	"github.com/edgeset/edgeset/abi/guest"
)

// What an operator can set for the plugin in the manifest.
//
//	title          of the feeds                                          Posts
//	hide_after     flags that hide a post or a comment; 0: none do       3         (0 to 1000000)
//	keep_original  keep the picture as it was uploaded, too, with all    false
//	               that is in it, such as where it was taken
//	max_image      how large an uploaded file may be, in bytes           16777216  (1 to 25165824)
//
// A setting that cannot be read fails every call that needs it, with a line in the
// log: a typo must not quietly do something else.

// maxUpload bounds the bodies of uploads, in bytes: the largest max_image.
const maxUpload = 24 << 20

func feedTitle(r *guest.Request) string { return r.Config("title", "Posts") }

func hideAfter(r *guest.Request) (int, error) { return numberSetting(r, "hide_after", 3, 0, 1000000) }

func maxImage(r *guest.Request) (int, error) {
	return numberSetting(r, "max_image", 16<<20, 1, maxUpload)
}

func keepsOriginal(r *guest.Request) (bool, error) {
	switch s := r.Config("keep_original", "false"); s {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	default:
		return false, fmt.Errorf("setting keep_original: %q: want true or false", s)
	}
}

func numberSetting(r *guest.Request, key string, def, least, most int) (int, error) {
	s := r.Config(key, "")
	if s == "" {
		return def, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("setting %s: %q: want a whole number from %d to %d", key, s, least, most)
	}
	return n, nil
}
