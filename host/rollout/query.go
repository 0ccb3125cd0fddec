package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/store"
)

// List tells what serves, by name, and the host's revision.
func (c *Controller) List() (list []Status, revision int64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for name, r := range c.running {
		if r.Current > 0 {
			list = append(list, c.status(name, r))
		}
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list, c.revision
}

// Status tells what serves of a deployment.
func (c *Controller) Status(name string) (Status, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	r := c.running[name]
	if r == nil {
		return Status{}, false
	}
	return c.status(name, r), true
}

func (c *Controller) status(name string, r *running) Status {
	s := Status{Name: name, Revision: r.Revision, Current: r.Current, Previous: r.Previous, Canary: r.Canary, Ended: r.Ended, Hosts: []string{}, Serving: []Serving{}}
	for _, v := range []*version{r.current, r.canary} {
		if v == nil {
			continue
		}
		stats, since := c.config.Gateway.Stats(v.deployment)
		s.Serving = append(s.Serving, Serving{Version: v.Number, Since: since.UTC().Truncate(time.Millisecond), VersionStats: stats})
	}
	if r.current != nil {
		s.Hosts = r.current.deployment.Spec.Hosts
		s.Migrations = c.pending(name)
	}
	return s
}

// Note adds a line to the audit log.
func (c *Controller) Note(e Entry) {
	if err := c.update(context.Background(), func(txn store.Txn) error { return putEntry(txn, &e) }); err != nil {
		c.config.Log.Error("the audit log cannot be written", "action", e.Action, "error", err)
	}
}

// SetSecret sets a secret of a plugin, which has it from the next deploy on, or the next
// start of the host.
func (c *Controller) SetSecret(ctx context.Context, deployment, plugin, name, value string, ch Change) error {
	turn, err := c.begin(ctx, deployment, ch.Expect)
	if err != nil {
		return err
	}
	defer turn.end()
	_, err = c.config.Vault.Set(ctx, deployment, plugin, name, value)
	c.noteSecret("secret set", deployment, plugin, name, ch, err)
	return err
}

// DeleteSecret removes a secret of a plugin, unless a version that serves names it: that
// could not be loaded again.
func (c *Controller) DeleteSecret(ctx context.Context, deployment, plugin, name string, ch Change) error {
	turn, err := c.begin(ctx, deployment, ch.Expect)
	if err != nil {
		return err
	}
	defer turn.end()
	found := true
	if v := c.running[deployment].naming(plugin + "/" + name); v != nil {
		err = fmt.Errorf("rollout: deployment %q: secret %q of plugin %q: %w: version %d serves and names it: want a version first that does not",
			deployment, name, plugin, ErrRefused, v.Number)
	} else {
		found, err = c.config.Vault.Delete(ctx, deployment, plugin, name)
	}
	if err == nil && !found {
		err = fmt.Errorf("rollout: deployment %q: secret %q of plugin %q: %w", deployment, name, plugin, ErrNotFound)
	}
	c.noteSecret("secret remove", deployment, plugin, name, ch, err)
	return err
}

// naming returns a version that serves and was given a secret; nil: there is none.
func (r *running) naming(secret string) *version {
	if r == nil {
		return nil
	}
	for _, v := range []*version{r.current, r.canary} {
		if v != nil && v.Secrets[secret] > 0 {
			return v
		}
	}
	return nil
}

func (c *Controller) noteSecret(action, deployment, plugin, name string, ch Change, err error) {
	e := (&change{Change: ch, action: action}).entry(deployment, 0)
	if e.Message = plugin + "/" + name; ch.Message != "" {
		e.Message += ": " + ch.Message
	}
	if err != nil {
		e.Error = err.Error()
	}
	c.Note(e)
}

// Secrets lists the secrets of a deployment, without their values.
func (c *Controller) Secrets(ctx context.Context, deployment string) ([]secret.Entry, error) {
	return c.config.Vault.List(ctx, deployment)
}

// unusedTime is how long a plugin is kept that no version has: it may just have been
// uploaded for one.
const unusedTime = time.Hour

// prune drops what no version needs any more.
func (c *Controller) prune(ctx context.Context) {
	// In its turn: a change may be about to make a version of what nobody has needed yet.
	turn, err := c.begin(ctx, "", 0)
	if err != nil {
		return
	}
	defer turn.end()
	used := map[artifact.Digest]bool{}
	err = c.config.Store.View(ctx, store.HostSpace, func(txn store.Txn) error {
		return scan(txn, versionPrefix, func(_ string, text []byte) error {
			var v Version
			if err := json.Unmarshal(text, &v); err != nil {
				return err
			}
			for _, p := range v.Plugins {
				used[artifact.Digest(p.Digest)] = true
			}
			return nil
		})
	})
	if err == nil {
		err = c.config.Library.Prune(used, unusedTime)
	}
	if err == nil {
		err = c.trimAudit(ctx)
	}
	if err != nil && ctx.Err() == nil {
		c.config.Log.Warn("what no version needs any more is still there", "error", err)
	}
}
