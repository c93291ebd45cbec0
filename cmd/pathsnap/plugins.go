package main

import (
	"flag"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// pluginFlags turns the options of each plugin into flags, in a category of
// its own.
func pluginFlags(all []*plugin.Descriptor) []cli.Flag {
	var flags []cli.Flag
	for _, d := range all {
		if d.Config == nil {
			continue
		}
		set := flag.NewFlagSet(d.Name, flag.ContinueOnError)
		d.Config.BindFlags(set)
		set.VisitAll(func(f *flag.Flag) { flags = append(flags, pluginFlag("network plugin "+d.Name, f)) })
	}
	return flags
}

// pluginFlag turns one flag of the standard library into one of the command
// line. The value is handed over only if it is given.
func pluginFlag(category string, f *flag.Flag) cli.Flag {
	if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
		return &cli.BoolFlag{
			Name: f.Name, Usage: f.Usage, Category: category, Value: f.DefValue == "true", DefaultText: f.DefValue,
			Action: func(_ *cli.Context, v bool) error { return setPluginFlag(f, strconv.FormatBool(v)) },
		}
	}
	shown := f.DefValue
	if shown == "0" { // of a number that the bundle tells
		shown = ""
	}
	return &cli.StringFlag{
		Name: f.Name, Usage: f.Usage, Category: category, DefaultText: shown,
		Action: func(_ *cli.Context, v string) error { return setPluginFlag(f, v) },
	}
}

func setPluginFlag(f *flag.Flag, value string) error {
	if err := f.Value.Set(value); err != nil {
		return usagef("--%s %q: %w", f.Name, value, err)
	}
	return nil
}

// validate looks for plugin options that make no sense.
func validate(all []*plugin.Descriptor) error {
	for _, d := range all {
		if d.Config == nil {
			continue
		}
		if err := d.Config.Validate(); err != nil {
			return usageError{err}
		}
	}
	return nil
}
