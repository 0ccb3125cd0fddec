package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/admin"
)

const outboxUsage = `edgeset outbox shows what plugins have dispatched, mails and calls of webhooks, and what has become of it.

  edgeset outbox list        print how much is on its way, and the entries, the newest first
  edgeset outbox show ID     print an entry with its message
  edgeset outbox retry ID... have what has failed delivered again; with --all, whatever has failed
  edgeset outbox discard ID... end entries that are queued or have failed; the plugin is told that they have failed

"edgeset outbox COMMAND --help" tells the flags of a command.
`

func outboxCommand(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, outboxUsage)
		return errUsage
	}
	switch rest := args[1:]; args[0] {
	case "list":
		return outboxList(rest)
	case "show":
		return outboxShow(rest)
	case "retry":
		return outboxRetry(rest)
	case "discard":
		return outboxDiscard(rest)
	case "help", "-h", "--help":
		fmt.Print(outboxUsage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset outbox: there is no command %q\n\n%s", args[0], outboxUsage)
	return errUsage
}

// whichFlags are the flags that say which entries are meant.
type whichFlags struct{ via, to *string }

func newWhichFlags(f flags) whichFlags {
	return whichFlags{
		via: f.String("via", "", "only what goes in this way: mail, webhook:NAME"),
		to:  f.String("to", "", "only what goes to this recipient"),
	}
}

func (w whichFlags) query() url.Values {
	q := url.Values{}
	setUnlessEmpty(q, "via", *w.via)
	setUnlessEmpty(q, "to", *w.to)
	return q
}

func setUnlessEmpty(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func outboxList(args []string) error {
	f := newFlags("outbox list", "print how much is on its way, and the entries, the newest first")
	state := f.String("state", "", "only what is queued, sent or failed")
	which := newWhichFlags(f)
	after := f.String("after", "", "go on with the page that was announced by this word")
	limit := f.Int("limit", 50, "how many entries at most, up to 500")
	asJSON := f.Bool("json", false, "print them as JSON")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	query := which.query()
	setUnlessEmpty(query, "state", *state)
	setUnlessEmpty(query, "after", *after)
	query.Set("limit", strconv.Itoa(*limit))
	var page admin.OutboxPage
	if err := o.get(context.Background(), &page, query, "deployments", *o.deployment, "outbox"); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(page)
	}
	if page.Next != "" {
		defer fmt.Fprintf(os.Stderr, "older ones: --after %s\n", printable(page.Next))
	}
	return printOutbox(os.Stdout, &page)
}

// printOutbox prints what is counted of each way, and below it the entries.
func printOutbox(w io.Writer, page *admin.OutboxPage) error {
	var rows [][]string
	for _, way := range page.Ways {
		rows = append(rows, []string{way.Via, strconv.Itoa(way.Queued), moment(way.Oldest), count(way.Attempts), count(way.Retried), count(way.Sent), count(way.Failed)})
	}
	if len(rows) > 0 {
		if err := columns(w, "VIA QUEUED OLDEST ATTEMPTS RETRIES SENT FAILED", rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	rows = nil
	for _, e := range page.Entries {
		rows = append(rows, []string{e.ID, moment(e.Created), string(e.State), e.Via, e.To, strconv.Itoa(e.Attempts), moment(e.Due), e.Reason})
	}
	return columns(w, "ID AT STATE VIA TO ATTEMPTS NEXT REASON", rows)
}

func outboxShow(args []string) error {
	f := newFlags("outbox show ID", "print an entry of the outbox with its message")
	asJSON := f.Bool("json", false, "print it as JSON")
	o := operatorFlags(f)
	ids, err := f.parseAnywhere(args)
	if err == nil {
		err = checkIDs("show", ids)
	}
	switch {
	case err != nil:
		return err
	case len(ids) != 1:
		return misused("outbox show: want the id of one entry, but there are %d", len(ids))
	}
	var e admin.OutboxEntry
	if err := o.get(context.Background(), &e, nil, "deployments", *o.deployment, "outbox", ids[0]); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(e)
	}
	return printEntry(os.Stdout, &e)
}

func printEntry(w io.Writer, e *admin.OutboxEntry) error {
	rows := [][]string{
		{"id", e.ID},
		{"plugin", e.Plugin},
		{"key", e.Key},
		{"via", e.Via},
		{"to", e.To},
		{"state", string(e.State)},
		{"attempts", strconv.Itoa(e.Attempts)},
		{"reason", e.Reason},
		{"dispatched", moment(e.Created)},
		{"next attempt", moment(e.Due)},
		{"given up", moment(e.Until)},
		{"ended", moment(e.Ended)},
	}
	if !e.Ended.IsZero() {
		rows = append(rows, []string{"plugin told", map[bool]string{true: "yes", false: "not yet"}[e.Told]})
	}
	if e.Subject != "" {
		rows = append(rows, []string{"subject", e.Subject})
	}
	m := e.Message
	if m == nil {
		return columns(w, "", rows)
	}
	for _, row := range [][]string{{"sender", m.Sender}, {"locale", m.Locale}} {
		if row[1] != "" {
			rows = append(rows, row)
		}
	}
	if err := columns(w, "", rows); err != nil {
		return err
	}
	for _, part := range []string{m.Text, m.HTML, string(m.Body)} {
		if part != "" {
			fmt.Fprint(w, "\n"+printableLines(part))
		}
	}
	return nil
}

// retryTime is how long it may take to have all delivered again that has failed.
const retryTime = 10 * time.Minute

func outboxRetry(args []string) error {
	f := newFlags("outbox retry ID...", "have what has failed delivered again, as if it were new")
	all := f.Bool("all", false, "all that has failed, or what of it goes by --via and to --to")
	which := newWhichFlags(f)
	c := newOutboxChange(f)
	ids, err := f.parseAnywhere(args)
	query := which.query()
	switch {
	case err != nil:
		return err
	case *all && len(ids) > 0:
		return misused("outbox retry: --all: want no ids with it, but there is %q", ids[0])
	case !*all && len(query) > 0:
		return misused("outbox retry: --via and --to: want --all with them")
	case !*all:
		return c.each(ids, "retry", func(id string) call {
			return call{method: "POST", path: apiPath("deployments", *c.deployment, "outbox", id, "retry")}
		})
	}
	ctx, stop := interruptible()
	defer stop()
	text, err := c.do(ctx, call{method: "POST", path: apiPath("deployments", *c.deployment, "outbox", "retry"), query: c.said(query), timeout: retryTime})
	if err != nil {
		return err
	}
	var answer struct {
		Retried int `json:"retried"`
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return fmt.Errorf("the admin API: an answer that is none: %w", err)
	}
	fmt.Println(answer.Retried, "queued again")
	return nil
}

func outboxDiscard(args []string) error {
	f := newFlags("outbox discard ID...", "end entries that are queued or have failed; the plugin is told that they have failed")
	c := newOutboxChange(f)
	ids, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	return c.each(ids, "discard", func(id string) call {
		return call{method: "DELETE", path: apiPath("deployments", *c.deployment, "outbox", id)}
	})
}

// An outboxChange has the flags of the commands that change something of the outbox.
type outboxChange struct {
	operator
	message *string
}

func newOutboxChange(f flags) outboxChange {
	c := outboxChange{message: f.String("message", "", "why, for the record")}
	f.StringVar(c.message, "m", "", "the same as --message")
	c.operator = operatorFlags(f)
	return c
}

// said is a query with who wants the change, and why.
func (c outboxChange) said(query url.Values) url.Values {
	query.Set("by", who())
	query.Set("message", *c.message)
	return query
}

// each makes a change of one entry after the other, until one cannot be made.
func (c outboxChange) each(ids []string, command string, change func(id string) call) error {
	if err := checkIDs(command, ids); err != nil {
		return err
	}
	for _, id := range ids {
		request := change(id)
		request.query = c.said(url.Values{})
		if _, err := c.do(context.Background(), request); err != nil {
			return fmt.Errorf("entry %s: %w", id, err)
		}
	}
	return nil
}

// checkIDs refuses what cannot be the id of an entry: as part of a path, ".." would lead
// elsewhere.
func checkIDs(command string, ids []string) error {
	if len(ids) == 0 {
		return misused("outbox %s: want the id of an entry: \"edgeset outbox list\" prints it", command)
	}
	for _, id := range ids {
		if id == "" || strings.ContainsFunc(id, func(c rune) bool {
			return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
		}) {
			return misused("outbox %s: %q: want the id of an entry, of letters and digits", command, id)
		}
	}
	return nil
}
