package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// A format is how a result is written.
type format byte

const (
	formatRSS format = iota + 1
	formatAtom
	formatJSON
	formatPlist
)

// formatNames are how the formats are called in URLs, in their order.
var formatNames = [...]string{"rss", "atom", "json", "plist"}

// splitFormat takes the format off the end of a segment of a path.
func splitFormat(name string) (rest string, f format, err error) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return name, 0, guest.Errorf(400, "format_missing",
			"Add the format that you want: .rss, .atom, .json or .plist, as in /1.0/posts.json. See %s.", documentation)
	}
	rest = name[:dot]
	for i, known := range formatNames {
		if name[dot+1:] == known {
			return rest, format(i + 1), nil
		}
	}
	return rest, 0, guest.Errorf(400, "format_unknown",
		"There is no format %q. There are .rss, .atom, .json and .plist, as in /1.0/posts.json. See %s.", name[dot:], documentation)
}
