package main

import (
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// pluginCategory is, with the name of a plugin behind it, what its flags are listed under.
const pluginCategory = "network plugin "

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
		set.VisitAll(func(f *flag.Flag) { flags = append(flags, pluginFlag(pluginCategory+d.Name, f)) })
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

// mention says which options of plugins were given for nothing, since no node is in a
// network that their plugin serves.
func mention(c *cli.Context, w io.Writer, d *plugin.Detection) {
	for _, f := range c.Command.Flags {
		in, ok := f.(cli.CategorizableFlag)
		if !ok || !c.IsSet(f.Names()[0]) {
			continue
		}
		name, ok := strings.CutPrefix(in.GetCategory(), pluginCategory)
		if ok && !d.Serves(name) {
			_, _ = fmt.Fprintf(w, "pathsnap: --%s does nothing: no node is in a network of the plugin %s; see --network-plugin\n", f.Names()[0], name)
		}
	}
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
