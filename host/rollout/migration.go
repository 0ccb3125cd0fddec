package rollout

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/migrate"
)

// A migration is what has to be done to the data of a plugin before it serves.
type migration struct {
	plugin *deploy.Plugin
	plan   *migrate.Plan
}

// planMigrations finds out what becomes of the data, and refuses what would lose them,
// or the way back.
func (c *Controller) planMigrations(ctx context.Context, list []*candidate, ch *change) error {
	for _, n := range list {
		if n.loaded == nil {
			continue
		}
		var now *deploy.Deployment
		if n.old != nil && n.old.current != nil {
			now = n.old.current.deployment
		}
		for _, p := range n.loaded.Plugins {
			plan, err := migrate.NewPlan(ctx, c.config.Store, n.spec.Name, p.Spec.Name, p.Desc.Schema, schemaOf(now, p.Spec.Name), ch.Insist)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRefused, err)
			}
			if ch.canary != nil && now != nil && !plan.Canary {
				return fmt.Errorf("%w: deployment %q: plugin %q cannot be tried beside the version that serves: each has to read what the other one writes", ErrRefused, n.spec.Name, p.Spec.Name)
			}
			n.migrate = append(n.migrate, migration{p, plan})
		}
	}
	return nil
}

// schemaOf returns the schema of a deployment's plugin; nil if there is none.
func schemaOf(d *deploy.Deployment, plugin string) *abi.Schema {
	if d == nil {
		return nil
	}
	i := slices.IndexFunc(d.Plugins, func(p *deploy.Plugin) bool { return p.Spec.Name == plugin })
	if i < 0 {
		return nil
	}
	return &d.Plugins[i].Desc.Schema
}

// migrateBefore migrates the data of what is about to serve, while the version before
// serves on.
func (c *Controller) migrateBefore(ctx context.Context, list []*candidate, ch *change) error {
	for _, n := range list {
		alone := n.alone(ch)
		for _, m := range n.migrate {
			if m.plan.Before && alone {
				job := c.job(n.spec.Name, m.plugin, migrate.Before)
				job.Progress = func(done uint64) {
					ch.Progress(Event{Stage: "migrate", Deployment: n.spec.Name, Plugin: m.plugin.Spec.Name, Done: int64(done)})
				}
				if err := migrate.Run(ctx, job); err != nil {
					return fmt.Errorf("rollout: %w", err)
				}
			}
		}
	}
	return nil
}

// noteWriters notes what will write the data from now on.
func (c *Controller) noteWriters(ctx context.Context, list []*candidate, ch *change) error {
	for _, n := range list {
		alone := n.alone(ch)
		for _, m := range n.migrate {
			if _, err := migrate.Serve(ctx, c.config.Store, n.spec.Name, m.plugin.Spec.Name, m.plugin.Desc.Schema, alone); err != nil {
				return err
			}
		}
	}
	return nil
}

// alone tells whether a candidate will serve without another version beside it.
func (n *candidate) alone(ch *change) bool {
	return ch.canary == nil || n.old == nil || n.old.current == nil
}

func (c *Controller) job(name string, p *deploy.Plugin, phase string) migrate.Job {
	return migrate.Job{Store: c.config.Store, Space: name, Plugin: p, Build: p.Digest, Phase: phase,
		Written: func(keys [][]byte) { c.config.Gateway.Written(name, keys) }}
}

// migrationRetry is how long a migration rests that has failed.
const migrationRetry = time.Minute

// migrateAfter migrates the rest of a deployment's data, in the background: nothing but
// its current version writes them any more.
func (c *Controller) migrateAfter(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.running[name]
	if r.current == nil || r.canary != nil || c.retiring[name] > 0 {
		return // if something else still writes, this is called again when it has ended
	}
	c.stopMigration(name)
	ctx, cancel := context.WithCancel(c.ctx)
	c.migrating[name] = cancel
	plugins := r.current.deployment.Plugins
	c.background.Go(func() {
		defer cancel()
		for {
			ended := true
			for _, p := range plugins {
				ended = c.finish(ctx, name, p) == nil && ended
			}
			if ended {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(migrationRetry):
			}
		}
	})
}

// stopMigration stops what migrateAfter has begun: something else is going to serve.
func (c *Controller) stopMigration(name string) {
	if cancel := c.migrating[name]; cancel != nil {
		cancel()
		delete(c.migrating, name)
	}
}

// finish migrates the rest of the data of a plugin, if there is any.
func (c *Controller) finish(ctx context.Context, name string, p *deploy.Plugin) error {
	due, err := migrate.Serve(ctx, c.config.Store, name, p.Spec.Name, p.Desc.Schema, true)
	if err == nil && due {
		log := c.config.Log.With("deployment", name, "plugin", p.Spec.Name, "schema", p.Desc.Schema.Version)
		log.Info("migrating data")
		if err = migrate.Run(ctx, c.job(name, p, migrate.After)); err == nil {
			log.Info("data migrated")
		}
	}
	if err != nil && ctx.Err() == nil {
		if errors.Is(err, migrate.ErrOvertaken) {
			return nil
		}
		c.config.Log.Error("data are not migrated yet", "deployment", name, "plugin", p.Spec.Name, "error", err, "again in", migrationRetry.String())
	}
	return err
}

// pending tells of the migrations of a deployment that have yet to be finished.
func (c *Controller) pending(name string) []migrate.Status {
	list, err := migrate.Pending(c.ctx, c.config.Store, name)
	if err != nil && c.ctx.Err() == nil {
		c.config.Log.Warn("migrations cannot be told", "error", err)
	}
	return list
}

// migrates tells whether data have to be migrated before the change.
func migrates(list []*candidate, ch *change) bool {
	return slices.ContainsFunc(list, func(n *candidate) bool {
		return n.alone(ch) && slices.ContainsFunc(n.migrate, func(m migration) bool { return m.plan.Before })
	})
}
