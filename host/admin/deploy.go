package admin

import (
	"context"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

// deployment is the body of POST /v1/deploy.
type deployment struct {
	said
	Manifest string                    `json:"manifest"`
	File     string                    `json:"file"`
	Uploads  map[string]rollout.Upload `json:"uploads"`
	Check    bool                      `json:"check"`
	Canary   *struct {
		Share float64          `json:"share"`
		Steps []float64        `json:"steps"`
		Every rollout.Duration `json:"every"`
	} `json:"canary"`
}

const (
	maxFile      = 4096
	maxUploads   = 10_000
	maxSignature = 4 << 10
)

func (s *Server) deploy(ctx *fasthttp.RequestCtx, _ []string) {
	r, err := deployRequest(ctx)
	if err != nil {
		fail(ctx, err)
		return
	}
	s.carryOut(ctx, func(ctx context.Context, progress func(rollout.Event)) (*rollout.Result, error) {
		r.Progress = progress
		return s.config.Deployments.Deploy(ctx, r)
	})
}

func deployRequest(ctx *fasthttp.RequestCtx) (*rollout.Request, error) {
	var d deployment
	if err := readJSON(ctx, &d); err != nil {
		return nil, err
	}
	ch, err := change(ctx, d.said)
	if err != nil {
		return nil, err
	}
	switch {
	case d.Manifest == "":
		return nil, badRequest("manifest: want the text of a manifest.")
	case !printable(d.File, maxFile, ""):
		return nil, badRequest("file: %.50q: want the name of the manifest, of at most %d bytes.", d.File, maxFile)
	case len(d.Uploads) > maxUploads:
		return nil, badRequest("uploads: %d: want at most %d.", len(d.Uploads), maxUploads)
	}
	if d.File == "" {
		d.File = "manifest"
	}
	for source, u := range d.Uploads {
		if _, err := artifact.ParseDigest(u.Digest); err != nil {
			return nil, badRequest("uploads: %.200q: digest: %v", source, err)
		}
		if len(u.Signature) > maxSignature {
			return nil, badRequest("uploads: %.200q: signature: %d bytes: want at most %d.", source, len(u.Signature), maxSignature)
		}
	}
	r := &rollout.Request{Change: ch, File: d.File, Manifest: d.Manifest, Uploads: d.Uploads, Check: d.Check}
	if c := d.Canary; c != nil {
		r.Canary = &rollout.Canary{Share: c.Share, Steps: c.Steps, Every: c.Every}
	}
	return r, nil
}

// By the name of a deployment.

func (s *Server) rollback(ctx *fasthttp.RequestCtx, at []string) {
	var body struct {
		said
		Version int `json:"version"`
	}
	err := readJSON(ctx, &body)
	if err == nil && body.Version < 0 {
		err = badRequest("version: %d: want the number of a version, or 0 for the one before.", body.Version)
	}
	s.changeOne(ctx, at[0], &body.said, err, func(ctx context.Context, ch rollout.Change) (*rollout.Result, error) {
		return s.config.Deployments.Rollback(ctx, at[0], body.Version, ch)
	})
}

func (s *Server) promote(ctx *fasthttp.RequestCtx, at []string) {
	body := struct {
		said
		Share float64 `json:"share"`
	}{Share: 1}
	err := readJSON(ctx, &body)
	s.changeOne(ctx, at[0], &body.said, err, func(ctx context.Context, ch rollout.Change) (*rollout.Result, error) {
		return s.config.Deployments.Promote(ctx, at[0], body.Share, ch)
	})
}

func (s *Server) abort(ctx *fasthttp.RequestCtx, at []string) {
	var body said
	err := readJSON(ctx, &body)
	s.changeOne(ctx, at[0], &body, err, func(ctx context.Context, ch rollout.Change) (*rollout.Result, error) {
		return s.config.Deployments.Abort(ctx, at[0], ch)
	})
}

func (s *Server) remove(ctx *fasthttp.RequestCtx, at []string) {
	body := saidInQuery(ctx)
	s.changeOne(ctx, at[0], &body, nil, func(ctx context.Context, ch rollout.Change) (*rollout.Result, error) {
		return s.config.Deployments.Remove(ctx, at[0], ch)
	})
}

// changeOne changes a deployment, unless there was an error before.
func (s *Server) changeOne(ctx *fasthttp.RequestCtx, name string, c *said, err error, do func(context.Context, rollout.Change) (*rollout.Result, error)) {
	var ch rollout.Change
	if err == nil {
		ch, err = change(ctx, *c)
	}
	if err != nil {
		fail(ctx, err)
		return
	}
	s.carryOut(ctx, func(ctx context.Context, progress func(rollout.Event)) (*rollout.Result, error) {
		ch.Progress = progress
		return do(ctx, ch)
	})
}
