// Command edgeset serves API families from WebAssembly plugins.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
)

const usage = `edgeset serves API families from WebAssembly plugins.

  edgeset serve            serve the deployments of a manifest, or the default one
  edgeset dev              serve plugins while they are written: built and swapped when their sources change
  edgeset deploy FILE      have the deployments of a manifest served, without anybody noticing the change
  edgeset deploy list      print what is deployed
  edgeset deploy rollback  have an older version of a deployment serve again
  edgeset secret set       keep a setting of a plugin apart from the manifest
  edgeset outbox list      print the mails and webhooks that are on their way, and those that have failed
  edgeset audit            print who changed what
  edgeset app create       make an application: the id and secret of an API client
  edgeset app list         list the applications
  edgeset app approve      let an application in that a developer has asked for
  edgeset app revoke       end an application and all of its tokens
  edgeset plugin compile   compile plugins ahead of time
  edgeset version          print the version

"edgeset COMMAND --help" tells the flags of a command, or the commands of a group.
`

// errUsage ends the process with status 2: the command line is wrong, and what
// is wrong was said.
var errUsage = errors.New("usage")

// misused says what is wrong with the command line.
func misused(format string, args ...any) error {
	fmt.Fprintf(os.Stderr, "edgeset "+format+"\n", args...)
	return errUsage
}

func main() {
	switch err := run(os.Args[1:]); {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	default:
		fmt.Fprint(os.Stderr, printableLines(errorPrefix+err.Error()))
		os.Exit(1)
	}
}

// errorPrefix begins the line that says what went wrong.
const errorPrefix = "edgeset: "

func run(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, usage)
		return errUsage
	}
	switch args[0] {
	case "serve":
		return serve(args[1:])
	case "dev":
		return dev(args[1:])
	case "deploy":
		return deployCommand(args[1:])
	case "secret":
		return secretCommand(args[1:])
	case "outbox":
		return outboxCommand(args[1:])
	case "audit":
		return audit(args[1:])
	case "app":
		return app(args[1:])
	case "plugin":
		return plugin(args[1:])
	case "version", "--version":
		fmt.Println("edgeset", version())
		return nil
	case "help", "-h", "--help":
		fmt.Print(usage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset: there is no command %q\n\n%s", args[0], usage)
	return errUsage
}
