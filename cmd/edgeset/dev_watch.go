package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A watcher tells when files change. Folders are watched, not files: an editor that
// saves by renaming puts another file in the place of the one there was.
type watcher struct {
	changes chan []string // paths, after a moment without any further change
	quiet   time.Duration
	fs      *fsnotify.Watcher

	mu      sync.Mutex
	watched map[string]bool
	concern func(path string) bool
}

// Times of a watcher: editors write a file in several steps, and tools many files.
const (
	watchQuiet = 100 * time.Millisecond // without a change before the changes are told
	watchLong  = 10                     // times that: then they are told although more come
)

// maxWatched bounds the folders that are watched below the roots of modules: the
// system has no more than some thousands for all.
const maxWatched = 2000

// everything is the path that is told when it is not known what has changed.
const everything = ""

// newWatcher returns a watcher that ends with ctx.
func newWatcher(ctx context.Context, quiet time.Duration) (*watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch files: %w", err)
	}
	n := &watcher{
		changes: make(chan []string), quiet: quiet, fs: w,
		watched: map[string]bool{}, concern: func(string) bool { return false },
	}
	go n.run(ctx)
	return n, nil
}

// watch adds folders, and roots with what is below them, and has changes told of the
// paths that are a concern.
func (w *watcher) watch(roots, dirs []string, concern func(path string) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.concern = concern
	var errs []error
	for _, dir := range dirs {
		errs = append(errs, w.add(dir))
	}
	for _, root := range roots {
		errs = append(errs, w.addTree(root, nil))
	}
	return errors.Join(errs...)
}

// add watches a folder. One that is not there is no error: it is watched when it
// comes, if what it lies in is.
func (w *watcher) add(dir string) error {
	if w.watched[dir] {
		return nil
	}
	if err := w.fs.Add(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("watch %s: %w; on Linux, fs.inotify.max_user_watches says how many folders can be watched", dir, err)
	}
	w.watched[dir] = true
	return nil
}

// addTree watches a folder and those below it, and calls file for what is in them.
func (w *watcher) addTree(root string, file func(path string)) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // it has gone, or is not ours to read
		case !d.IsDir():
			if file != nil {
				file(path)
			}
			return nil
		case path != root && (passing(d.Name()) || d.Name() == "node_modules"):
			return filepath.SkipDir
		case len(w.watched) >= maxWatched:
			return filepath.SkipAll
		}
		return w.add(path)
	})
}

func (w *watcher) run(ctx context.Context) {
	defer w.fs.Close()
	var (
		changed = map[string]bool{}
		first   time.Time
		quiet   = time.NewTimer(time.Hour)
		told    chan []string // nil until there is something to tell
	)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.fs.Events:
			found := w.changed(e)
			if len(found) == 0 {
				continue
			}
			if len(changed) == 0 {
				first = time.Now()
			}
			for _, path := range found {
				changed[path] = true
			}
			if told == nil {
				quiet.Reset(max(0, min(w.quiet, time.Until(first.Add(watchLong*w.quiet)))))
			}
		case <-w.fs.Errors: // such as a queue that has overflown
			changed[everything] = true
			quiet.Reset(w.quiet)
		case <-quiet.C:
			told = w.changes
		case told <- slices.Sorted(maps.Keys(changed)):
			told = nil
			clear(changed)
		}
	}
}

// changed returns the paths of concern that an event tells of.
func (w *watcher) changed(e fsnotify.Event) (found []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	check := func(path string) {
		if w.concern(path) {
			found = append(found, path)
		}
	}
	switch {
	case e.Has(fsnotify.Create):
		// A new folder may have files by now, which no event tells of. Of a file that
		// is no folder this finds the file.
		if !passing(filepath.Base(e.Name)) && filepath.Base(e.Name) != "node_modules" {
			_ = w.addTree(e.Name, check) // the next change of what is built tells of it
		}
		check(e.Name)
	case e.Has(fsnotify.Remove), e.Has(fsnotify.Rename):
		for dir := range w.watched {
			if dir == e.Name || below(dir, e.Name) {
				delete(w.watched, dir)
				_ = w.fs.Remove(dir) // it may have gone with its folder
				check(dir)
			}
		}
		check(e.Name)
	case e.Has(fsnotify.Write):
		check(e.Name)
	}
	return found
}

// below tells whether a path lies in a folder.
func below(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != "." && filepath.IsLocal(rel)
}
