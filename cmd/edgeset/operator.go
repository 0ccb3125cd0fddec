package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"os/user"
	"strings"
	"syscall"
	"time"

	"github.com/edgeset/edgeset/host/admin"
)

// operator is the way to the admin API of a host.
type operator struct {
	admin, data *string
	deployment  *string // nil: the command has no such flag
}

func adminFlags(f flags) operator {
	return operator{
		admin: f.String("admin", "127.0.0.1:8081", "address of the admin API"),
		data:  f.String("data", "data", "folder of the state, which has the admin token unless "+admin.TokenEnv+" is set"),
	}
}

func operatorFlags(f flags) operator {
	o := adminFlags(f)
	o.deployment = f.String("deployment", "default", "name of the deployment")
	return o
}

// interruptible returns a context that ends with SIGINT and SIGTERM. A host that sees
// its client go gives a change up, unless it shows already.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// A call is a request to the admin API.
type call struct {
	method, path string
	query        url.Values
	header       map[string]string
	body         io.Reader
	size         int64 // of the body
	timeout      time.Duration
}

// callTime is how long a call may take that asks for nothing that takes long.
const callTime = 30 * time.Second

// maxAnswer bounds an answer: a hundred versions with their manifests.
const maxAnswer = 128 << 20

// A refusal is an answer of the admin API that says why not.
type refusal struct {
	status  int
	code    string
	message string
	line    string // the status, as it came
}

func (r *refusal) Error() string { return "the admin API: " + r.line + ": " + r.message }

// open sends a call. The caller closes the body of the answer, which is one of success.
func (o operator) open(ctx context.Context, c call) (*http.Response, error) {
	token, err := admin.Token(*o.data, false)
	if err != nil {
		return nil, err
	}
	target := "http://" + *o.admin + c.path
	if len(c.query) > 0 {
		target += "?" + c.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, c.method, target, c.body)
	if err != nil {
		return nil, fmt.Errorf("the admin API: %w", err)
	}
	req.ContentLength = c.size
	req.Header.Set("Authorization", "Bearer "+token)
	for name, value := range c.header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the admin API: %w", err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("the admin API: %w", err)
	}
	said := refusal{status: resp.StatusCode, line: resp.Status, message: string(bytes.TrimSpace(text))}
	var form struct {
		Error struct{ Code, Message string }
	}
	if json.Unmarshal(text, &form) == nil && form.Error.Message != "" {
		said.code, said.message = form.Error.Code, form.Error.Message
	}
	return nil, &said
}

// do sends a call and returns the whole answer.
func (o operator) do(ctx context.Context, c call) ([]byte, error) {
	if c.timeout == 0 {
		c.timeout = callTime
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := o.open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("the admin API: %w", err)
	}
	return text, nil
}

// get gets what is at a path into v.
func (o operator) get(ctx context.Context, v any, query url.Values, segments ...string) error {
	text, err := o.do(ctx, call{method: "GET", path: apiPath(segments...), query: query})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("the admin API: an answer that is none: %w", err)
	}
	return nil
}

// apiPath is the path to something of the admin API.
func apiPath(segments ...string) string {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String()
}

// print sends a request to the signing plugin's routes for operators and prints the
// answer. path may have a query.
func (o operator) print(method, path string, body []byte) error {
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	text, err := o.do(context.Background(), call{
		method: method, path: apiPath("deployments", *o.deployment, "plugins", "signing") + path, query: values,
		header: map[string]string{"Content-Type": "application/json"}, body: bytes.NewReader(body), size: int64(len(body)),
	})
	if err == nil && len(text) > 0 {
		fmt.Println(string(bytes.TrimSpace(text)))
	}
	return err
}

// who names who runs this command, for the records of the host.
func who() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if machine, err := os.Hostname(); err == nil {
		name += "@" + machine
	}
	return name
}

// printJSON prints an answer for programs.
func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
