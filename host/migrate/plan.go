// Package migrate brings the data of a plugin from one format into the next, in small
// batches, beside requests, and knows of what formats they are: which versions of the
// plugin can read them, and whether there is a way back.
//
// A change of a deployment takes these steps:
//
//	NewPlan  may the plugin be deployed, and is there anything to migrate?
//	Run      the pass before: while the version before serves and writes
//	Serve    before the new version gets its first request
//	Run      the pass after: when the version before is drained. It brings in what that
//	         one has written meanwhile, and ends the old formats
//
// What is known stands in the deployment's own space, and is written in the same
// transaction as each batch. So a migration that ends in the middle, in whatever way,
// goes on exactly where it was.
package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

var (
	// ErrUnreadable: the plugin cannot work with the data that are there.
	ErrUnreadable = errors.New("it cannot work with the data that are there")
	// ErrIrreversible: the plugin that serves now cannot work with what the next one
	// writes.
	ErrIrreversible = errors.New("there would be no way back")
)

// A Plan says what deploying a plugin takes.
type Plan struct {
	From, To int  // the oldest format that may be there, and the plugin's own
	Migrates bool // there are data to migrate: a pass after the swap is due
	Before   bool // and one before it
	// Canary tells that the plugin can serve beside the one that serves now: each can
	// work with what the other one writes.
	Canary bool
}

// NewPlan finds out what deploying a plugin takes, or why it may not be: the error is
// ErrUnreadable or ErrIrreversible. serving is the schema of the version that serves
// now, nil if there is none. Who insists gives up the way back, or what the plugin
// cannot read; not what the plugin would take for something else, which is data of a
// format older than it reads.
func NewPlan(ctx context.Context, st store.Store, space, plugin string, next abi.Schema, serving *abi.Schema, insist bool) (*Plan, error) {
	var s state
	err := st.View(ctx, space, func(txn store.Txn) (err error) {
		var found bool
		if s, found, err = read(txn, plugin); err == nil && !found {
			s = first(next)
			if serving != nil {
				s = first(*serving)
			}
		}
		return err
	})
	if err == nil {
		err = s.admit(next, serving, insist)
	}
	if err != nil {
		return nil, failure(space, plugin, err)
	}
	p := &Plan{From: s.Low, To: next.Version, Migrates: s.due(next)}
	p.Canary = next.Version >= s.Readable && (serving == nil || next.Keeps <= serving.Version)
	// Where the one that serves writes the plugin's own format already, the pass after
	// finds no more than a pass before would.
	p.Before = p.Migrates && p.Canary && serving != nil && serving.Version < next.Version
	return p, nil
}

// admit tells why a plugin may not be deployed.
func (s *state) admit(next abi.Schema, serving *abi.Schema, insist bool) error {
	switch {
	case next.Reads > s.Low:
		return fmt.Errorf("%w: they may be of schema %d, and it reads %d and later; want a version of the plugin that reads both, or first one that migrates them",
			ErrUnreadable, s.Low, next.Reads)
	case insist:
		return nil
	case next.Version < s.Readable:
		return fmt.Errorf("%w: they may be of schema %d, which plugins of schema %d and later can work with, and it is of schema %d; want one of these, or insist, if it does not matter what it makes of the rest",
			ErrUnreadable, s.High, s.Readable, next.Version)
	case serving != nil && next.Keeps > serving.Version:
		return fmt.Errorf("%w: plugins of schema %d and later can work with what it writes, and the one that serves now is of schema %d; want a version that keeps its data readable for that, or insist",
			ErrIrreversible, next.Keeps, serving.Version)
	}
	return nil
}

func failure(space, plugin string, err error) error {
	return fmt.Errorf("migrate: deployment %q: plugin %q: %w", space, plugin, err)
}
