package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWordsOfATextAndOfASearch(t *testing.T) {
	for _, c := range []struct{ text, words, search string }{
		{"", "", ""},
		{" -- !? ", "", ""},
		{"Traffic jam, traffic!", "jam traffic", "jam traffic"},
		{"#Traffic", "#traffic traffic", "#traffic"},
		{"a#b ##c # d", "#b #c a b c d", "#b #c a d"},
		{"Don't 'quote' o’clock's'", "don't o'clock's quote", "don't o'clock's quote"},
		{"#don't", "#don't don't", "#don't"},
		{"rock''n", "n rock", "n rock"},
		{"snake_case 42nd 3.5", "3 42nd 5 snake_case", "3 42nd 5 snake_case"},
		{"Straße ÉCOLE Ωmega", "straße école ωmega", "straße école ωmega"},
		{"ﬁre Ǻb", "ǻb ﬁre", "ǻb ﬁre"},
		{"東京塔", "京 京塔 塔 東 東京", "京塔 東京"},
		{"東", "東", "東"},
		{"東京tower東", "tower 東 東京 京", "tower 東 東京"},
		{"#東京tower", "#東京tower tower 東 東京 京", "#東京tower"},
		{"＃火", "#火 火", "#火"},
		{"コーヒー", "ー ーヒ ヒ ヒー コ コー", "ーヒ ヒー コー"},
		{"ไทย", "ท ทย ย ไ ไท", "ทย ไท"},
		{"क्या हिंदी", "क्या हिंदी", "क्या हिंदी"},
		{"😀 smile😀", "smile", "smile"},
		{"東'京", "東 京", "東 京"},
		{"it's東", "it's 東", "it's 東"},
	} {
		for _, search := range []bool{false, true} {
			want := strings.Fields(c.words)
			if search {
				want = strings.Fields(c.search)
			}
			slices.Sort(want)
			if got := wordsOf(c.text, search); !slices.Equal(got, want) {
				t.Errorf("%q, search %v: got %q, want %q", c.text, search, got, want)
			}
		}
	}
}

func TestNamesAreComparedWithoutCaseAndBlanks(t *testing.T) {
	for s, want := range map[string]string{"": "", " \t": "", "Oklahoma  City ": "oklahoma city", "KÖLN\u00a0am\nRhein": "köln am rhein"} {
		if got := normalise(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func TestTagsAreSplitAtCommas(t *testing.T) {
	for s, want := range map[string][]string{
		"": nil, " , ,#,": nil, "a,b": {"a", "b"}, " #Road  works ,road works,ROAD WORKS, fire": {"Road works", "fire"},
		"##x": {"#x"}, "# y": {"y"}, "#b,a,B": {"b", "a"},
	} {
		if got := splitTags(s); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "a b", "#tag", "don't", "東京tower", "'", "#'a", "ーa", "\xff\xfe", "İI", "a\u0301#\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, search := textWords(s), searchWords(s)
		for _, word := range search {
			if _, found := slices.BinarySearch(text, word); !found {
				t.Fatalf("%q is not found by %q of itself", s, word)
			}
		}
		if n := 2 * utf8.RuneCountInString(s); len(text) > n {
			t.Fatalf("%d words in %d characters", len(text), n/2)
		}
		for _, word := range text {
			if again := textWords(word); !slices.Contains(again, word) {
				t.Fatalf("the word %q of %q has the words %q", word, s, again)
			}
		}
	})
}
