package rollout

import (
	"context"
	"fmt"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/gateway"
)

// checkCanary checks what is asked for.
func checkCanary(n *Canary) error {
	if n == nil {
		return nil
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("rollout: canary: %w: "+format, append([]any{ErrRefused}, args...)...)
	}
	if !(n.Share > 0 && n.Share < 1) {
		return refuse("a share of %v: want more than 0 and less than 1", n.Share)
	}
	last := n.Share
	for _, s := range n.Steps {
		if !(s > last && s <= 1) {
			return refuse("a step to %v behind %v: want steps that rise, up to 1", s, last)
		}
		last = s
	}
	switch {
	case len(n.Steps) > 0 && last != 1:
		return refuse("the last step is to %v: want 1", last)
	case len(n.Steps) > 100:
		return refuse("%d steps: want 100 at most", len(n.Steps))
	case len(n.Steps) > 0 && time.Duration(n.Every) < time.Second:
		return refuse("steps every %v: want a second at least", time.Duration(n.Every))
	}
	return nil
}

// Promote gives a canary another share of the traffic; 1 makes it the current version.
func (c *Controller) Promote(ctx context.Context, name string, share float64, ch Change) (*Result, error) {
	if !(share > 0 && share <= 1) {
		return nil, fmt.Errorf("rollout: canary: %w: a share of %v: want more than 0, up to 1", ErrRefused, share)
	}
	return c.settle(ctx, name, ch, "promote", func(r *running) Outcome { return r.shift(share) })
}

// Abort takes a canary back.
func (c *Controller) Abort(ctx context.Context, name string, ch Change) (*Result, error) {
	return c.settle(ctx, name, ch, "abort", func(r *running) Outcome {
		why := "by an operator"
		if ch.Message != "" {
			why = ch.Message
		}
		return r.takeBack(why)
	})
}

// settle changes what becomes of a canary, in its turn.
func (c *Controller) settle(ctx context.Context, name string, ch Change, action string, edit func(*running) Outcome) (*Result, error) {
	turn, err := c.begin(ctx, name, ch.Expect)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	old := c.running[name]
	switch {
	case old == nil:
		return nil, fmt.Errorf("rollout: deployment %q: %w", name, ErrNotFound)
	case old.canary == nil:
		return nil, fmt.Errorf("rollout: deployment %q: canary: %w", name, ErrNotFound)
	}
	r := *old
	tried := *old.Canary
	r.Canary = &tried
	outcome := edit(&r)
	r.Revision = c.revision + 1
	// Its hosts may be those of another canary's current version.
	if err := gateway.Check(c.list(map[string]*running{name: &r}), c.config.Log); err != nil {
		return nil, &InvalidError{err}
	}
	ctx = context.WithoutCancel(ctx)
	entry := (&change{Change: ch, action: action}).entry(name, old.Canary.Version)
	w := &writing{revision: r.Revision, records: map[string]*record{name: &r.record}, audit: []Entry{entry}}
	if err := c.write(ctx, w); err != nil {
		return nil, fmt.Errorf("rollout: record the change: %w", err)
	}
	took, err := c.install(map[string]*running{name: &r}, w.revision)
	if err != nil {
		return nil, fmt.Errorf("rollout: swap: %w", err)
	}
	outcome.Name, outcome.Before, outcome.Swap = name, old.Current, took.String()
	c.config.Log.Info("canary", "deployment", name, "version", old.Canary.Version, "is", outcome.Action, "share", r.share(), "ended", r.Ended, "by", ch.By)
	return &Result{Deployments: []Outcome{outcome}, Revision: w.revision}, nil
}

func (r *record) share() float64 {
	if r.Canary == nil {
		return 0
	}
	return r.Canary.Share
}

// shift gives the canary another share.
func (r *running) shift(share float64) Outcome {
	if share < 1 {
		r.Canary.Share, r.Canary.Steps = share, nil // an operator has taken over
		return Outcome{Version: r.Canary.Version, Action: "shifted"}
	}
	r.Previous, r.Current, r.current = r.Current, r.Canary.Version, r.canary
	r.Since = time.Now().UTC().Truncate(time.Millisecond)
	r.Canary, r.canary, r.Ended = nil, nil, fmt.Sprintf("version %d was promoted", r.Current)
	return Outcome{Version: r.Current, Action: "promoted"}
}

// takeBack ends the canary.
func (r *running) takeBack(why string) Outcome {
	r.Ended = fmt.Sprintf("version %d was taken back: %s", r.Canary.Version, why)
	r.Canary, r.canary = nil, nil
	return Outcome{Version: r.Current, Action: "taken back"}
}

// judgeEvery is how often canaries are looked at.
const judgeEvery = 500 * time.Millisecond

// watch judges canaries, takes their steps, and tidies up, until the controller is closed.
func (c *Controller) watch() {
	judging, tidying := time.NewTicker(judgeEvery), time.NewTicker(unusedTime)
	defer judging.Stop()
	defer tidying.Stop()
	for c.prune(c.ctx); ; {
		select {
		case <-c.ctx.Done():
			return
		case <-tidying.C:
			c.prune(c.ctx)
		case <-judging.C:
			for _, s := range c.canaries() {
				c.look(s)
			}
		}
	}
}

// tried is a canary as it stands.
type tried struct {
	name string
	rule deploy.CanaryRule
	Canary
}

func (c *Controller) canaries() (list []tried) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for name, r := range c.running {
		if r.Canary != nil {
			list = append(list, tried{name, r.canary.deployment.Spec.Canary, *r.Canary})
		}
	}
	return list
}

// look takes a canary back that does not do well, or takes its next step.
func (c *Controller) look(t tried) {
	current, canary, ok := c.config.Gateway.Compare(t.name)
	if !ok {
		return
	}
	// Whoever has changed it meanwhile knows better: these fail then.
	unchanged := func(r *running) bool {
		return r.Canary != nil && r.Canary.Version == t.Version && r.Canary.Share == t.Share
	}
	host := Change{By: "host"}
	if why := judge(t.rule, current, canary); why != "" {
		host.Message = why
		c.automatic(t, "abort", unchanged, host, func(r *running) Outcome { return r.takeBack(why) })
		return
	}
	if len(t.Steps) == 0 || time.Now().Before(t.Next) || canary.Requests < uint64(t.rule.MinRequests) {
		return
	}
	c.automatic(t, "promote", unchanged, host, func(r *running) Outcome {
		steps := t.Steps[1:]
		out := r.shift(t.Steps[0])
		if r.Canary != nil {
			r.Canary.Steps, r.Canary.Next = steps, time.Now().UTC().Add(time.Duration(t.Every)).Truncate(time.Millisecond)
		}
		return out
	})
}

// automatic is settle by the host itself, if nothing has changed.
func (c *Controller) automatic(t tried, action string, unchanged func(*running) bool, ch Change, edit func(*running) Outcome) {
	c.mu.RLock()
	r := c.running[t.name]
	same := r != nil && unchanged(r)
	if same {
		ch.Expect = r.Revision
	}
	c.mu.RUnlock()
	if !same {
		return
	}
	if _, err := c.settle(c.ctx, t.name, ch, action, edit); err != nil && c.ctx.Err() == nil {
		c.config.Log.Warn("a canary was left as it is", "deployment", t.name, "version", t.Version, "action", action, "error", err)
	}
}

// Of a canary that fails most of the time, early requests are enough.
const (
	earlyErrors = 10
	earlyShare  = 0.5
)

// quantile is how many times min_requests it takes to judge a p99: that of a hundred
// requests is the one that met the garbage collector.
const quantile = 10

// slack is by how much p99 may be larger in any case, in milliseconds: the quantile of a
// few requests that take no time at all moves by as much.
const slack = 5

// judge says why a canary has to be taken back; "": it need not be.
func judge(rule deploy.CanaryRule, current, canary gateway.VersionStats) string {
	rate := func(s gateway.VersionStats) float64 { return float64(s.Errors) / float64(max(s.Requests, 1)) }
	bad, usual := rate(canary), rate(current)
	early := canary.Errors >= earlyErrors && bad-usual > earlyShare
	enough, many := canary.Requests >= uint64(rule.MinRequests), uint64(rule.MinRequests)*quantile
	switch {
	case (enough || early) && bad-usual > rule.MaxErrors:
		return fmt.Sprintf("%.2f %% of its %d requests failed (%d trapped), and %.2f %% of those of the current version; max_errors allows %.2f %% more",
			bad*100, canary.Requests, canary.Traps, usual*100, rule.MaxErrors*100)
	case canary.Requests >= many && current.Requests >= many && canary.P99 > rule.MaxP99*current.P99+slack:
		return fmt.Sprintf("its p99 is %.1f ms, that of the current version %.1f ms; max_p99 allows %g times as much and %d ms",
			canary.P99, current.P99, rule.MaxP99, slack)
	}
	return ""
}
