package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/rollout"
)

const deployUsage = `edgeset deploy changes what a host serves while it serves.

  edgeset deploy FILE              have the deployments of a manifest served; what it does not name stays as it is
  edgeset deploy list              print what is deployed
  edgeset deploy show NAME [N]     print a deployment, or one of its versions
  edgeset deploy versions NAME     print the versions of a deployment
  edgeset deploy diff NAME [N [M]] print what changed in the last version, since version N, or from N to M
  edgeset deploy rollback NAME [N] have the version before serve again, or version N
  edgeset deploy promote NAME      have a canary take over, or, with --to 25%, give it a larger share
  edgeset deploy abort NAME        take a canary back
  edgeset deploy watch NAME        show a canary beside the version that serves until it has ended
  edgeset deploy remove NAME       serve a deployment no more; its state stays

A file with the name of a command is written as ./list.
"edgeset deploy COMMAND --help" tells the flags of a command, "edgeset deploy FILE --help" those of a deploy.
`

func deployCommand(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, deployUsage)
		return errUsage
	}
	switch rest := args[1:]; args[0] {
	case "list":
		return deployList(rest)
	case "show":
		return deployShow(rest)
	case "versions":
		return deployVersions(rest)
	case "diff":
		return deployDiff(rest)
	case "rollback":
		return deployRollback(rest)
	case "promote":
		return deployPromote(rest)
	case "abort":
		return deployAbort(rest)
	case "watch":
		return deployWatch(rest)
	case "remove":
		return deployRemove(rest)
	case "help", "-h", "--help":
		fmt.Print(deployUsage)
		return nil
	}
	return deployFile(args)
}

// changeFlags are the flags of the commands that change something.
type changeFlags struct {
	message *string
	insist  *bool
	ifMatch *int64
	json    *bool
}

func newChangeFlags(f flags, of string) changeFlags {
	c := changeFlags{
		message: f.String("message", "", "why, for the record"),
		insist:  f.Bool("insist", false, "also if it cannot be undone"),
		ifMatch: f.Int64("if-match", 0, "only if this is the revision "+of+" that is current; 0: whichever is"),
		json:    f.Bool("json", false, "print the result as JSON"),
	}
	f.StringVar(c.message, "m", "", "the same as --message")
	return c
}

// header is what goes along with a change.
func (c changeFlags) header() map[string]string {
	h := map[string]string{"Content-Type": "application/json", "Accept": "application/x-ndjson"}
	if *c.ifMatch != 0 {
		h["If-Match"] = strconv.Quote(strconv.FormatInt(*c.ifMatch, 10))
	}
	return h
}

// changeBody is what the body of a change says of it.
type changeBody struct {
	By      string `json:"by,omitempty"`
	Message string `json:"message,omitempty"`
	Insist  bool   `json:"insist,omitempty"`
}

func (c changeFlags) body() changeBody { return changeBody{who(), *c.message, *c.insist} }

// deployBody is the body of a deploy.
type deployBody struct {
	changeBody
	Manifest string                    `json:"manifest"`
	File     string                    `json:"file"`
	Uploads  map[string]rollout.Upload `json:"uploads,omitempty"`
	Check    bool                      `json:"check,omitempty"`
	Canary   *canaryBody               `json:"canary,omitempty"`
}

type canaryBody struct {
	Share float64          `json:"share"`
	Steps []float64        `json:"steps,omitempty"`
	Every rollout.Duration `json:"every,omitzero"`
}

func deployFile(args []string) error {
	f := newFlags("deploy FILE", "have the deployments of a manifest served")
	check := f.Bool("check", false, "do everything but serve it: load and describe the plugins, compare the routes")
	offline := f.Bool("offline", false, "with --check: ask nothing of a host")
	cache := f.String("cache", "", "with --offline: folder of compiled plugins; none: \"cache\" in the folder of the state")
	canary := f.String("canary", "", "give the new versions a share of the clients at first, such as 5%")
	steps := f.String("steps", "", "shares that a canary then goes through by itself if it does well, such as 25%,50%,100%")
	every := f.Duration("every", 0, "time of a step, such as 10m")
	c := newChangeFlags(f, "of all deployments")
	yes := f.Bool("yes", false, "do not ask before what cannot be undone")
	o := adminFlags(f)
	files, err := f.parseAnywhere(args)
	switch {
	case err != nil:
		return err
	case len(files) != 1:
		return misused("deploy: want one manifest, but there are %d: %q", len(files), files)
	case *offline && !*check:
		return misused("deploy: --offline: want --check with it, as nothing can be served without a host")
	case *check && *canary != "":
		return misused("deploy: --canary: a check has nothing to do with it")
	}
	body := deployBody{changeBody: c.body(), File: files[0], Check: *check}
	if body.Canary, err = parseCanary(*canary, *steps, *every); err != nil {
		return misused("deploy: %v", err)
	}
	text, manifest, err := readManifest(files[0])
	if err != nil {
		return err
	}
	body.Manifest = text
	ctx, stop := interruptible()
	defer stop()
	dir := filepath.Dir(files[0])
	if *offline {
		return checkOffline(ctx, o, manifest, dir, *cache, *c.json)
	}
	if *c.insist && !*yes && !confirm("Data may be changed so that the versions from before cannot read it. Go on?") {
		return errUnconfirmed
	}
	p := newProgress(os.Stderr)
	defer p.end()
	if body.Uploads, err = o.upload(ctx, manifest, dir, p); err != nil {
		return err
	}
	return o.change(ctx, p, c, "POST", apiPath("deploy"), body)
}

// maxManifest is far more than a manifest may have.
const maxManifest = 2 << 20

// readManifest reads and checks a manifest.
func readManifest(file string) (text string, m *deploy.Manifest, err error) {
	b, err := readBounded(file, maxManifest)
	if err != nil {
		return "", nil, err
	}
	m, err = deploy.ParseManifest(file, string(b))
	return string(b), m, err
}

// parseCanary reads the flags of a canary; nil if there is to be none.
func parseCanary(share, steps string, every time.Duration) (*canaryBody, error) {
	if share == "" {
		if steps != "" || every != 0 {
			return nil, errors.New("--steps and --every: want --canary with them, the share at first")
		}
		return nil, nil
	}
	var c canaryBody
	var err error
	if c.Share, err = parseShare(share); err != nil {
		return nil, fmt.Errorf("--canary: %w", err)
	}
	if c.Share == 1 {
		return nil, fmt.Errorf("--canary: %q: want less than 100%%, which is no canary", share)
	}
	if (steps != "") != (every > 0) || every < 0 {
		return nil, errors.New("--steps and --every: want both, such as --steps 25%,50%,100% --every 10m")
	}
	before := c.Share
	for s := range strings.SplitSeq(steps, ",") {
		if steps == "" {
			break
		}
		share, err := parseShare(strings.TrimSpace(s))
		if err != nil {
			return nil, fmt.Errorf("--steps: %w", err)
		}
		if share <= before {
			return nil, fmt.Errorf("--steps: %q: want each to be more than the one before", s)
		}
		before = share
		c.Steps = append(c.Steps, share)
	}
	if steps != "" && before != 1 {
		c.Steps = append(c.Steps, 1) // the last step is that it takes over
	}
	c.Every = rollout.Duration(every)
	return &c, nil
}

// parseShare reads a share of the clients: "5%", or "0.05".
func parseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v > 0 && v <= 1) {
		return 0, fmt.Errorf("%q: want a share such as 5%%, of at most 100%%", s)
	}
	return v, nil
}

// change asks the host for a change, shows how far it has come, and prints what came
// out of it.
func (o operator) change(ctx context.Context, p *progress, c changeFlags, method, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var result *rollout.Result
	resp, err := o.open(ctx, call{method: method, path: path, header: c.header(), body: bytes.NewReader(text), size: int64(len(text))})
	if err == nil {
		defer resp.Body.Close()
		result, err = p.follow(resp.Body)
		p.end()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return errors.New("interrupted: the host gives the change up, unless it serves already: see edgeset deploy list")
	case err != nil:
		return err
	case *c.json:
		return printJSON(result)
	}
	return printResult(os.Stdout, result)
}
