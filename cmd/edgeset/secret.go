package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"

	"github.com/edgeset/edgeset/host/secret"
)

const secretUsage = `edgeset secret keeps settings of plugins apart from manifests. A manifest names them: secrets = ["NAME"].
With --outbox instead of --plugin P it keeps those by which mails and calls of webhooks are delivered.

  edgeset secret set --plugin P NAME      set a secret; its value is read from stdin
  edgeset secret set --outbox NAME        set one of the outbox: a password in [deployment.mail], a secret in [[deployment.webhook]]
  edgeset secret list                     print the secrets of a deployment, without their values
  edgeset secret remove --plugin P NAME   remove a secret

"edgeset secret COMMAND --help" tells the flags of a command.
`

func secretCommand(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, secretUsage)
		return errUsage
	}
	switch rest := args[1:]; args[0] {
	case "set":
		return secretSet(rest)
	case "list":
		return secretList(rest)
	case "remove":
		return secretRemove(rest)
	case "help", "-h", "--help":
		fmt.Print(secretUsage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset secret: there is no command %q\n\n%s", args[0], secretUsage)
	return errUsage
}

func secretSet(args []string) error {
	f := newFlags("secret set (--plugin P | --outbox) NAME", "set a secret of a plugin, or of the outbox; its value is read from stdin, without the line break at its end")
	s := newSecretFlags(f)
	if err := s.parse(args); err != nil {
		return err
	}
	value, err := readSecret()
	if err != nil {
		return err
	}
	return s.send("PUT", value)
}

func secretRemove(args []string) error {
	f := newFlags("secret remove (--plugin P | --outbox) NAME", "remove a secret of a plugin, or of the outbox")
	s := newSecretFlags(f)
	if err := s.parse(args); err != nil {
		return err
	}
	return s.send("DELETE", nil)
}

// readSecret reads a value from stdin: not from the command line, which everybody on the
// machine can read.
func readSecret() ([]byte, error) {
	if isTerminal(os.Stdin) {
		fmt.Fprint(os.Stderr, "The value, and then Enter and Ctrl-D; it is shown as you type: ")
	}
	value, err := io.ReadAll(io.LimitReader(os.Stdin, secret.MaxValue+3))
	if err != nil {
		return nil, fmt.Errorf("stdin: %w", err)
	}
	value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	switch {
	case len(value) == 0:
		return nil, errors.New("stdin: there is nothing; want the value of the secret")
	case len(value) > secret.MaxValue:
		return nil, fmt.Errorf("stdin: a secret has at most %d bytes", secret.MaxValue)
	}
	return value, nil
}

// secretFlags are the flags of the commands that change a secret.
type secretFlags struct {
	flags
	operator
	plugin, message *string
	outbox          *bool
	name            string
}

func newSecretFlags(f flags) *secretFlags {
	s := &secretFlags{
		flags: f, plugin: f.String("plugin", "", "name of the plugin"), outbox: f.Bool("outbox", false, "it is by which mails and calls of webhooks are delivered"),
		message: f.String("message", "", "why, for the record"),
	}
	f.StringVar(s.message, "m", "", "the same as --message")
	s.operator = operatorFlags(f)
	return s
}

func (s *secretFlags) parse(args []string) error {
	names, err := s.parseAnywhere(args)
	switch {
	case err != nil:
		return err
	case len(names) != 1:
		return misused("secret: want the name of one secret, but there are %d: its value is read from stdin", len(names))
	case *s.outbox && *s.plugin != "":
		return misused("secret: --plugin and --outbox: want one of the two")
	case *s.outbox:
		*s.plugin = secret.Outbox
	case *s.plugin == "":
		return misused("secret: --plugin: want the name of a plugin, or --outbox")
	}
	s.name = names[0]
	return nil
}

func (s *secretFlags) send(method string, value []byte) error {
	_, err := s.do(context.Background(), call{
		method: method, path: apiPath("deployments", *s.deployment, "secrets", *s.plugin, s.name),
		query: url.Values{"by": {who()}, "message": {*s.message}},
		body:  bytes.NewReader(value), size: int64(len(value)),
	})
	return err
}

func secretList(args []string) error {
	f := newFlags("secret list", "print the secrets of a deployment, without their values")
	asJSON := f.Bool("json", false, "print them as JSON")
	o := operatorFlags(f)
	if err := f.parse(args); err != nil {
		return err
	}
	var answer struct {
		Secrets []secret.Entry `json:"secrets"`
	}
	if err := o.get(context.Background(), &answer, nil, "deployments", *o.deployment, "secrets"); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(answer)
	}
	var rows [][]string
	for _, e := range answer.Secrets {
		rows = append(rows, []string{e.Plugin, e.Name, strconv.Itoa(e.Revision), moment(e.At)})
	}
	return columns(os.Stdout, "PLUGIN NAME REVISION AT", rows)
}
