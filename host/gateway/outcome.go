package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/store"
)

// outcomeMethod stands in metrics and logs for the method of a call that tells a plugin
// what became of a dispatch.
const outcomeMethod = "OUTCOME"

// addOutcomes makes the route by which a plugin is told outcomes, if it wants to be.
func (s *site) addOutcomes(g *Gateway, p *deploy.Plugin) {
	if !p.Desc.Outcomes {
		return
	}
	if s.outcomes == nil {
		s.outcomes = map[string]*route{}
	}
	s.outcomes[p.Spec.Name] = &route{
		Route: &abi.Route{Method: outcomeMethod, Pattern: outcomePattern, Write: true}, plugin: p, family: noFamily,
		deadline: p.Deadline(&abi.Route{}), metrics: g.metrics.route(s.deployment.Spec.Name, p.Spec.Name, outcomeMethod, outcomePattern),
	}
}

const outcomePattern = "dispatch"

// Channels implements outbox.Deployments: how the current version delivers.
func (g *Gateway) Channels(deployment string) (ways outbox.Channels, limits outbox.Limits, done func(), served bool) {
	svc := g.enter(func(t *table) *service { return t.byName(deployment) })
	if svc == nil {
		return nil, limits, nil, false
	}
	d := svc.deployment
	return d.Channels, d.Spec.Delivery(), svc.site.leave, true
}

// errUntold is why a plugin has not been told an outcome: the answer says more.
var errUntold = errors.New("gateway: the plugin was not told")

// Tell implements outbox.Deployments: it has the plugin told by the current version.
func (g *Gateway) Tell(ctx context.Context, deployment, plugin string, o *abi.Outcome, settle func(store.Txn) error) error {
	svc := g.table.Load().byName(deployment)
	switch {
	case svc == nil:
		return fmt.Errorf("%w: deployment %q is not served", errUntold, deployment)
	case svc.outcomes[plugin] == nil:
		return store.Repeat(ctx, g.store, deployment, settle)
	}
	var err error
	c := newEventCtx(peer{})
	c.Request.Header.SetMethod(outcomeMethod)
	x := g.begin(c)
	x.life.base = ctx
	x.path = append([]byte(nil), o.Key...) // a turn is one of this outcome, and not of all
	g.guard(x, func() { err = x.tell(deployment, plugin, o, settle) })
	if status := c.Response.StatusCode(); err == nil && status >= 400 { // the plugin's answer, or a panic of ours
		err = fmt.Errorf("%w: %d: %.300q", errUntold, status, c.Response.Body())
	}
	return err
}

// tell tells an outcome to a plugin.
func (x *exchange) tell(deployment, plugin string, o *abi.Outcome, settle func(store.Txn) error) error {
	if !x.enter(func(t *table) *service { return t.byName(deployment) }) || x.site.outcomes[plugin] == nil {
		return fmt.Errorf("%w: something else serves by now", errUntold)
	}
	x.route = x.site.outcomes[plugin]
	x.life.deadline = x.start.Add(x.route.deadline)
	if wait := x.site.quota.wait(x.start); wait > 0 {
		x.fail(&quotaError{deployment, wait})
		return nil
	}
	defer x.release()
	q := &x.ask
	var body abi.Writer
	o.Append(&body)
	q.Kind, q.BodyKind, q.Body, q.Method = abi.CallOutcome, abi.BodyValue, body.Value(), outcomeMethod
	q.Time, q.ID, q.BaseURL = x.at.UnixMicro(), unsafeString(x.id), x.site.deployment.Spec.BaseURL
	if q.BaseURL != "" {
		q.BaseURL += x.route.plugin.Spec.Mount
	}
	x.writeFrame()
	x.settle = settle
	if err := x.commit(); err != nil {
		x.fail(err)
		return fmt.Errorf("%w: %w", errUntold, err)
	}
	if x.answer.BodyKind == abi.BodyError {
		x.render() // nothing was kept
	}
	return nil
}

var _ outbox.Deployments = (*Gateway)(nil)
