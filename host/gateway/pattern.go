package gateway

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// checkPattern refuses a pattern that no path can match, and one that is not fit
// for logs and metrics.
func checkPattern(pattern string) error {
	if !utf8.ValidString(pattern) || len(pattern) > 1000 {
		return errors.New("want a pattern of at most 1,000 bytes in UTF-8")
	}
	for _, c := range pattern {
		if !unicode.IsPrint(c) || c == '?' || c == '#' || c == '%' {
			return fmt.Errorf("a pattern is matched with decoded paths: want none of '?', '#', '%%', control characters and others that cannot be printed, got %q", c)
		}
	}
	segments := strings.Split(pattern[1:], "/")
	for i, s := range segments {
		if s == ":" || s == "." || s == ".." || s == "" && i < len(segments)-1 {
			return fmt.Errorf("segment %q: want a literal or \":name\"", s)
		}
		if strings.HasPrefix(s, "*") && (s == "*" || i < len(segments)-1) {
			return fmt.Errorf("segment %q: want \"*name\" at the end alone", s)
		}
	}
	return nil
}

// checkName refuses a name that is not fit for logs and metrics.
func checkName(what, name string) error {
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s %q: want a name that can be printed, in UTF-8", what, name)
	}
	return nil
}
