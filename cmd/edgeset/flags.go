package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
)

// flags is a flag set each of whose flags can also be set by the environment:
// --listen by EDGESET_LISTEN.
type flags struct{ *flag.FlagSet }

func newFlags(command, about string) flags {
	f := flags{flag.NewFlagSet("edgeset "+command, flag.ContinueOnError)}
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "edgeset %s: %s\n\n", command, about)
		f.VisitAll(func(fl *flag.Flag) {
			_, what := flag.UnquoteUsage(fl)
			def := ""
			if fl.DefValue != "" && fl.DefValue != "false" {
				def = " (default " + fl.DefValue + ")"
			}
			fmt.Fprintf(f.Output(), "  --%-18s %s%s\n", fl.Name, what, def)
		})
		fmt.Fprintf(f.Output(), "\nEach flag can also be set by the environment: --listen by EDGESET_LISTEN.\n")
	}
	return f
}

// parse reads the environment, then the arguments, which win.
func (f flags) parse(args []string) error {
	rest, err := f.parseWithArgs(args)
	if err == nil && len(rest) > 0 {
		fmt.Fprintf(os.Stderr, "%s: unexpected argument %q\n", f.Name(), rest[0])
		return errUsage
	}
	return err
}

// parseWithArgs is parse for a command that takes more than flags: it returns what
// stands behind them.
func (f flags) parseWithArgs(args []string) ([]string, error) {
	var errs []error
	f.VisitAll(func(fl *flag.Flag) {
		env := "EDGESET_" + strings.ToUpper(strings.ReplaceAll(fl.Name, "-", "_"))
		if value, ok := os.LookupEnv(env); ok {
			if err := f.Set(fl.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("%s=%q: %w", env, value, err))
			}
		}
	})
	if err := errors.Join(errs...); err != nil {
		return nil, misused("%v", err)
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage // the flag package has said what is wrong
	}
	return f.Args(), nil
}

// parseAnywhere is parseWithArgs for a command whose flags may stand before, between and
// behind what else it takes.
func (f flags) parseAnywhere(args []string) (found []string, err error) {
	rest, err := f.parseWithArgs(args)
	for err == nil && len(rest) > 0 {
		if at := len(args) - len(rest); at > 0 && args[at-1] == "--" { // no flags behind it
			return append(found, rest...), nil
		}
		found, args = append(found, rest[0]), rest[1:]
		if err = f.Parse(args); err != nil && !errors.Is(err, flag.ErrHelp) {
			err = errUsage
		}
		rest = f.Args()
	}
	return found, err
}

// version is what the module was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
