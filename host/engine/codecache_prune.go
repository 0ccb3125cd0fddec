package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What a cache may hold. A plugin in Go takes some 25 MB.
const (
	cacheSize = 1 << 30             // bytes
	cacheAge  = 30 * 24 * time.Hour // since its last use, of what another version of the host has made
	fillAge   = time.Hour           // of what a process has left behind that did not come to its end
)

// cacheFolders are those that a cache consists of: one for each key, and wazero's
// own, which earlier versions of the host have filled.
var cacheFolders = regexp.MustCompile(`^([0-9a-f]{16}|wazero-.*)$`)

type cacheFile struct {
	path string
	size int64
	used time.Time
	own  bool // of this version of the host
}

// prune deletes what nobody is going to use, and then what was used last the
// longest ago, until the cache is small enough. Entry and code of a plugin are
// used together, and so they go together; if one of them is left, it is as if
// none were. What cannot be deleted stays for the next time.
func (c *codeCache) prune() {
	now := time.Now()
	var total int64
	full := false
	for _, f := range c.files() {
		unfinished := strings.Contains(f.path, string(filepath.Separator)+tempPrefix)
		switch age := now.Sub(f.used); {
		case !f.own && age > cacheAge, unfinished && age > fillAge:
			_ = os.Remove(f.path)
		case full || total+f.size > cacheSize:
			full = true
			_ = os.Remove(f.path)
		default:
			total += f.size
		}
	}
}

// files lists what is in the cache, what was used last first. Folders that have
// been empty for a while are deleted on the way.
func (c *codeCache) files() (files []cacheFile) {
	folders, _ := os.ReadDir(c.root) // if it cannot be read, there is nothing to be done
	for _, folder := range folders {
		if !folder.IsDir() || !cacheFolders.MatchString(folder.Name()) {
			continue
		}
		top := filepath.Join(c.root, folder.Name())
		_ = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // deleted by another process
			}
			info, err := d.Info()
			switch {
			case err != nil:
			case d.IsDir() && path != c.dir && time.Since(info.ModTime()) > fillAge:
				_ = os.Remove(path) // fails unless it is empty
			case !d.IsDir():
				files = append(files, cacheFile{path, info.Size(), info.ModTime(), top == c.dir})
			}
			return nil
		})
	}
	slices.SortFunc(files, func(a, b cacheFile) int { return b.used.Compare(a.used) })
	return files
}
