// Command peers compares edgeset with what else one could choose, over HTTP: the
// same upload of ten points, the same read of the newest ones, and a handler
// that does nothing.
//
// For each peer it starts edgeset and the peer, both with fresh state, and has
// them take turns under the same open-loop load. What counts is how many
// requests a second of processor time serves, which a busy machine spoils less
// than time does: once under more load than either takes, once under half of what
// the slower one takes, and then also how long they take. Run it with "make
// bench-peers", which installs what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/edgeset/edgeset/host/bench"
)

func main() {
	file := flag.String("json", "", "file that the rows are put into; none: they are only printed")
	rounds := flag.Int("rounds", 5, "rounds of each comparison, an odd number")
	round := flag.Duration("time", 600*time.Millisecond, "time of each side in a round, under full and under steady load")
	names := flag.String("peers", "", "peers, with commas between; none: all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := compareAll(ctx, *file, plan{*rounds, *round}, *names); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func compareAll(ctx context.Context, file string, p plan, names string) error {
	if p.rounds < 1 || p.rounds%2 == 0 || p.time <= 0 {
		return errors.New("want an odd number of rounds, and some time")
	}
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	w, err := newWorkshop()
	if err != nil {
		return err
	}
	if err := w.build(ctx); err != nil {
		return err
	}
	// What fails is told at the end, and the rest is measured all the same.
	var results []*result
	var failed []error
	for _, peer := range chosen {
		list, err := w.against(ctx, peer, p)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", peer.name, err))
		}
		if ctx.Err() != nil {
			return errors.Join(failed...)
		}
		results = append(results, list...)
	}
	slices.SortStableFunc(results, func(a, b *result) int { return strings.Compare(a.exchange.name, b.exchange.name) })
	for _, r := range results {
		for _, row := range r.rows() {
			if file == "" {
				continue
			}
			if err := bench.Put(file, row); err != nil {
				return err
			}
		}
	}
	fmt.Println()
	if err := w.printEnvironment(ctx, os.Stdout); err != nil {
		failed = append(failed, err)
	}
	fmt.Printf("%-11smake bench-peers, which is: go run ./host/bench/peers %s\n", "command", strings.Join(os.Args[1:], " "))
	fmt.Printf("%-11s%d rounds of %v a side and load; medians, and how far the middle half of the rounds lies from them\n\n", "measured", p.rounds, p.time)
	return errors.Join(append(failed, printResults(os.Stdout, results))...)
}

func choose(names string) ([]contender, error) {
	if names == "" {
		return peers, nil
	}
	var chosen []contender
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(peers, func(c contender) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no peer %q", name)
		}
		chosen = append(chosen, peers[i])
	}
	return chosen, nil
}

// against measures all exchanges of edgeset and one peer.
func (w *workshop) against(ctx context.Context, peer contender, p plan) (results []*result, err error) {
	dir, err := os.MkdirTemp(w.dir, "state-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	var sides [2]*side
	for i, c := range []contender{ours, peer} {
		s, err := w.enter(ctx, c, dir, peer.durability)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, s.close()) }()
		sides[i] = s
	}
	for i := range exchanges {
		r, err := compare(ctx, &exchanges[i], p, sides)
		if err != nil {
			return results, err
		}
		r.peer, r.durability = peer.name, peer.durability
		results = append(results, r)
		cpu := r.rows()[0]
		fmt.Printf("%-21s %-14s %6.0f against %6.0f requests/CPU-s, %.2f times better\n",
			cpu.Name, cpu.Peer, cpu.Ours, cpu.Theirs, cpu.Ratio)
	}
	return results, nil
}

// enter starts a contender and lets it share.
func (w *workshop) enter(ctx context.Context, c contender, dir, durability string) (*side, error) {
	own, err := os.MkdirTemp(dir, c.name+"-")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := c.start(ctx, w, own, addr, durability)
	if err != nil {
		return nil, err
	}
	if err := s.share(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}
