package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const appUsage = `edgeset app manages the applications that may call the API.

  edgeset app create --name NAME   make an application; prints its id, which is the api_key, and its secret
  edgeset app list                 print the applications, without their secrets
  edgeset app show --id ID         print an application, without its secret
  edgeset app approve --id ID      let an application in that a developer has asked for
  edgeset app update --id ID       change what the flags name
  edgeset app rotate --id ID       give it another secret, which is printed; the old one stays good for a while
  edgeset app revoke --id ID       end an application and all of its tokens

"edgeset app COMMAND --help" tells the flags of a command.
`

func app(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, appUsage)
		return errUsage
	}
	switch rest := args[1:]; args[0] {
	case "create":
		return appCreate(rest)
	case "list":
		return appList(rest)
	case "show":
		return appDo(rest, "show", "show an application", "GET", "")
	case "approve":
		return appDo(rest, "approve", "let an application in that a developer has asked for", "POST", "/approve")
	case "update":
		return appUpdate(rest)
	case "rotate":
		return appRotate(rest)
	case "revoke":
		return appDo(rest, "revoke", "end an application and all of its tokens", "DELETE", "")
	case "help", "-h", "--help":
		fmt.Print(appUsage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset app: there is no command %q\n\n%s", args[0], appUsage)
	return errUsage
}

// appFields are the flags of what can be set of an application.
func appFields(f flags) {
	f.String("name", "", "what to call it")
	f.String("owner", "", "id of the developer's account that manages it, too")
	f.String("schemes", "", "how it may prove requests: some of token,md5,hmac-sha256,ed25519; none: what the deployment accepts")
	f.String("families", "", "prefixes of the families of APIs that it may call, such as /v2,/1.0; none: all")
	f.String("origins", "", "web origins that it may be used from, such as https://example.org; none: from anywhere")
	f.Int64("rate", 0, "requests that it may make in a window; 0: what the deployment says")
	f.String("ed25519-key", "", "public key that it signs with, in base64, or a file that has it so or as PEM; none: takes it away")
}

// appBody is what the flags that are set say of an application. One that is set to
// nothing takes away what there is.
func appBody(f flags) ([]byte, error) {
	body := map[string]any{}
	var err error
	f.Visit(func(fl *flag.Flag) {
		value := fl.Value.String()
		switch fl.Name {
		case "name", "owner":
			body[fl.Name] = value
		case "schemes", "families", "origins":
			list := []string{}
			for part := range strings.SplitSeq(value, ",") {
				if part = strings.TrimSpace(part); part != "" {
					list = append(list, part)
				}
			}
			body[fl.Name] = list
		case "rate":
			body[fl.Name] = json.Number(value)
		case "ed25519-key":
			body["ed25519_key"], err = publicKey(value)
		}
	})
	if err != nil {
		return nil, misused("%s: --ed25519-key: %v", strings.TrimPrefix(f.Name(), "edgeset "), err)
	}
	return json.Marshal(body)
}

// publicKey returns the key that a flag is, or that stands in the file it names.
func publicKey(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	content, err := os.ReadFile(value)
	if err == nil {
		if len(bytes.TrimSpace(content)) == 0 {
			return "", fmt.Errorf("%s is empty", value)
		}
		return string(content), nil
	}
	if n := len(value); n == 43 || n == 44 { // 32 bytes in base64
		return value, nil
	}
	return "", fmt.Errorf("neither a key nor a file: %w", err)
}

func appCreate(args []string) error {
	f := newFlags("app create", "make an application")
	appFields(f)
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	if f.Lookup("name").Value.String() == "" {
		return misused("app create: --name: want a name for the application")
	}
	body, err := appBody(f)
	if err != nil {
		return err
	}
	return o.print("POST", "/apps", body)
}

func appList(args []string) error {
	f := newFlags("app list", "list the applications")
	f.String("state", "", "only those that are \"pending\", \"active\" or \"revoked\"")
	f.String("owner", "", "only those of the account with this id")
	f.Int("limit", 100, "how many at most, up to 500")
	f.String("after", "", "go on after the application with this id: what the page before calls next")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	query := url.Values{}
	for _, name := range []string{"state", "owner", "limit", "after"} {
		if value := f.Lookup(name).Value.String(); value != "" {
			query.Set(name, value)
		}
	}
	return o.print("GET", "/apps?"+query.Encode(), nil)
}

func appUpdate(args []string) error {
	f := newFlags("app update", "change what the flags name of an application; an empty one takes away what there is")
	id := idFlag(f)
	appFields(f)
	o := operatorFlags(f)
	path, err := id.parse(args)
	if err != nil {
		return err
	}
	body, err := appBody(f)
	if err != nil {
		return err
	}
	if string(body) == "{}" {
		return misused("app update: want a flag that says what to change")
	}
	return o.print("PUT", path, body)
}

func appRotate(args []string) error {
	f := newFlags("app rotate", "give an application another secret")
	id := idFlag(f)
	grace := f.String("grace", "", "how long the old one stays good, in seconds or as 90m, up to 720h; none: as the deployment says")
	o := operatorFlags(f)
	path, err := id.parse(args)
	if err != nil {
		return err
	}
	body := map[string]int64{}
	if *grace != "" {
		if body["grace"], err = wholeSeconds(*grace); err != nil {
			return misused("app rotate: --grace: %v", err)
		}
	}
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	return o.print("POST", path+"/rotate", text)
}

// wholeSeconds reads a duration as settings in a manifest have it: "5400", "90m".
func wholeSeconds(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d%time.Second != 0 {
		return 0, fmt.Errorf("%q: want seconds, or a duration such as 90m", s)
	}
	return int64(d / time.Second), nil
}

// appDo does to an application what needs no more than its id.
func appDo(args []string, command, about, method, action string) error {
	f := newFlags("app "+command, about)
	id := idFlag(f)
	o := operatorFlags(f)
	path, err := id.parse(args)
	if err != nil {
		return err
	}
	return o.print(method, path+action, nil)
}

// An appID is the flag that names an application.
type appID struct {
	flags
	id *string
}

func idFlag(f flags) appID { return appID{f, f.String("id", "", "the application's id")} }

// parse parses the flags and returns the path of the application.
func (a appID) parse(args []string) (string, error) {
	if err := a.flags.parse(args); err != nil {
		return "", err
	}
	if *a.id == "" {
		return "", misused("%s: --id: want the id of an application", strings.TrimPrefix(a.Name(), "edgeset "))
	}
	return "/apps/" + url.PathEscape(*a.id), nil
}
