package main

import (
	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/check"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/plugins"
	"github.com/pathsnap/pathsnap/providers"
)

func checkCommand(std streams) *cli.Command {
	all := plugins.All()
	return &cli.Command{
		Name:      "check",
		Usage:     "look for what is wrong in a whole bundle, with no packet given",
		UsageText: "pathsnap check BUNDLE [--node N] [flags]",
		Description: "BUNDLE is a file, a directory or - for an archive on standard input.\n\n" +
			"Exit codes: 0 nothing of level warning or worse, 3 something was found, 4 nothing was and not all could be\n" +
			"checked, 2 bad usage or input, 1 internal error.",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "node", Usage: "only what is about node `N`, or about the cluster"},
			formatFlag(report.CheckFormats()),
			outputFlag("write to `FILE` instead of standard output"),
			&cli.StringFlag{Name: "network-plugin", Usage: "`NAME` of the CNI plugin: " + pluginNames(), DefaultText: "as the bundle shows"},
			&cli.StringFlag{Name: "proxy-mode", Usage: "`MODE` of kube-proxy: iptables, ipvs or nftables", DefaultText: "as the bundle shows"},
			&cli.StringFlag{Name: "cluster-cidr", Usage: "`PREFIX` of the pods", DefaultText: "as the bundle shows"},
			cloudProviderFlag(),
		}, pluginFlags(all)...),
		Action: func(c *cli.Context) error { return runCheck(c, std, all) },
	}
}

func runCheck(c *cli.Context, std streams, all []*plugin.Descriptor) error {
	args, err := arguments(c, "BUNDLE")
	if err != nil {
		return err
	}
	format, err := chooseFormat(c, std, report.CheckFormats())
	if err != nil {
		return err
	}
	if err := validate(all); err != nil {
		return err
	}
	snap, err := openBundle(args[0], std)
	if err != nil {
		return err
	}
	analyzer, err := analyze.New(snap, analyze.Options{
		NetworkPlugin: c.String("network-plugin"), ProxyMode: c.String("proxy-mode"), ClusterCIDR: c.String("cluster-cidr"),
		CloudProvider: c.String("cloud-provider"), Plugins: all, Providers: providers.All(),
	})
	if err != nil {
		return err
	}
	mention(c, std.err, analyzer.Detection())
	found, err := check.Run(analyzer, c.String("node"))
	if err != nil {
		return err
	}
	if err := writeReport(c, std, format, found); err != nil {
		return err
	}
	return status(found.ExitCode())
}
