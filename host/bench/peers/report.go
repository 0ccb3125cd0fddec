package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/edgeset/edgeset/host/bench"
)

// printResults prints the comparisons as a Markdown table. The figures of the
// sides stand in the order of its head: edgeset, then the peer.
func printResults(out io.Writer, results []*result) error {
	var cells [][]string
	for _, r := range results {
		rows := r.rows()
		full, steady, p50, p99 := rows[0], rows[1], rows[2], rows[3]
		survives := ""
		if r.exchange.stores {
			survives = r.durability
		}
		cells = append(cells, []string{
			full.Name, full.Peer,
			fmt.Sprintf("%.0f ± %.0f %%", full.Ours, full.SpreadOurs/2),
			fmt.Sprintf("%.0f ± %.0f %%", full.Theirs, full.SpreadTheirs/2),
			fmt.Sprintf("**%.2f**", full.Ratio),
			fmt.Sprintf("%.0f", r.rate), fmt.Sprintf("%.2f", steady.Ratio),
			fmt.Sprintf("%.2f : %.2f", p50.Ours, p50.Theirs),
			fmt.Sprintf("%.2f : %.2f", p99.Ours, p99.Theirs), survives,
		})
	}
	return bench.PrintTable(out, []string{
		"what", "peer", "edgeset, requests/CPU-s", "peer", "ratio", "at /s", "ratio", "p50, ms", "p99, ms", "survives",
	}, cells)
}

// printEnvironment prints what the figures depend on.
func (w *workshop) printEnvironment(ctx context.Context, out io.Writer) error {
	err := bench.PrintEnvironment(ctx, out, "github.com/tetratelabs/wazero", "github.com/valyala/fasthttp",
		"github.com/dgraph-io/badger/v4", "github.com/http-wasm/http-wasm-host-go", "github.com/extism/go-sdk")
	if err != nil {
		return err
	}
	for _, file := range [][]string{workerdFile, nodeFile} {
		binary, err := w.installed(file...)
		if err != nil {
			return err
		}
		version, err := bench.Output(ctx, binary, "--version")
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%-11s%s\n", file[0], strings.TrimPrefix(version, file[0]+" "))
	}
	text, err := os.ReadFile(w.peer("node", "node_modules", "fastify", "package.json"))
	if err != nil {
		return err
	}
	var fastify struct{ Version string }
	if err := json.Unmarshal(text, &fastify); err != nil {
		return err
	}
	fmt.Fprintf(out, "%-11s%s\n", "fastify", fastify.Version)
	return nil
}
