package engine

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// An image is what the instances of a version start from: the memory and the
// globals of an instance that was started for it.
//
// A warm image is taken from one that has run its start function and
// _initialize, so that the others need not. That is right only if these would
// have done the same in every instance. If not, the image is cold: it is taken
// before anything has run, and saves no more than the data segments.
type image struct {
	warm    bool
	asked   bool    // the guest may have seen what only one version knows
	common  bool    // all versions of a program have it, and the program closes it
	content content // nil if the guest has no memory
	names   []string
	globals []uint64 // by names, of their exports

	room, roomSize uint32 // for frames, if the image is warm
	random         *generators
}

// A witness sees what a guest takes from its host that differs from one instance
// to the next.
type witness struct {
	ctx   *callContext
	drawn []byte // the first random bytes
	draws int
	clock bool
}

// Read is the guest's source of random bytes.
func (w *witness) Read(b []byte) (int, error) {
	if w.draws++; w.draws == 1 {
		defer func() { w.drawn = append(w.drawn, b...) }()
	}
	return entropy{w.ctx}.Read(b)
}

// walltime is the guest's clock.
func (w *witness) walltime() (sec int64, nsec int32) {
	w.clock = true
	now := time.Now()
	return now.Unix(), int32(now.Nanosecond())
}

// An imageKey tells the images apart that all versions of a program can have.
type imageKey struct {
	warm      bool
	rehearsal string // of a warm one
}

// takeImage finds the image that another version has left, or starts an instance to
// take one of.
//
// What is left for others is a cold image, or one of a guest that has called no host
// function that knows of the version: it can have no setting in it, no key, nothing
// that one deployment has and another has not.
func (s *starter) takeImage(ctx context.Context) error {
	warm := imageKey{warm: true, rehearsal: string(s.rehearsal)}
	if s.warm {
		if s.image = s.program.image(warm); s.image != nil {
			return nil
		}
		img, why, err := s.warmImage(ctx)
		switch {
		case err != nil:
			return err
		case why != "":
			s.log.Info("each instance is initialised on its own", slog.String("reason", why))
		case img.asked:
			s.image = img
			return nil
		default:
			s.image = s.program.keep(warm, img)
			return nil
		}
	}
	if s.image = s.program.image(imageKey{}); s.image != nil {
		return nil
	}
	i, err := s.begin(ctx, nil)
	if err != nil {
		return err
	}
	defer i.close()
	s.image = s.program.keep(imageKey{}, i.image(s.log))
	return nil
}

// warmImage returns a warm image, or why there can be none.
func (s *starter) warmImage(ctx context.Context) (img *image, why string, err error) {
	var w witness
	i, err := s.begin(ctx, &w)
	if err != nil {
		return nil, "", err
	}
	defer i.close()
	if err := i.initialise(ctx, s.init); err != nil {
		return nil, "", err
	}
	if err := s.greet(ctx, i); err != nil {
		return nil, "", err
	}
	if s.fast {
		if err := s.rehearse(ctx, i); err != nil {
			return nil, err.Error(), nil
		}
	}
	random, why := i.shared(&w)
	if why != "" {
		return nil, why, nil
	}
	img = i.image(s.log)
	img.warm, img.random, img.room, img.roomSize = true, random, i.room, i.roomSize
	img.asked = i.ctx.asked
	return img, "", nil
}

// rehearsalTime is how long a call may take that does next to nothing.
const rehearsalTime = time.Second

// rehearse has the guest do what a first call sets up, so that it is part of the
// image, too.
func (s *starter) rehearse(ctx context.Context, i *instance) error {
	ctx, cancel := context.WithTimeout(ctx, rehearsalTime)
	defer cancel()
	i.begin(ctx, initState(s.init))
	defer i.end()
	if err := i.makeRoom(0); err != nil || s.rehearsal == nil {
		return err
	}
	_, err := i.exchange(s.rehearsal, nil)
	return err
}

// shared finds out why other instances cannot share what this one has become,
// and otherwise the random generators that they cannot share.
func (i *instance) shared(w *witness) (random *generators, why string) {
	if i.hasChanged() {
		return nil, "while it is initialised, it changes a table, a segment, or a global that is not a number"
	}
	// Of Go code it is known what is behind a draw or a look at the clock: the
	// runtime, or the program.
	taken := i.mod.ExportedGlobal(rewrite.TakenExport)
	var took uint64
	if taken != nil {
		took = taken.Get()
	}
	switch {
	case took == rewrite.TakenTime, taken == nil && w.clock:
		return nil, "it reads the clock while it is initialised"
	case took == rewrite.TakenRandom, w.draws > 1, taken == nil && w.draws > 0:
		return nil, "it draws random numbers while it is initialised (of a Go plugin that is built with -ldflags=-s this cannot be told, so it is assumed)"
	case w.draws == 0:
		return nil, ""
	case len(w.drawn) != 32:
	default:
		if g, ok := findGenerators(i.linear.mem.bytes(), [32]byte(w.drawn)); ok {
			return &g, ""
		}
	}
	return nil, "the random generators of its Go runtime are not where this host looks for them"
}

// image copies the memory and the globals.
func (i *instance) image(log *slog.Logger) *image {
	img := &image{}
	img.names = globalNames(i.mod)
	for _, g := range i.globals {
		img.globals = append(img.globals, g.Get())
	}
	if i.linear.mem == nil {
		return img
	}
	var err error
	if img.content, err = freeze(i.linear.mem.bytes()); err != nil {
		log.Info("instances copy the memory that they start from", slog.Any("reason", err))
		img.content = newPlain(i.linear.mem.bytes())
	}
	return img
}

// close frees the image, when there are no more instances of it.
func (m *image) close() {
	if m.content != nil {
		m.content.close()
	}
}

// close frees the image if no other version can have it.
func (s *starter) close() {
	if s.image != nil && !s.image.common {
		s.image.close()
	}
}

// globalNames are those of the first mutable globals of a module.
func globalNames(mod api.Module) (names []string) {
	for {
		name := rewrite.GlobalExport + strconv.Itoa(len(names))
		if mod.ExportedGlobal(name) == nil {
			return names
		}
		names = append(names, name)
	}
}
