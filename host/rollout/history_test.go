package rollout

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var (
	historyTime = flag.Duration("history.time", 4*time.Second, "how long random histories are run")
	historySeed = flag.Uint64("history.seed", 1, "seed of the first history; those after it count on")
)

// A model is what a controller says that it does, in the simplest form.
type model struct {
	revision int64
	names    map[string]*modelled
}

// modelled is a deployment.
type modelled struct {
	marks                     []string // of its versions; the first is of version 1
	current, previous, canary int
	revision                  int64
}

func (d *modelled) mark(version int) string {
	if version == 0 {
		return ""
	}
	return d.marks[version-1]
}

// deploy makes versions of some deployments, or none if any of them may not be made.
func (m *model) deploy(marks map[string]string, canary bool) (refused bool) {
	if m.tries(marks) {
		return true
	}
	next := m.revision
	for name, mark := range marks {
		d := m.names[name]
		if d == nil {
			d = &modelled{}
			m.names[name] = d
		}
		if d.current > 0 && d.mark(d.current) == mark {
			continue
		}
		next = m.revision + 1
		d.add(mark, canary, next)
	}
	m.revision = next
	return false
}

// tries tells whether any of some deployments has a canary.
func (m *model) tries(marks map[string]string) bool {
	for name := range marks {
		if d := m.names[name]; d != nil && d.canary > 0 {
			return true
		}
	}
	return false
}

func (d *modelled) add(mark string, canary bool, revision int64) {
	d.marks = append(d.marks, mark)
	d.revision = revision
	last := len(d.marks)
	switch {
	case canary && d.current > 0:
		d.canary = last
	case d.current > 0:
		d.previous, d.current = d.current, last
	default:
		d.current = last
	}
}

func (m *model) rollback(name string, to int) (refused bool) {
	d := m.names[name]
	if d == nil || d.canary > 0 {
		return true
	}
	if to == 0 {
		to = d.previous
	}
	if to == 0 || to == d.current || to > len(d.marks) {
		return true
	}
	m.revision++
	d.add(d.mark(to), false, m.revision)
	return false
}

// settle ends a canary.
func (m *model) settle(name string, promote bool) (refused bool) {
	d := m.names[name]
	if d == nil || d.canary == 0 {
		return true
	}
	m.revision++
	d.revision = m.revision
	if promote {
		d.previous, d.current = d.current, d.canary
	}
	d.canary = 0
	return false
}

func (m *model) remove(name string) (refused bool) {
	d := m.names[name]
	if d == nil || d.current == 0 {
		return true
	}
	m.revision++
	d.previous, d.current, d.canary, d.revision = d.current, 0, 0, m.revision
	return false
}

// compare checks what the controller says against the model, and what clients get.
func (m *model) compare(r *rig) error {
	list, revision := r.c.List()
	if revision != m.revision {
		return fmt.Errorf("the host's revision is %d, want %d", revision, m.revision)
	}
	serving := 0
	for name, d := range m.names {
		s, ok := r.c.Status(name)
		if !ok || s.Current != d.current || s.Revision != d.revision || (s.Canary != nil) != (d.canary > 0) || s.Canary != nil && s.Canary.Version != d.canary {
			return fmt.Errorf("%s: %+v, want %+v", name, s, d)
		}
		if previous := r.c.running[name].Previous; previous != d.previous {
			return fmt.Errorf("%s: before it served %d, want %d", name, previous, d.previous)
		}
		if d.current > 0 {
			serving++
		}
		versions, err := r.c.Versions(r.t.Context(), name)
		if err != nil || len(versions) != len(d.marks) {
			return fmt.Errorf("%s: %d versions, %v; want %d", name, len(versions), err, len(d.marks))
		}
		for i, v := range versions {
			if number := len(d.marks) - i; v.Number != number || !strings.Contains(v.Manifest, fmt.Sprintf("mark = %q\n", d.mark(number))) {
				return fmt.Errorf("%s: version %d is %+v, want mark %s", name, number, v, d.mark(number))
			}
		}
		for account := range 4 {
			a, err := r.call("GET /p/mark", name+".test", "Authorization", fmt.Sprintf("Bearer account%d", account))
			if err != nil {
				return err
			}
			if d.current == 0 {
				if a.status != 404 {
					return fmt.Errorf("%s was removed, and answers %s", name, a.text)
				}
				continue
			}
			got, err := a.whole()
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if got != d.mark(d.current) && (d.canary == 0 || got != d.mark(d.canary)) {
				return fmt.Errorf("%s is answered by %s, want %+v", name, got, d)
			}
		}
	}
	if len(list) != serving {
		return fmt.Errorf("%d deployments serve, want %d", len(list), serving)
	}
	return nil
}

// A step makes a random change in both, and tells what it was.
func (m *model) step(r *rig, random *rand.Rand) (what string, refused bool, err error) {
	names, marks := []string{"eu", "us", "asia"}, []string{"a", "b", "c"}
	name := names[random.IntN(len(names))]
	ctx := r.t.Context()
	switch random.IntN(12) {
	case 0, 1, 2, 3, 4: // one or several, some of which may be bad
		want := map[string]string{}
		var specs []spec
		bad := false
		for _, i := range random.Perm(len(names))[:1+random.IntN(len(names))] {
			s := spec{name: names[i], mark: marks[random.IntN(len(marks))]}
			switch random.IntN(12) {
			case 0:
				bad, s.source = true, "embedded:nobody"
			case 1:
				bad, s.plugin = true, `secrets = ["absent"]`
			case 2:
				bad, s.plugin = true, `mount = "/p:"`
			}
			want[s.name] = s.mark
			specs = append(specs, s)
		}
		q := request(specs...)
		q.Check = random.IntN(6) == 0
		canary := random.IntN(4) == 0
		if canary {
			q.Canary = &Canary{Share: 0.5}
		}
		what = fmt.Sprintf("deploy %v, bad %v, check %v, canary %v", want, bad, q.Check, canary)
		_, err = r.c.Deploy(ctx, q)
		switch {
		case bad:
			return what, true, err
		case q.Check:
			return what, m.tries(want), err
		}
		return what, m.deploy(want, canary), err
	case 5, 6, 7:
		to := random.IntN(5)
		_, err = r.c.Rollback(ctx, name, to, Change{})
		return fmt.Sprintf("rollback %s to %d", name, to), m.rollback(name, to), err
	case 8:
		_, err = r.c.Promote(ctx, name, 1, Change{})
		return "promote " + name, m.settle(name, true), err
	case 9:
		_, err = r.c.Abort(ctx, name, Change{})
		return "abort " + name, m.settle(name, false), err
	case 10:
		_, err = r.c.Remove(ctx, name, Change{})
		return "remove " + name, m.remove(name), err
	default:
		r.restart()
		return "restart", false, nil
	}
}

func TestRandomHistories(t *testing.T) {
	steps, seed := 0, *historySeed
	for end := time.Now().Add(*historyTime); time.Now().Before(end); seed++ {
		r, m := started(t), &model{names: map[string]*modelled{}}
		random := rand.New(rand.NewPCG(seed, 0))
		var history []string
		for range 40 {
			what, want, err := m.step(r, random)
			history = append(history, what)
			var invalid *InvalidError
			if (err != nil) != want || err != nil && !errors.As(err, &invalid) && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrNotFound) {
				t.Fatalf("seed %d: %v: %v, want refused: %v", seed, history, err, want)
			}
			if err := m.compare(r); err != nil {
				t.Fatalf("seed %d: %v: %v", seed, history, err)
			}
			if steps++; time.Now().After(end) {
				break
			}
		}
	}
	t.Logf("%d steps, seeds %d to %d", steps, *historySeed, seed-1)
}
