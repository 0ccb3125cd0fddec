package main

import (
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/dunglas/httpsfv"
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// verifySignature answers /1.0/signing/verify: what the server makes of a signed
// request, step by step, for a developer whose requests are refused. It is told to
// the account alone that owns the application; of others nobody learns whether
// they are there. Nothing of the secret is told, and not what the signature
// should be, and the signature is not used up.
func verifySignature(w *guest.Response, r *guest.Request) error {
	s, err := new(room).begin(r, abi.Credential{Kind: signatureProof, Family: "/1.0", Origin: requestOrigin(r)})
	if err != nil {
		return err
	}
	results := make([]error, 0, len(steps))
	failed := -1
	for i := range steps {
		err := steps[i].check(s)
		if _, ok := isRefusal(err); err != nil && !ok {
			return err
		}
		if results = append(results, err); err != nil && failed < 0 {
			failed = i
		}
		if i > 0 {
			continue
		}
		if err == error(errUnknownKey) || err == nil && (s.app.owner == "" || s.app.owner != r.Caller().Account) {
			return errNoApp
		}
		if err != nil {
			break // there is nothing to look at
		}
		if p, ok := s.way.(*parameters); ok {
			// Who asks may show their token here, which is no part of the request
			// that they ask about.
			p.list = slices.DeleteFunc(p.list, func(f param) bool { return string(f.name) == tokenParam })
		}
	}
	v := w.Value()
	v.Map()
	v.Key("valid")
	v.Bool(failed < 0)
	if s.scheme != "" {
		entry(v, "scheme", s.scheme)
	}
	if failed >= 0 {
		entry(v, "failed", steps[failed].name)
	}
	v.Key("steps")
	v.Array()
	for i, err := range results {
		v.Map()
		entry(v, "step", steps[i].name)
		v.Key("ok")
		v.Bool(err == nil)
		if e, ok := isRefusal(err); ok {
			entry(v, "code", e.Code)
			entry(v, "message", e.Message)
		}
		s.explain(steps[i].name, v)
		v.End()
	}
	v.End()
	v.Key("hints")
	v.Array()
	if failed >= 0 {
		for _, hint := range s.way.hints(s) {
			v.Text(s.show(hint))
		}
	}
	v.End()
	v.End()
	return nil
}

func (s *signature) explain(step string, v *abi.Writer) {
	s.way.explain(step, s, v)
	switch step {
	case "application":
		entry(v, "name", s.app.name)
		entry(v, "state", s.app.state())
		for _, e := range []struct {
			name string
			list []string
		}{{"schemes", s.app.schemes}, {"families", s.app.families}, {"origins", s.app.origins}} {
			if len(e.list) > 0 {
				v.Key(e.name)
				v.Array()
				for _, item := range e.list {
					v.Text(item)
				}
				v.End()
			}
		}
		if s.place.Origin != "" {
			entry(v, "origin", s.place.Origin)
		}
	case "timestamp":
		if s.created != 0 {
			entryTime(v, "time", s.created)
			entryInt(v, "age", int64(s.age()/time.Second))
		}
		entryTime(v, "server_time", s.r.Time().UnixMicro())
		entryInt(v, "window", int64(s.window/time.Second))
	}
}

func (p *parameters) explain(step string, s *signature, v *abi.Writer) {
	switch step {
	case "identity":
		entry(v, "received", s.show(string(p.identity)))
	case "timestamp":
		entry(v, "received", s.show(string(p.timestamp)))
		if n, ok := whole(p.timestamp); ok && len(p.timestamp) > 0 {
			entry(v, "unit", map[int64]string{1e3: "ms", 1e6: "s"}[timeUnit(n)])
		}
	case "coverage":
		entry(v, "body", [...]string{abi.BodyNone: "none", abi.BodyValue: "JSON", abi.BodyRaw: "raw", abi.BodyForm: "form"}[s.r.BodyKind()])
	case "signature":
		v.Key("parameters")
		v.Array()
		for _, f := range p.list[:min(len(p.list), maxShownParams)] {
			v.Map()
			entry(v, "name", s.show(string(f.name)))
			entry(v, "value", s.show(string(f.value)))
			v.End()
		}
		v.End()
		var signed strings.Builder
		for _, f := range p.list {
			signed.Write(f.value)
		}
		entry(v, "signed", s.show(signed.String())+"{secret}")
		entry(v, "received", s.show(string(p.signature)))
	}
}

func (m *message) explain(step string, s *signature, v *abi.Writer) {
	switch step {
	case "identity":
		if m.label != "" {
			entry(v, "label", m.label)
			entry(v, "received", s.id)
		}
	case "timestamp":
		for _, name := range []string{"created", "expires"} {
			value, _ := m.input.Params.Get(name)
			if n, ok := value.(int64); ok {
				entryInt(v, name, n)
			}
		}
	case "coverage":
		v.Key("components")
		v.Array()
		for _, c := range m.components {
			v.Text(s.show(c))
		}
		v.End()
		if sent, found := fieldValues(s.r.Headers(), "content-digest"); found {
			entry(v, "content_digest", s.show(strings.Join(sent, ", ")))
			var own []string
			for _, algorithm := range digests {
				if sum, err := s.r.BodyDigest(algorithm); err == nil {
					own = append(own, algorithm+"=:"+base64.StdEncoding.EncodeToString(sum)+":")
				}
			}
			entry(v, "computed_digest", strings.Join(own, ", "))
		}
	case "signature":
		if m.base != nil {
			entry(v, "signed", s.show(string(m.base)))
		}
		received, _ := httpsfv.Marshal(httpsfv.NewItem(s.sum))
		entry(v, "received", s.show(received))
	}
}

// Bounds of what is shown.
const (
	maxShownParams = 100
	maxShown       = 16 << 10
)

// show returns a text as it may be shown: bounded, and without the secret, which
// a client may have sent by mistake.
func (s *signature) show(text string) string {
	for _, secret := range []string{s.app.secret, s.app.oldSecret} {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "{secret}")
		}
	}
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
