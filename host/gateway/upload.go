package gateway

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/text"
)

// uploads are the places for requests with uploads that a plugin may serve at a time:
// half as many as it has instances. What is made of an upload takes a hundred times as
// long as other calls, and those would wait behind a few. Who waits for a place holds
// no instance and no transaction.
type uploads chan struct{}

func newUploads(p *deploy.Plugin) uploads {
	instances := p.Spec.Instances
	if instances == 0 {
		instances = engine.DefaultInstances()
	}
	return make(uploads, max(1, instances/2))
}

// uploadWait is how long an upload waits for a place: longer than other requests wait,
// as it would have to be sent again.
const uploadWait = 30 * time.Second

// errNoPlace is the failure of an upload that has waited for that long.
var errNoPlace = errors.New("gateway: no place for an upload has become free")

// take waits for a place until ctx ends. done gives it back.
func (u uploads) take(ctx context.Context) error {
	select {
	case u <- struct{}{}:
		return nil
	default:
	}
	select {
	case u <- struct{}{}:
		return nil
	case <-ctx.Done():
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return errNoPlace
		}
		return ctx.Err()
	}
}

func (u uploads) done() { <-u }

// readUpload reads a form with files as it comes. The files go into the spool, and the
// plugin gets their names.
func (x *exchange) readUpload() (abi.BodyKind, abi.Value, error) {
	req := &x.ctx.Request
	x.pairs.Reset(x.body)
	if encoding := req.Header.ContentEncoding(); len(encoding) > 0 && !equalFold(encoding, "identity") {
		return 0, nil, &abi.Error{Status: 415, Code: x.route.family.Code(abi.HostBadRequest), Message: "An upload is taken as it is, without a Content-Encoding."}
	}
	body := x.openBody(x.gateway.bodyLimit(x.route))
	if body.stream == nil { // there is none, or it has been read
		body.stream, body.length = strings.NewReader(unsafeString(req.Body())), -1
	}
	if len(req.Header.Peek("Content-Digest")) > 0 {
		body.digest()
	}
	err := x.readForms(body)
	if err == nil {
		// What stands behind the form belongs to the body, too.
		_, err = io.Copy(io.Discard, body)
		x.bodyEnded = err == nil
	}
	if body.failed != nil {
		err = body.failed // and not what the parser made of it
	}
	var refusal *abi.Error
	switch {
	case err == nil:
	case errors.As(err, &refusal), errors.Is(err, errGone), errors.Is(err, errSpoolFull):
		return 0, nil, err
	case errors.Is(err, text.ErrMultipart), isSyntax(err):
		return 0, nil, x.badRequest("The form cannot be read: %v.", err)
	default:
		return 0, nil, fmt.Errorf("gateway: read an upload: %w", err)
	}
	if body.sha256 != nil {
		x.bodySHA256, x.bodySHA512 = body.sha256.Sum(nil), body.sha512.Sum(nil)
	}
	for i := range x.files {
		x.ask.Files = append(x.ask.Files, x.files[i].File)
	}
	x.body = x.pairs.Value()
	return abi.BodyForm, x.body, nil
}

func isSyntax(err error) bool {
	var syntax *text.SyntaxError
	return errors.As(err, &syntax)
}

// maxFormText bounds a form that is no multipart one.
const maxFormText = 1 << 20

func (x *exchange) readForms(body io.Reader) error {
	kind := string(x.ctx.Request.Header.ContentType())
	switch media, _, _ := strings.Cut(strings.ToLower(kind), ";"); strings.TrimSpace(media) {
	case "multipart/form-data":
	case "application/x-www-form-urlencoded", "":
		fields, err := io.ReadAll(io.LimitReader(body, maxFormText+1))
		if err != nil {
			return err
		}
		if len(fields) > maxFormText {
			return x.tooLarge(maxFormText)
		}
		return text.AppendQuery(&x.pairs, fields)
	default:
		return &abi.Error{Status: 415, Code: x.route.family.Code(abi.HostBadRequest),
			Message: fmt.Sprintf("The body is of the type %q: want multipart/form-data, with a file in a field of the form.", strings.ToValidUTF8(kind, "\uFFFD"))}
	}
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return x.badRequest("The header Content-Type cannot be read: %v.", err)
	}
	limits := multipartLimits
	limits.File = x.spoolFile
	return text.AppendMultipart(&x.pairs, body, params["boundary"], limits)
}

// spoolFile takes one file of a form.
func (x *exchange) spoolFile(f text.File) error {
	x.spool.in, x.spool.of = &x.gateway.spools, string(x.remote)
	from := x.spool.size
	// A part comes in pieces as small as who sends it likes: each byte that may begin a
	// boundary ends one.
	gathered := bufio.NewWriterSize(&x.spool, 32<<10)
	n, err := io.Copy(gathered, f.Content)
	if err == nil {
		err = gathered.Flush()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: file %q: %w", text.ErrMultipart, f.Name, err)
	}
	if err != nil {
		return err
	}
	x.files = append(x.files, edge.Upload{
		File:    abi.File{Field: f.Field, Name: strings.ToValidUTF8(f.Name, "\uFFFD"), Type: strings.ToValidUTF8(f.ContentType, "\uFFFD"), Size: n},
		Content: io.NewSectionReader(&x.spool, from, n),
	})
	return nil
}
