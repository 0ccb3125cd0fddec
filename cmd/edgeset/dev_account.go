package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/admin"
)

// A devAccount is an account of the plugin signing, for the author of a plugin to try
// routes with that want a token.
type devAccount struct{ key, username, password, token string }

// newDevAccount makes an application, an account, and logs in.
func newDevAccount(ctx context.Context, g *guide) (a devAccount, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	operator, err := admin.Token(g.data, false)
	if err != nil {
		return a, err
	}
	var app struct {
		ID string `json:"id"`
	}
	err = g.ask(ctx, "http://"+g.admin+"/v1/deployments/"+g.deployment+"/plugins/"+signingPlugin+"/apps",
		operator, strings.NewReader(`{"name": "edgeset dev"}`), "application/json", &app)
	if err != nil {
		return a, err
	}
	// The data may be of an earlier session, with its account.
	a = devAccount{key: app.ID, username: "dev" + strings.ToLower(rand.Text()[:6]), password: rand.Text()[:12]}
	form := url.Values{"api_key": {a.key}, "username": {a.username}, "id": {a.username}, "password": {a.password}, "device": {"dev"}}
	var login struct {
		Response struct {
			Token string `json:"access_token"`
		} `json:"response"`
	}
	for _, call := range []string{"create", "login"} {
		err = g.ask(ctx, "http://"+g.gateway+"/v2/account/"+call, "", strings.NewReader(form.Encode()), "application/x-www-form-urlencoded", &login)
		if err != nil {
			return a, err
		}
	}
	a.token = login.Response.Token
	return a, nil
}

// ask posts to the host and reads what it answers.
func (g *guide) ask(ctx context.Context, target, token string, body io.Reader, contentType string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, "POST", target, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Host = g.host
	if token != "" { // the admin API has no hosts
		req.Host = ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("POST %s: %w", target, err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("POST %s: %s: %s", target, resp.Status, bytes.TrimSpace(text))
	}
	return json.Unmarshal(text, answer)
}
