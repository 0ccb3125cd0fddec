package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/edgeset/edgeset/host/rollout"
)

// named parses the flags of a command on one deployment, behind whose name there may be
// the numbers of versions, at most so many.
func named(f flags, args []string, most int) (name string, versions []int, err error) {
	rest, err := f.parseAnywhere(args)
	if err != nil {
		return "", nil, err
	}
	command := strings.TrimPrefix(f.Name(), "edgeset ")
	if len(rest) == 0 {
		return "", nil, misused("%s: want the name of a deployment", command)
	}
	if len(rest) > 1+most {
		return "", nil, misused("%s: unexpected argument %q", command, rest[1+most])
	}
	for _, text := range rest[1:] {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return "", nil, misused("%s: %q: want the number of a version", command, text)
		}
		versions = append(versions, n)
	}
	return rest[0], versions, nil
}

const ofDeployment = "of the deployment"

func deployRollback(args []string) error {
	f := newFlags("deploy rollback NAME [N]", "have the version before serve again, or version N")
	c := newChangeFlags(f, ofDeployment)
	yes := f.Bool("yes", false, "do not ask before what cannot be undone")
	o := adminFlags(f)
	name, versions, err := named(f, args, 1)
	if err != nil {
		return err
	}
	if *c.insist && !*yes && !confirm("The version may not be able to read all of the data as they are now. Go on?") {
		return errUnconfirmed
	}
	body := struct {
		changeBody
		Version int `json:"version,omitempty"`
	}{changeBody: c.body()}
	if len(versions) > 0 {
		body.Version = versions[0]
	}
	return o.changeNamed(c, "POST", apiPath("deployments", name, "rollback"), body)
}

func deployPromote(args []string) error {
	f := newFlags("deploy promote NAME", "have a canary take over, or give it a larger share")
	to := f.String("to", "100%", "the share of the clients that it gets, such as 25%")
	c := newChangeFlags(f, ofDeployment)
	o := adminFlags(f)
	name, _, err := named(f, args, 0)
	if err != nil {
		return err
	}
	body := struct {
		changeBody
		Share float64 `json:"share"`
	}{changeBody: c.body()}
	if body.Share, err = parseShare(*to); err != nil {
		return misused("deploy promote: --to: %v", err)
	}
	return o.changeNamed(c, "POST", apiPath("deployments", name, "promote"), body)
}

func deployAbort(args []string) error {
	f := newFlags("deploy abort NAME", "take a canary back")
	c := newChangeFlags(f, ofDeployment)
	o := adminFlags(f)
	name, _, err := named(f, args, 0)
	if err != nil {
		return err
	}
	return o.changeNamed(c, "POST", apiPath("deployments", name, "abort"), c.body())
}

func deployRemove(args []string) error {
	f := newFlags("deploy remove NAME", "serve a deployment no more; its state stays")
	c := newChangeFlags(f, ofDeployment)
	yes := f.Bool("yes", false, "do not ask")
	o := adminFlags(f)
	name, _, err := named(f, args, 0)
	if err != nil {
		return err
	}
	if !*yes {
		if !isTerminal(os.Stdin) {
			return misused("deploy remove: want --yes, as there is nobody to ask")
		}
		if !confirm("Serve deployment " + printable(name) + " no more?") {
			return errUnconfirmed
		}
	}
	said := c.body()
	query := url.Values{"by": {said.By}, "message": {said.Message}, "insist": {strconv.FormatBool(said.Insist)}}
	return o.changeNamed(c, "DELETE", apiPath("deployments", name)+"?"+query.Encode(), nil)
}

func (o operator) changeNamed(c changeFlags, method, path string, body any) error {
	ctx, stop := interruptible()
	defer stop()
	p := newProgress(os.Stderr)
	defer p.end()
	return o.change(ctx, p, c, method, path, body)
}

var errUnconfirmed = errors.New("nothing was changed")

// confirm asks somebody at a terminal. If there is nobody, the flags have said it all.
func confirm(question string) bool {
	if !isTerminal(os.Stdin) {
		return true
	}
	fmt.Fprint(os.Stderr, question+" [y/N] ")
	line, err := bufio.NewReader(io.LimitReader(os.Stdin, 100)).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(line), "y")
}

// maxCell is how much of a text stands in a column of a table.
const maxCell = 60

// columns prints rows of text in columns, as a table if there is a head.
func columns(w io.Writer, head string, rows [][]string) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if head != "" {
		fmt.Fprintln(t, strings.ReplaceAll(head, " ", "\t"))
	}
	for _, row := range rows {
		for i, cell := range row {
			cell = printable(strings.Join(strings.Fields(cell), " "))
			if r := []rune(cell); head != "" && len(r) > maxCell {
				cell = string(r[:maxCell-1]) + "…"
			}
			row[i] = cmp.Or(cell, "-")
		}
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	return t.Flush()
}

// printResult prints what came out of a change.
func printResult(w io.Writer, r *rollout.Result) error {
	var rows [][]string
	for _, d := range r.Deployments {
		rows = append(rows, []string{d.Name, d.Action, number(d.Version), number(d.Before), d.Swap})
	}
	if err := columns(w, "DEPLOYMENT ACTION VERSION BEFORE SWAP", rows); err != nil {
		return err
	}
	for _, d := range r.Deployments {
		if d.Diff != "" {
			fmt.Fprint(w, "\n"+printableLines(d.Diff))
		}
	}
	return nil
}

// number is the number of a version; "" if there is none.
func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// printableLines is a text of lines without what would steer a terminal.
func printableLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(printable(strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}
