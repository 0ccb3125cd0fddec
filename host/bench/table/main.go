// Command table prints the rows that benchmarks have put into a file as a table,
// with what they depend on above it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/edgeset/edgeset/host/bench"
)

func main() {
	command := flag.String("command", "", "what the rows were measured with, to be printed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := show(ctx, *command, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func show(ctx context.Context, command string, args []string) error {
	if len(args) != 1 {
		return errors.New("want the name of one file")
	}
	rows, err := bench.Load(args[0])
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return fmt.Errorf("%s: no rows", args[0])
	}
	if err := bench.PrintEnvironment(ctx, os.Stdout, "github.com/tetratelabs/wazero", "github.com/extism/go-sdk",
		"github.com/valyala/fasthttp", "github.com/dgraph-io/badger/v4"); err != nil {
		return err
	}
	fmt.Printf("%-11s%s\n", "command", command)
	fmt.Printf("%-11smedians, and how far the middle half of the rounds lies from them; a ratio above 1: ours is better\n\n", "figures")
	return bench.PrintRows(os.Stdout, rows)
}
