//go:build !wasip1

package main_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a body must be: JSON as encoding/json decodes it, in which these stand for
// what is not known beforehand.
type (
	moment int64          // a date in RFC 3339, to the millisecond
	part   map[string]any // an object with at least these fields
	fresh  func(id string) bool
	echo   struct {
		text string
		at   int64
	}
	some struct {
		list  []any
		count int
	}
	whatever struct{}
)

var anything = whatever{}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

var freshForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// match says where got is not what it must be.
func match(at string, want, got any) error {
	switch want := want.(type) {
	case whatever:
		return nil
	case moment:
		if !sameMoment(int64(want), got) {
			return fmt.Errorf("%s: got %v, want %s in RFC 3339", at, got, time.UnixMicro(int64(want)).UTC().Format(time.RFC3339Nano))
		}
		return nil
	case echo:
		if rfc3339.MatchString(want.text) && len(want.text) <= 40 {
			return match(at, any(want.text), got)
		}
		// A blank in the place of the T is a matter of opinion.
		if got == want.text && strings.Contains(want.text, " ") {
			return nil
		}
		return match(at, moment(want.at), got)
	case fresh:
		if id, ok := got.(string); !ok || !freshForm.MatchString(id) || !want(id) {
			return fmt.Errorf("%s: got %v, want a new random UUID", at, got)
		}
		return nil
	case some:
		return matchSome(at, want, got)
	case part:
		m, _ := got.(map[string]any)
		only := maps.Clone(m)
		maps.DeleteFunc(only, func(k string, _ any) bool { _, ok := want[k]; return !ok })
		return match(at, map[string]any(want), only)
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return fmt.Errorf("%s: got %v, want an object", at, got)
		}
		if a, b := slices.Sorted(maps.Keys(m)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
			return fmt.Errorf("%s: got fields %v, want %v", at, a, b)
		}
		for k := range want {
			if err := match(at+"."+k, want[k], m[k]); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s: got %d elements %s, want %d %s", at, len(list), brief(got), len(want), brief(want))
		}
		for i := range want {
			if err := match(fmt.Sprintf("%s[%d]", at, i), want[i], list[i]); err != nil {
				return err
			}
		}
		return nil
	}
	if !reflect.DeepEqual(want, got) {
		return fmt.Errorf("%s: got %v, want %v", at, got, want)
	}
	return nil
}

func matchSome(at string, want some, got any) error {
	list, ok := got.([]any)
	if !ok || len(list) != want.count {
		return fmt.Errorf("%s: got %d elements %s, want %d of %s", at, len(list), brief(got), want.count, brief(want.list))
	}
	left := slices.Clone(want.list)
	for i, e := range list {
		j := slices.IndexFunc(left, func(w any) bool { return match("", w, e) == nil })
		if j < 0 {
			return fmt.Errorf("%s[%d]: got %v, which is not, or not twice, in %s", at, i, e, brief(want.list))
		}
		left = slices.Delete(left, j, j+1)
	}
	return nil
}

// sameMoment compares dates to the millisecond, either one cut off.
func sameMoment(want int64, got any) bool {
	text, _ := got.(string)
	at, ok := date(text)
	return ok && rfc3339.MatchString(text) && (at == want || at == want-mod(want, 1000))
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

// brief shows a list by the ids of its elements.
func brief(v any) string {
	list, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	var names []any
	for _, e := range list {
		name := e
		if m, ok := e.(map[string]any); ok {
			for _, k := range []string{"gid_uuid", "id", "uuid"} {
				if m[k] != nil {
					name = m[k]
				}
			}
		}
		names = append(names, name)
	}
	if len(names) > 20 {
		return fmt.Sprint(names[:20]) + "…"
	}
	return fmt.Sprint(names)
}
