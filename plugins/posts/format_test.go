package main

import (
	"strings"
	"testing"
)

func FuzzAFormatIsSplitOffWhole(f *testing.F) {
	for _, s := range []string{"posts.json", "10.rss", "10", "", ".", ".json", "a.b.plist", "x.jsonx", "é.atom"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		rest, kind, err := splitFormat(name)
		if err == nil && (kind < formatRSS || kind > formatPlist || rest+"."+formatNames[kind-1] != name) {
			t.Fatalf("%q: got %q and format %d", name, rest, kind)
		}
		if err != nil {
			for _, known := range formatNames {
				if strings.HasSuffix(name, "."+known) {
					t.Fatalf("%q: %v", name, err)
				}
			}
		}
	})
}
