//go:build !wasip1

package main_test

import (
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// tagged tells whether the host makes an entity tag of what is read at a path: the
// route with the most literal pattern decides.
func tagged(path string) (tag bool) {
	segments := strings.Split(path, "/")
	most := -1
	for _, route := range guest.Served().Description().Routes {
		pattern := strings.Split(route.Pattern, "/")
		if route.Method != "GET" || len(pattern) != len(segments) {
			continue
		}
		literal := 0
		for i, p := range pattern {
			if p == segments[i] {
				literal++
			} else if !strings.HasPrefix(p, ":") {
				literal = -len(pattern)
			}
		}
		if literal > most {
			most, tag = literal, route.ETag
		}
	}
	return tag
}
