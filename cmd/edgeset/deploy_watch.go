package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/rollout"
)

// deployWatch shows a canary beside the version that serves until it has ended. It fails
// if the canary was taken back, so that a script can wait for it.
func deployWatch(args []string) error {
	f := newFlags("deploy watch NAME", "show a canary beside the version that serves until it has ended")
	every := f.Duration("interval", time.Second, "how often it is looked")
	o := adminFlags(f)
	name, _, err := named(f, args, 0)
	if err != nil {
		return err
	}
	if *every < 100*time.Millisecond {
		return misused("deploy watch: --interval: %v: want 100ms or more", *every)
	}
	ctx, stop := interruptible()
	defer stop()
	redraw := isTerminal(os.Stdout)
	var before string
	ticks := time.NewTicker(*every)
	defer ticks.Stop()
	for {
		var s rollout.Status
		if err := o.get(ctx, &s, nil, "deployments", name); err != nil {
			if ctx.Err() != nil {
				return nil // who watches has seen enough
			}
			return err
		}
		var text strings.Builder
		if err := printStatus(&text, &s); err != nil {
			return err
		}
		switch {
		case redraw:
			fmt.Print("\x1b[H\x1b[2J" + text.String())
		case text.String() != before:
			fmt.Println(text.String())
			before = text.String()
		}
		if s.Canary == nil {
			return canaryEnd(&s)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// canaryEnd tells how a canary has ended by whether it is an error.
func canaryEnd(s *rollout.Status) error {
	if strings.Contains(s.Ended, "taken back") {
		return fmt.Errorf("the last canary of %q: %s", s.Name, printable(s.Ended))
	}
	return nil
}
