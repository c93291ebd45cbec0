package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// newApp returns the command line. Nothing in it outlives one run.
func newApp(std streams) *cli.App {
	app := &cli.App{
		Name:  "pathsnap",
		Usage: "which way does this packet go, where does it end, and why",
		Description: "Collect what a cluster's network looks like into one file, and ask questions of that file later,\n" +
			"anywhere, with no cluster in reach.",
		UsageText:       "pathsnap COMMAND [arguments]",
		HideVersion:     true,
		HideHelpCommand: true,
		Reader:          std.in,
		Writer:          std.out,
		ErrWriter:       std.err,
		ExitErrHandler:  func(*cli.Context, error) {},
		OnUsageError:    onUsageError,
		Action:          noCommand,
		Commands: []*cli.Command{
			collectCommand(std),
			bundleCommand(std),
			analyzeCommand(std),
			checkCommand(std),
			traceCommand(std),
			policyCommand(std),
			connectivityCommand(std),
			{
				Name:   "version",
				Usage:  "print the version",
				Action: func(*cli.Context) error { return printVersion(std) },
			},
		},
	}
	for _, c := range app.Commands {
		c.OnUsageError, c.HideHelpCommand = onUsageError, true
		for _, sub := range c.Subcommands {
			sub.OnUsageError, sub.HideHelpCommand = onUsageError, true
		}
	}
	return app
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	return usagef("%w; see %s --help", err, c.Command.HelpName)
}

// noCommand is the action of a command that only has subcommands.
func noCommand(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return usagef("%s has no command %q; see %s --help", c.Command.HelpName, name, c.Command.HelpName)
	}
	return cli.ShowSubcommandHelp(c)
}

func printVersion(std streams) error {
	_, err := fmt.Fprintf(std.out, "pathsnap %s %s %s/%s\n", toolVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// toolVersion is the version of this binary.
func toolVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
