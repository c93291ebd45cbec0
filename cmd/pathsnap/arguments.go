package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reorder moves flags before positional arguments, because the parser below
// stops at the first positional one and people write
// "pathsnap analyze BUNDLE --src S". What follows "--" stays as it is. A flag
// whose value is missing must stay the last word, so that the parser sees it,
// and whoever asks for help gets that and nothing else.
func reorder(app *cli.App, args []string) []string {
	var path, flags, rest []string
	commands, known := app.Commands, flagsOf(&cli.Command{Flags: app.Flags, Subcommands: app.Commands})
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			rest = append(rest, args[i+1:]...)
			i = len(args)
		case len(arg) > 1 && arg[0] == '-':
			if isHelp(arg) {
				return append(path, arg)
			}
			flags = append(flags, arg)
			if !takesValue(known, arg) {
				continue
			}
			if i++; i == len(args) {
				return slices.Concat(path, flags)
			}
			flags = append(flags, args[i])
		default:
			command := find(commands, arg)
			if command == nil || len(rest) > 0 {
				rest = append(rest, arg)
				commands = nil
				continue
			}
			path = append(path, arg)
			commands, known = command.Subcommands, flagsOf(command)
		}
	}
	if len(rest) > 0 {
		rest = append([]string{"--"}, rest...)
	}
	return slices.Concat(path, flags, rest)
}

// flagsOf returns the flags of a command and of the commands below it.
func flagsOf(c *cli.Command) []cli.Flag {
	flags := slices.Clone(c.Flags)
	for _, sub := range c.Subcommands {
		flags = append(flags, flagsOf(sub)...)
	}
	return flags
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}

func isHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

// takesValue reports whether the argument after arg belongs to it.
func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range flags {
		if d, ok := f.(cli.DocGenerationFlag); ok && slices.Contains(f.Names(), name) {
			return d.TakesValue()
		}
	}
	return false
}
