package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"

	"github.com/edgeset/edgeset/host/rollout"
)

func audit(args []string) error {
	f := newFlags("audit", "print who changed what, the newest first")
	limit := f.Int("limit", 50, "how many entries at most, up to 1000")
	before := f.String("before", "", "go on behind the entry with this id")
	asJSON := f.Bool("json", false, "print them as JSON")
	o := adminFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	var page struct {
		Entries []rollout.Entry `json:"entries"`
		Next    string          `json:"next,omitempty"`
	}
	query := url.Values{"limit": {strconv.Itoa(*limit)}}
	if *before != "" {
		query.Set("before", *before)
	}
	if err := o.get(context.Background(), &page, query, "audit"); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(page)
	}
	var rows [][]string
	for _, e := range page.Entries {
		outcome := "done"
		if e.Error != "" {
			outcome = "failed: " + e.Error
		}
		rows = append(rows, []string{moment(e.At), e.By, e.Remote, e.Action, e.Deployment, number(e.Version), outcome, e.Message})
	}
	if page.Next != "" {
		defer fmt.Fprintf(os.Stderr, "older ones: --before %s\n", page.Next)
	}
	return columns(os.Stdout, "AT BY FROM ACTION DEPLOYMENT VERSION OUTCOME MESSAGE", rows)
}
