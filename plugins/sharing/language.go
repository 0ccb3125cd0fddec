package main

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// fallbackLanguage is what invites are written in if nobody wants another.
const fallbackLanguage = "en"

// maxTag is the longest language tag that the outbox takes, in bytes.
const maxTag = 35

// languageTag returns a tag such as "de" or "de-AT" in its usual case; not ok: it is
// none.
func languageTag(s string) (tag string, ok bool) {
	parts := strings.Split(strings.ReplaceAll(s, "_", "-"), "-")
	if len(s) > maxTag || len(parts[0]) < 2 {
		return "", false
	}
	for i, p := range parts {
		if len(p) == 0 || len(p) > 8 {
			return "", false
		}
		for _, c := range []byte(p) {
			letter := 'a' <= c|0x20 && c|0x20 <= 'z'
			if !letter && (i == 0 || c < '0' || c > '9') {
				return "", false
			}
		}
		p = strings.ToLower(p)
		switch {
		case i > 0 && len(p) == 2:
			p = strings.ToUpper(p)
		case i > 0 && len(p) == 4:
			p = strings.ToUpper(p[:1]) + p[1:]
		}
		parts[i] = p
	}
	return strings.Join(parts, "-"), true
}

// broader returns the tag without its last part, "" for one of one part.
func broader(tag string) string { return tag[:max(0, strings.LastIndexByte(tag, '-'))] }

// maxAccepted bounds how many languages of a request are looked at.
const maxAccepted = 8

// accepted returns the languages of an Accept-Language header, the dearest first.
func accepted(header string) []string {
	type choice struct {
		tag    string
		weight float64
	}
	var list []choice
	for item := range strings.SplitSeq(header, ",") {
		name, parameter, _ := strings.Cut(item, ";")
		tag, ok := languageTag(strings.TrimSpace(name))
		weight := 1.0
		if q, found := strings.CutPrefix(strings.TrimSpace(parameter), "q="); found {
			weight, _ = strconv.ParseFloat(q, 64)
		}
		if ok && weight > 0 {
			list = append(list, choice{tag, weight})
		}
		if len(list) == maxAccepted {
			break
		}
	}
	slices.SortStableFunc(list, func(a, b choice) int { return cmp.Compare(b.weight, a.weight) })
	tags := make([]string, len(list))
	for i := range list {
		tags[i] = list[i].tag
	}
	return tags
}

// chooseLocale returns the language of a new invite: the one that is asked for, which is kept
// even if nothing is written in it now, or the first one of the client's that something
// is written in.
func (c *composer) chooseLocale() (string, error) {
	if s, ok := c.r.Value("locale"); ok && s != "" {
		tag, ok := languageTag(s)
		if !ok {
			return "", badParameter("locale: want a language, such as de or de-AT")
		}
		return tag, nil
	}
	for _, tag := range accepted(c.r.Header("Accept-Language")) {
		if c.speaks(tag) {
			return tag, nil
		}
	}
	return c.language(""), nil
}

// language returns the language that is used for a locale.
func (c *composer) language(locale string) string {
	if locale != "" && c.speaks(locale) {
		return locale
	}
	if tag, ok := languageTag(c.r.Config("locale", "")); ok && c.speaks(tag) {
		return tag
	}
	return fallbackLanguage
}

// speaks tells whether something is written in a language.
func (c *composer) speaks(tag string) bool {
	if spoken(tag).tag != "" {
		return true
	}
	for ; tag != ""; tag = broader(tag) {
		for _, part := range []string{partText, partSMS, partClient, partHTML, partSubject} {
			if c.r.Config(part+"."+tag, "") != "" {
				return true
			}
		}
	}
	return false
}
