package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/edgeset/edgeset/host/admin"
)

const appUsage = `edgeset app manages the applications that may call the API.

  edgeset app create --name NAME   print {"id", "secret", "name"}: the id is the api_key
  edgeset app list                 print the applications, without their secrets
  edgeset app revoke --id ID       end an application and all of its tokens
`

func app(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, appUsage)
		return errUsage
	}
	switch args[0] {
	case "create":
		return appCreate(args[1:])
	case "list":
		return appList(args[1:])
	case "revoke":
		return appRevoke(args[1:])
	case "help", "-h", "--help":
		fmt.Print(appUsage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset app: there is no command %q\n\n%s", args[0], appUsage)
	return errUsage
}

// operator is the way to a deployment's routes for operators.
type operator struct {
	admin, data, deployment *string
}

func operatorFlags(f flags) operator {
	return operator{
		admin:      f.String("admin", "127.0.0.1:8081", "address of the admin API"),
		data:       f.String("data", "data", "folder of the state, which has the admin token unless "+admin.TokenEnv+" is set"),
		deployment: f.String("deployment", "default", "name of the deployment"),
	}
}

func appCreate(args []string) error {
	f := newFlags("app create", "make an application")
	name := f.String("name", "", "what to call it")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	if *name == "" {
		return misused("app create: --name: want a name for the application")
	}
	body, err := json.Marshal(map[string]string{"name": *name})
	if err != nil {
		return err
	}
	return o.print("POST", "/apps", body)
}

func appList(args []string) error {
	f := newFlags("app list", "list the applications")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	return o.print("GET", "/apps", nil)
}

func appRevoke(args []string) error {
	f := newFlags("app revoke", "end an application and all of its tokens")
	id := f.String("id", "", "the application's id")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	if *id == "" {
		return misused("app revoke: --id: want the id of an application")
	}
	return o.print("DELETE", "/apps/"+url.PathEscape(*id), nil)
}

// print sends a request to the signing plugin's routes for operators and prints
// the answer.
func (o operator) print(method, path string, body []byte) error {
	token, err := admin.Token(*o.data, false)
	if err != nil {
		return err
	}
	target := fmt.Sprintf("http://%s/v1/deployments/%s/plugins/signing%s", *o.admin, url.PathEscape(*o.deployment), path)
	req, err := http.NewRequest(method, target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(req)
	if err != nil {
		return fmt.Errorf("the admin API: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("the admin API: %w", err)
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("the admin API: %s: %s", resp.Status, bytes.TrimSpace(answer))
	}
	if len(answer) > 0 {
		fmt.Println(string(bytes.TrimSpace(answer)))
	}
	return nil
}
