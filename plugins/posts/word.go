package main

import (
	"slices"
	"strings"
	"unicode"
)

// What a character is for the words of a text.
const (
	otherChar = iota
	wordChar  // of a word: a letter, a digit, a mark or an underscore
	denseChar // the same in a script that has no blanks between words
	apostrophe
	hashSign
)

func charClass(r, before rune, classBefore byte) byte {
	switch {
	case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_':
		return wordChar
	case r == '\'':
		return apostrophe
	case r == '#':
		return hashSign
	case r < 0x80:
		return otherChar
	case r == '＃':
		return hashSign
	case r == 'ー' || r == 'ｰ': // they belong to two scripts
		return denseChar
	case unicode.IsMark(r) && classBefore != otherChar:
		if classBefore == denseChar {
			return denseChar
		}
		return wordChar
	case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || unicode.IsNumber(r):
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
			return denseChar
		}
		return wordChar
	}
	return otherChar
}

// textWords returns what a text is found by, in order and each once: its words in
// lower case, and its hashtags with their "#". Where a script has no blanks between
// words, each character is a word, and each two that are neighbours.
func textWords(text string) []string { return wordsOf(text, false) }

// searchWords returns what a text must have to match what somebody searches for: a
// hashtag, not just its word; and of a script without blanks each two neighbours.
func searchWords(search string) []string { return wordsOf(search, true) }

func wordsOf(text string, search bool) (words []string) {
	chars, classes := classify(text)
	isWord := func(i int) bool {
		return i < len(chars) && (classes[i] == wordChar || classes[i] == denseChar)
	}
	for i := 0; i < len(chars); i++ {
		if !isWord(i) {
			continue
		}
		end := i + 1
		for isWord(end) || end < len(chars) && classes[end] == apostrophe && isWord(end+1) {
			end++
		}
		hashtag := i > 0 && classes[i-1] == hashSign
		if hashtag {
			words = append(words, "#"+string(chars[i:end]))
		}
		if !hashtag || !search {
			words = appendWords(words, chars[i:end], classes[i:end], search)
		}
		i = end - 1
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// classify returns the characters of a text in lower case, and what they are.
func classify(text string) (chars []rune, classes []byte) {
	chars, classes = make([]rune, 0, len(text)), make([]byte, 0, len(text))
	before, class := ' ', byte(otherChar)
	for _, r := range text {
		if r == '’' {
			r = '\''
		}
		r = unicode.ToLower(r)
		class = charClass(r, before, class)
		chars, classes, before = append(chars, r), append(classes, class), r
	}
	return chars, classes
}

// appendWords appends the words of a run without anything between them but
// apostrophes.
func appendWords(words []string, chars []rune, classes []byte, search bool) []string {
	for i := 0; i < len(chars); {
		end := i + 1
		dense := classes[i] == denseChar
		for end < len(chars) && (classes[end] == denseChar) == dense {
			end++
		}
		run := chars[i:end]
		i = end
		switch {
		case !dense:
			if word := strings.Trim(string(run), "'"); word != "" {
				words = append(words, word)
			}
		case search && len(run) == 1:
			words = append(words, string(run))
		default:
			for k := range run {
				if !search {
					words = append(words, string(run[k:k+1]))
				}
				if k+1 < len(run) {
					words = append(words, string(run[k:k+2]))
				}
			}
		}
	}
	return words
}

// normalise returns a name as it is compared: in lower case, with single blanks.
func normalise(s string) string { return strings.ToLower(singleBlanks(s)) }

// singleBlanks returns a text with one blank for each run of white space, and none at
// the ends.
func singleBlanks(s string) string { return strings.Join(strings.Fields(s), " ") }

// splitTags returns the tags of a list with commas, as they were written, each once.
func splitTags(s string) (tags []string) {
	for tag := range strings.SplitSeq(s, ",") {
		tag = singleBlanks(strings.TrimPrefix(strings.TrimSpace(tag), "#"))
		if tag == "" || slices.ContainsFunc(tags, func(other string) bool { return normalise(other) == normalise(tag) }) {
			continue
		}
		tags = append(tags, tag)
	}
	return tags
}
