package outboxtest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A Webhook is a receiver of webhooks that takes only what is signed.
type Webhook struct {
	URL    string
	Secret string // "whsec_…"

	mu     sync.Mutex
	calls  []Call
	answer func(Call, http.ResponseWriter)
}

// A Call is one that a receiver was sent, whatever it has answered.
type Call struct {
	Header http.Header
	Raw    []byte
	Body   struct {
		ID      string          `json:"id"`
		Type    string          `json:"type"`
		Key     string          `json:"key"`
		To      string          `json:"to"`
		Created time.Time       `json:"created"`
		Data    json.RawMessage `json:"data"`
	}
}

// StartWebhook starts a receiver, which ends with the test. It answers as answer does, or
// with 204 if that is nil.
func StartWebhook(t testing.TB, answer func(Call, http.ResponseWriter)) *Webhook {
	t.Helper()
	w := &Webhook{Secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", answer: answer}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.URL = server.URL + "/hook"
	return w
}

// ServeHTTP implements http.Handler.
func (w *Webhook) ServeHTTP(res http.ResponseWriter, req *http.Request) {
	c := Call{Header: req.Header}
	var err error
	if c.Raw, err = io.ReadAll(io.LimitReader(req.Body, 1<<20)); err != nil {
		return
	}
	verifier, err := standardwebhooks.NewWebhook(w.Secret)
	if err == nil {
		err = verifier.Verify(c.Raw, req.Header)
	}
	if err == nil {
		err = json.Unmarshal(c.Raw, &c.Body)
	}
	if err != nil || req.Method != http.MethodPost {
		http.Error(res, "not a good call", http.StatusForbidden)
		return
	}
	w.mu.Lock()
	w.calls = append(w.calls, c)
	w.mu.Unlock()
	if w.answer != nil {
		w.answer(c, res)
		return
	}
	res.WriteHeader(http.StatusNoContent)
}

// Calls returns those with a good signature.
func (w *Webhook) Calls() []Call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.calls)
}
