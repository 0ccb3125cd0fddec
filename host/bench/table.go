package bench

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// PrintTable prints a Markdown table whose columns are aligned.
func PrintTable(out io.Writer, head []string, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	line := func(cells []string) { fmt.Fprintln(w, "| "+strings.Join(cells, "\t| ")+"\t|") }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, cells := range rows {
		line(cells)
	}
	return w.Flush()
}

// PrintRows prints rows as a table, in the order of their names. Each figure has
// beside it how far the middle half of its rounds lies from it.
func PrintRows(out io.Writer, rows []Row) error {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{
			r.Name, r.Peer, figure(r.Ours, r.SpreadOurs), figure(r.Theirs, r.SpreadTheirs), r.Unit, number(r.Ratio),
		})
	}
	return PrintTable(out, []string{"what", "peer", "ours", "theirs", "unit", "ratio"}, cells)
}

func figure(median, spread float64) string {
	if spread == 0 {
		return number(median)
	}
	return fmt.Sprintf("%s ± %.0f %%", number(median), spread/2)
}

// number leaves three digits, which is as much as a comparison says.
func number(x float64) string {
	digits := 2
	for limit := 10.0; digits > 0 && x >= limit; limit *= 10 {
		digits--
	}
	if x != 0 && x < 1 {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	return strconv.FormatFloat(x, 'f', digits, 64)
}
