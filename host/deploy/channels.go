package deploy

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/mail"
	"github.com/edgeset/edgeset/host/outbox/webhook"
	"github.com/edgeset/edgeset/host/secret"
)

// Delivery bounds what it delivers.
func (s *Spec) Delivery() outbox.Limits {
	o := s.Outbox
	return outbox.Limits{Rate: o.Rate, PerRecipient: o.PerRecipient, Queue: o.Queue, GiveUp: time.Duration(o.GiveUp)}
}

// Secrets are the names of the secrets that it is given, by whose they are: those of its
// outbox, as secret.Outbox, and those of its plugins. Who has none is left out.
func (s *Spec) Secrets() iter.Seq2[string, []string] {
	return func(yield func(string, []string) bool) {
		if names := s.outboxSecrets(); len(names) > 0 && !yield(secret.Outbox, names) {
			return
		}
		for _, p := range s.Plugins {
			if len(p.Secrets) > 0 && !yield(p.Name, p.Secrets) {
				return
			}
		}
	}
}

// outboxSecrets are the names of the secrets of its channels, each of them once.
func (s *Spec) outboxSecrets() (names []string) {
	if s.Mail.Password != "" {
		names = append(names, s.Mail.Password)
	}
	for _, w := range s.Webhooks {
		if w.Secret != "" {
			names = append(names, w.Secret)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// channels makes the ways in which a deployment delivers. Those of its own end with it,
// also if it cannot be loaded.
func (l *Loader) channels(ctx context.Context, d *Deployment) error {
	values, err := l.outboxSecrets(ctx, &d.Spec)
	if err != nil {
		return err
	}
	d.Channels = outbox.Channels{}
	way, err := l.mail(d, values)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if way != nil {
		d.Channels[abi.GrantMail] = way
	} else if granted := d.Spec.granted(abi.GrantMail); len(granted) > 0 {
		l.Log.Warn("mail is granted, and there is no server: set EDGESET_SMTP_URL, or server in [deployment.mail]",
			slog.String("deployment", d.Spec.Name), slog.String("plugins", strings.Join(granted, ", ")))
	}
	for _, w := range d.Spec.Webhooks {
		t, err := webhook.New(webhook.Config{URL: w.URL, Secret: []byte(values[w.Secret])})
		if err != nil {
			return fmt.Errorf("webhook %q: %w", w.Name, err)
		}
		d.own = append(d.own, t)
		d.Channels[abi.GrantWebhook+w.Name] = t
	}
	if l.Outbox != nil && len(d.Spec.granted(abi.GrantMail))+len(d.Spec.granted(abi.GrantWebhook)) > 0 {
		d.outbox = l.Outbox(d.Spec.Name, d.Channels, d.Spec.Delivery())
	}
	return nil
}

func (l *Loader) outboxSecrets(ctx context.Context, s *Spec) (map[string]string, error) {
	names := s.outboxSecrets()
	switch {
	case len(names) == 0:
		return nil, nil
	case l.Secrets == nil:
		return nil, fmt.Errorf("secrets %q: this host keeps none", names)
	}
	return l.Secrets(ctx, s.Name, secret.Outbox, names)
}

// A relay is a transport that can have mails come from another address than its own, by
// the same connections.
type relay interface {
	From(address string) (outbox.Transport, error)
}

// mail returns how a deployment's mail goes: by its own server, by the host's, or, nil,
// not at all.
func (l *Loader) mail(d *Deployment, secrets map[string]string) (outbox.Transport, error) {
	s := &d.Spec.Mail
	if s.Server == "" {
		if l.Mail == nil || s.From == "" {
			return l.Mail, nil
		}
		host, ok := l.Mail.(relay)
		if !ok {
			return nil, errors.New("from: the host's way to send mail has a sender of its own: want none, or server as well")
		}
		t, err := host.From(s.From)
		if err == nil {
			d.own = append(d.own, t)
		}
		return t, err
	}
	c, err := mail.ParseServer(s.Server)
	if err != nil {
		return nil, err
	}
	c.User, c.Password, c.From = s.User, secrets[s.Password], s.From
	if c.From == "" {
		c.From = DefaultFrom(c)
	}
	t, err := mail.New(c)
	if err != nil {
		return nil, err
	}
	d.own = append(d.own, t)
	return t, nil
}

// granted are the names of the plugins with a grant, or with one that begins with it, of
// those that end with a colon.
func (s *Spec) granted(grant string) (names []string) {
	for _, p := range s.Plugins {
		if p.granted(grant) {
			names = append(names, p.Name)
		}
	}
	return names
}

func (s *PluginSpec) granted(grant string) bool {
	return slices.ContainsFunc(s.Grants, func(g string) bool {
		return g == grant || strings.HasSuffix(grant, ":") && strings.HasPrefix(g, grant)
	})
}
