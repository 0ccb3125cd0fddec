package main

import (
	"crypto/sha256"
	"slices"

	"github.com/edgeset/edgeset/abi/guest"
)

// Posts are found by terms, each of which is a set of the numbers of posts:
//
//	p a                  all
//	p c city, p s state, p z zip, p t tag, p w word
//	p x city 0xFF tag    both
//	p g …                cells, see there
//
// Texts are in lower case; see normalise and textWords.
const (
	termAll     = 'a'
	termCity    = 'c'
	termState   = 's'
	termZip     = 'z'
	termTag     = 't'
	termWord    = 'w'
	termCityTag = 'x'
)

// A shelf is a kind of things that have numbers of their own: posts, or comments.
type shelf byte

// facets are what a post is found by, as they were written.
type facets struct {
	city, state, zip string
	tags             []string
	text             string
	placed           bool
	at               place
}

const (
	// maxWords is how many different words, hashtags, and pairs of characters a text
	// may have. Each is a set of which two records may have to be written. So what is
	// written at most stays below the 4,096 writes of a call: 2,680 for the terms that
	// change, and in each of 17 trees 33 to leave a place and, if that makes a leaf
	// too large, 49 to come to another.
	maxWords = 1300
	// maxChanged is how many terms may come and go at once. All words may, and what
	// else a post is found by.
	maxChanged = maxWords + 40
	// maxSearched is how many somebody may search for.
	maxSearched = 100
)

// check tells whether a post with these facets can be stored.
func (f *facets) check() error {
	if n := len(textWords(f.text)); n > maxWords {
		return guest.Errorf(400, "bad_parameter", "description has %d different words; at most %d are taken. "+
			"In a script without blanks each character is one, and each two neighbours.", n, maxWords)
	}
	return nil
}

// maxTerm is how long what appendTerm appends may be.
const maxTerm = 64

// appendTerm appends a text, a long one as its beginning and a hash. No text has the
// byte between them, which is not UTF-8.
func appendTerm(b []byte, text string) []byte {
	if len(text) <= maxTerm {
		return append(b, text...)
	}
	hash := sha256.Sum256([]byte(text))
	return append(append(append(b, text[:32]...), 0xFE), hash[:24]...)
}

// termKey returns the key of the set of a term.
func termKey(kind byte, text string) string {
	var b [2 + maxTerm]byte
	return string(appendTerm(append(b[:0], byte(shelfPosts), kind), text))
}

func cityTag(city, tag string) string { return city + "\xFF" + tag }

// terms returns the keys of all sets of a post but those of cells, in order.
func (f *facets) terms(tags []string) []string {
	keys := []string{termKey(termAll, "")}
	city := normalise(f.city)
	for _, t := range [...]struct {
		kind byte
		text string
	}{{termCity, city}, {termState, normalise(f.state)}, {termZip, normalise(f.zip)}} {
		if t.text != "" {
			keys = append(keys, termKey(t.kind, t.text))
		}
	}
	for _, tag := range tags {
		keys = append(keys, termKey(termTag, tag))
		if city != "" {
			keys = append(keys, termKey(termCityTag, cityTag(city, tag)))
		}
	}
	for _, word := range textWords(f.text) {
		keys = append(keys, termKey(termWord, word))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// normalTags returns tags as they are compared, in order and each once.
func normalTags(tags []string) []string {
	list := make([]string, 0, len(tags))
	for _, tag := range tags {
		if tag = normalise(tag); tag != "" {
			list = append(list, tag)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// trees returns the tags in whose trees a post is: its own, and "" for all posts.
func (f *facets) trees(tags []string) []string {
	if !f.placed {
		return nil
	}
	return append([]string{""}, tags...)
}

// addFacets has a post be found.
func addFacets(kv *guest.KV, number uint32, created int64, f *facets) error {
	if err := kv.Put(momentKey(created, number), nil); err != nil {
		return err
	}
	tags := normalTags(f.tags)
	if err := changeTerms(kv, number, nil, f.terms(tags)); err != nil {
		return err
	}
	return changeTrees(kv, f.trees(tags), point{number, f.at}, false)
}

// removeFacets has a post be found no more.
func removeFacets(kv *guest.KV, number uint32, created int64, f *facets) error {
	if err := kv.Delete(momentKey(created, number)); err != nil {
		return err
	}
	tags := normalTags(f.tags)
	if err := changeTerms(kv, number, f.terms(tags), nil); err != nil {
		return err
	}
	return changeTrees(kv, f.trees(tags), point{number, f.at}, true)
}

// changeFacets has a post be found by other facets than before.
func changeFacets(kv *guest.KV, number uint32, created int64, old, now *facets) error {
	oldTags, nowTags := normalTags(old.tags), normalTags(now.tags)
	if err := changeTerms(kv, number, old.terms(oldTags), now.terms(nowTags)); err != nil {
		return err
	}
	gone, come := old.trees(oldTags), now.trees(nowTags)
	if old.at == now.at {
		gone, come = less(gone, come), less(come, gone)
	}
	if err := changeTrees(kv, gone, point{number, old.at}, true); err != nil {
		return err
	}
	return changeTrees(kv, come, point{number, now.at}, false)
}

// less returns what of a is not in b; both are in order.
func less(a, b []string) (list []string) {
	for _, s := range a {
		if _, found := slices.BinarySearch(b, s); !found {
			list = append(list, s)
		}
	}
	return list
}

// changeTerms takes a post out of the sets that are only among the old keys, and puts
// it into those that are only among the new ones.
func changeTerms(kv *guest.KV, number uint32, old, now []string) error {
	gone, come := less(old, now), less(now, old)
	if len(old) > 0 && len(now) > 0 && len(gone)+len(come) > maxChanged {
		return guest.Errorf(400, "bad_parameter", "%d words of the description go or come at once; at most %d can. Clear it first.",
			len(gone)+len(come), maxWords)
	}
	edits := make([]edit, 0, len(gone)+len(come))
	for _, key := range gone {
		edits = append(edits, edit{key: []byte(key), number: number, remove: true})
	}
	for _, key := range come {
		edits = append(edits, edit{key: []byte(key), number: number})
	}
	return applyEdits(kv, edits)
}

// A filter says which posts are wanted.
type filter struct {
	from, to         int64 // when they were created, in seconds since 1970, both inclusive; to 0: no end
	city, state, zip string
	tags             []string
	search           string
	circle           *circle // city, state and zip do not matter then
}

// findPosts returns how many posts match a filter, and, the newest first, the numbers
// of at most limit of them, less the first skip. Query.run tells what it costs.
func findPosts(kv *guest.KV, f *filter, skip, limit int) (total int, numbers []uint32, err error) {
	words := searchWords(f.search)
	if len(words) == 0 && f.search != "" {
		return 0, nil, nil
	}
	if len(words) > maxSearched {
		return 0, nil, guest.Errorf(400, "bad_parameter", "search has %d words; at most %d can be searched for at once.", len(words), maxSearched)
	}
	q := query{kv: kv}
	if q.lo, q.hi, err = numbersBetween(kv, f.from, f.to); err != nil || q.lo > q.hi {
		return 0, nil, err
	}
	if err := q.addTerms(f, words); err != nil {
		return 0, nil, err
	}
	return q.run(max(skip, 0), limit)
}

// addTerms adds the terms of a filter. All sets but those of cells are opened at once.
func (q *query) addTerms(f *filter, words []string) error {
	var keys [][]byte
	var ends []int // of the keys of each term
	term := func(kind byte, texts ...string) {
		for _, text := range texts {
			keys = append(keys, []byte(termKey(kind, text)))
		}
		ends = append(ends, len(keys))
	}
	tags, city, tree := normalTags(f.tags), normalise(f.city), ""
	switch {
	case f.circle != nil:
		city = ""
		if len(tags) == 1 {
			tree, tags = tags[0], nil
		}
	case city != "" && len(tags) > 0:
		for i, tag := range tags {
			tags[i] = cityTag(city, tag)
		}
		term(termCityTag, tags...)
		city, tags = "", nil
	}
	if city != "" {
		term(termCity, city)
	}
	if state := normalise(f.state); state != "" && f.circle == nil {
		term(termState, state)
	}
	if zip := normalise(f.zip); zip != "" && f.circle == nil {
		term(termZip, zip)
	}
	if len(tags) > 0 {
		term(termTag, tags...)
	}
	for _, word := range words {
		term(termWord, word)
	}
	if len(keys) == 0 && f.circle == nil {
		term(termAll, "")
	}
	if len(keys) > 0 {
		sets, err := openSets(q.kv, keys)
		if err != nil {
			return err
		}
		begin := 0
		for _, end := range ends {
			q.terms = append(q.terms, newTerm(sets[begin:end], nil, false))
			begin = end
		}
	}
	if f.circle != nil {
		sets, numbers, err := findPlaces(q.kv, tree, f.circle)
		if err != nil {
			return err
		}
		q.terms = append(q.terms, newTerm(sets, numbers, true))
	}
	return nil
}
