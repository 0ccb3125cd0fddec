package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/rollout"
)

// answerList is the answer to GET /v1/deployments.
type answerList struct {
	Deployments []rollout.Status `json:"deployments"`
	Revision    int64            `json:"revision"`
}

func deployList(args []string) error {
	f := newFlags("deploy list", "print what is deployed")
	asJSON := f.Bool("json", false, "print it as JSON")
	o := adminFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	var list answerList
	if err := o.get(context.Background(), &list, nil, "deployments"); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(list)
	}
	var rows [][]string
	for _, s := range list.Deployments {
		row := []string{s.Name, strings.Join(s.Hosts, ","), number(s.Current), canaryText(s.Canary), "", "", "", ""}
		if len(s.Serving) > 0 {
			now := s.Serving[0]
			copy(row[4:], []string{count(now.Requests), count(now.Errors), millis(now.P99, now.Requests), moment(now.Since)})
		}
		rows = append(rows, row)
	}
	return columns(os.Stdout, "NAME HOSTS VERSION CANARY REQUESTS ERRORS P99 SINCE", rows)
}

func canaryText(c *rollout.Canary) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("%d with %s", c.Version, percent(c.Share))
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'g', 4, 64) + "%" }
func count(n uint64) string        { return strconv.FormatUint(n, 10) }

// millis is the time of so many requests; "" if there were none.
func millis(ms float64, requests uint64) string {
	if requests == 0 {
		return ""
	}
	return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func deployShow(args []string) error {
	f := newFlags("deploy show NAME [N]", "print a deployment, or one of its versions")
	asTOML := f.Bool("toml", false, "print the manifest of the version; without a number: of the current one")
	asJSON := f.Bool("json", false, "print it as JSON")
	o := adminFlags(f)
	name, versions, err := named(f, args, 1)
	switch {
	case err != nil:
		return err
	case *asTOML && *asJSON:
		return misused("deploy show: want --toml or --json")
	case len(versions) > 0:
		return o.showVersion(name, versions[0], *asTOML, *asJSON)
	}
	var s rollout.Status
	if err := o.get(context.Background(), &s, nil, "deployments", name); err != nil {
		return err
	}
	switch {
	case *asTOML:
		return o.showVersion(name, s.Current, true, false)
	case *asJSON:
		return printJSON(s)
	}
	return printStatus(os.Stdout, &s)
}

// printStatus prints a deployment with what serves side by side.
func printStatus(w io.Writer, s *rollout.Status) error {
	rows := [][]string{
		{"name", s.Name},
		{"hosts", strings.Join(s.Hosts, " ")},
		{"revision", strconv.FormatInt(s.Revision, 10)},
		{"version", number(s.Current)},
	}
	if c := s.Canary; c != nil {
		rows = append(rows, []string{"canary", canaryText(c)})
		if len(c.Steps) > 0 {
			var steps []string
			for _, step := range c.Steps {
				steps = append(steps, percent(step))
			}
			rows = append(rows, []string{"steps", strings.Join(steps, " ") + ", each " + time.Duration(c.Every).String()})
		}
		if !c.Next.IsZero() {
			rows = append(rows, []string{"next step", moment(c.Next)})
		}
	}
	if s.Ended != "" {
		rows = append(rows, []string{"last canary", s.Ended})
	}
	for _, m := range s.Migrations {
		rows = append(rows, []string{"migration", fmt.Sprintf("%s from %d to %d: %s, %d entries", m.Plugin, m.From, m.To, m.Phase, m.Done)})
	}
	if err := columns(w, "", rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printServing(w, s)
}

// printServing prints how the versions that serve do, side by side.
func printServing(w io.Writer, s *rollout.Status) error {
	if len(s.Serving) == 0 {
		fmt.Fprintln(w, "No version serves.")
		return nil
	}
	rows := [][]string{{"serving"}, {"share"}, {"requests"}, {"errors"}, {"traps"}, {"p50"}, {"p99"}, {"since"}}
	for _, v := range s.Serving {
		share := 1.0
		if s.Canary != nil {
			if share = s.Canary.Share; v.Version != s.Canary.Version {
				share = 1 - share
			}
		}
		errors := count(v.Errors)
		if v.Requests > 0 {
			errors += " (" + percent(float64(v.Errors)/float64(v.Requests)) + ")"
		}
		for i, cell := range []string{"version " + strconv.Itoa(v.Version), percent(share), count(v.Requests), errors,
			count(v.Traps), millis(v.P50, v.Requests), millis(v.P99, v.Requests), moment(v.Since)} {
			rows[i] = append(rows[i], cell)
		}
	}
	return columns(w, "", rows)
}

func (o operator) showVersion(name string, n int, asTOML, asJSON bool) error {
	path := []string{"deployments", name, "versions", strconv.Itoa(n)}
	if asTOML {
		text, err := o.do(context.Background(), call{method: "GET", path: apiPath(path...), query: url.Values{"format": {"toml"}}})
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	var v rollout.Version
	if err := o.get(context.Background(), &v, nil, path...); err != nil {
		return err
	}
	if asJSON {
		return printJSON(v)
	}
	return printVersion(os.Stdout, &v)
}

func printVersion(w io.Writer, v *rollout.Version) error {
	rows := [][]string{
		{"deployment", v.Deployment},
		{"version", number(v.Number)},
		{"origin", v.Origin},
		{"by", v.By},
		{"at", moment(v.At)},
		{"message", v.Message},
	}
	for _, name := range slices.Sorted(maps.Keys(v.Secrets)) {
		rows = append(rows, []string{"secret", fmt.Sprintf("%s, revision %d", name, v.Secrets[name])})
	}
	if err := columns(w, "", rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	rows = nil
	for _, p := range v.Plugins {
		rows = append(rows, []string{p.Name, p.Version, number(p.Schema), strconv.FormatInt(p.Size, 10), shortDigest(p.Digest), p.Signer, p.Source})
	}
	if err := columns(w, "PLUGIN VERSION SCHEMA SIZE DIGEST SIGNER SOURCE", rows); err != nil {
		return err
	}
	fmt.Fprint(w, "\n"+printableLines(v.Manifest))
	return nil
}

// shortDigest is as much of a digest as tells it from others.
func shortDigest(d string) string { return d[:min(len(d), len("sha256:")+12)] }

func deployVersions(args []string) error {
	f := newFlags("deploy versions NAME", "print the versions of a deployment, the newest first")
	asJSON := f.Bool("json", false, "print them as JSON")
	o := adminFlags(f)
	name, _, err := named(f, args, 0)
	if err != nil {
		return err
	}
	var s rollout.Status
	if err := o.get(context.Background(), &s, nil, "deployments", name); err != nil {
		return err
	}
	var list []rollout.Version
	if err := o.get(context.Background(), &list, nil, "deployments", name, "versions"); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(list)
	}
	var rows [][]string
	for _, v := range list {
		state := ""
		switch {
		case v.Number == s.Current:
			state = "current"
		case s.Canary != nil && v.Number == s.Canary.Version:
			state = "canary " + percent(s.Canary.Share)
		}
		rows = append(rows, []string{strconv.Itoa(v.Number), state, moment(v.At), v.Origin, v.By, v.Message})
	}
	return columns(os.Stdout, "VERSION STATE AT ORIGIN BY MESSAGE", rows)
}

func deployDiff(args []string) error {
	f := newFlags("deploy diff NAME [N [M]]", "print what changed in the last version, since version N, or from N to M")
	o := adminFlags(f)
	name, versions, err := named(f, args, 2)
	if err != nil {
		return err
	}
	query := url.Values{}
	switch len(versions) {
	case 0:
		var s rollout.Status
		if err := o.get(context.Background(), &s, nil, "deployments", name); err != nil {
			return err
		}
		if s.Previous == 0 {
			return fmt.Errorf("deployment %q has no version before the one that serves; want the numbers of two", name)
		}
		versions = []int{s.Previous}
	case 2:
		query.Set("with", strconv.Itoa(versions[1]))
	}
	path := apiPath("deployments", name, "versions", strconv.Itoa(versions[0]), "diff")
	text, err := o.do(context.Background(), call{method: "GET", path: path, query: query})
	if err == nil {
		fmt.Print(printableLines(string(text)))
	}
	return err
}
