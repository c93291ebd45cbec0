package main

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/plugins"
	"github.com/pathsnap/pathsnap/providers"
)

// An analysis is one run of the analyze command.
type analysis struct {
	std     streams
	c       *cli.Context
	plugins []*plugin.Descriptor
}

func analyzeCommand(std streams) *cli.Command {
	all := plugins.All()
	return &cli.Command{
		Name:      "analyze",
		Usage:     "walk a packet through a bundle: where it ends, and why",
		UsageText: "pathsnap analyze BUNDLE --src S --dst D [--dport P] [flags]\n   pathsnap analyze BUNDLE --flows FILE [flags]",
		Description: "BUNDLE is a file, a directory or - for an archive on standard input. S and D are\n" +
			"   pod:NAMESPACE/NAME  svc:NAMESPACE/NAME[:PORT]  node:NAME  external:NAME  IP[:PORT]\n" +
			"each with an optional :PORT.\n\n" +
			"Exit codes: 0 reached, 3 not reached, 4 unknown or mixed, 2 bad usage or input, 1 internal error.",
		Flags: append(analyzeFlags(), pluginFlags(all)...),
		Action: func(c *cli.Context) error {
			return (&analysis{std: std, c: c, plugins: all}).run()
		},
	}
}

func analyzeFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "src", Aliases: []string{"s"}, Usage: "`ENDPOINT` that opens the conversation"},
		&cli.StringFlag{Name: "dst", Aliases: []string{"d"}, Usage: "`ENDPOINT` that it is opened with"},
		&cli.UintFlag{Name: "dport", Aliases: []string{"p"}, Usage: "`PORT` of the destination", DefaultText: "the one that --dst names"},
		&cli.StringFlag{Name: "protocol", Usage: "tcp, udp, sctp or icmp", Value: "tcp"},
		&cli.StringFlag{Name: "flows", Usage: "ask a question per line of `FILE` (- for standard input), " +
			`{"src","dst","port","protocol"}, and answer with a line of JSON each`},
		formatFlag(report.Formats()),
		outputFlag("write to `FILE` instead of standard output"),
		&cli.StringFlag{Name: "network-plugin", Usage: "`NAME` of the CNI plugin: " + pluginNames(), DefaultText: "as the bundle shows"},
		&cli.StringFlag{Name: "proxy-mode", Usage: "`MODE` of kube-proxy: iptables, ipvs or nftables", DefaultText: "as the bundle shows"},
		&cli.StringFlag{Name: "cluster-cidr", Usage: "`PREFIX` of the pods", DefaultText: "as the bundle shows"},
		cloudProviderFlag(),
	}
}

func pluginNames() string {
	var names []string
	for _, d := range plugins.All() {
		names = append(names, d.Name)
	}
	return strings.Join(names, ", ")
}

func cloudProviderFlag() cli.Flag {
	var names []string
	for _, d := range providers.All() {
		names = append(names, d.Name)
	}
	return &cli.StringFlag{Name: "cloud-provider", Usage: "`NAME` of what lies between the machines: " + strings.Join(names, ", "), DefaultText: "as the bundle shows"}
}

func (a *analysis) run() error {
	args, err := arguments(a.c, "BUNDLE")
	if err != nil {
		return err
	}
	if err := a.check(args[0]); err != nil {
		return err
	}
	format, err := a.format()
	if err != nil {
		return err
	}
	snap, err := openBundle(args[0], a.std)
	if err != nil {
		return err
	}
	analyzer, err := analyze.New(snap, analyze.Options{
		NetworkPlugin: a.c.String("network-plugin"), ProxyMode: a.c.String("proxy-mode"),
		ClusterCIDR: a.c.String("cluster-cidr"), CloudProvider: a.c.String("cloud-provider"), Plugins: a.plugins, Providers: providers.All(),
	})
	if err != nil {
		return err
	}
	mention(a.c, a.std.err, analyzer.Detection())
	if a.c.String("flows") != "" {
		return a.flows(analyzer)
	}
	return a.ask(analyzer, format)
}

// check looks for flags that do not go together, before anything is read.
func (a *analysis) check(bundle string) error {
	src, dst, flows := a.c.String("src"), a.c.String("dst"), a.c.String("flows")
	asked := slices.ContainsFunc([]string{"src", "dst", "dport", "protocol"}, a.c.IsSet)
	switch {
	case flows != "" && asked:
		return usagef("each line of --flows has its own; leave out --src, --dst, --dport and --protocol")
	case flows == standard && bundle == standard:
		return usagef("the bundle and the flows cannot both be on standard input")
	case flows == "" && src == "":
		return usagef("--src is missing: who opens the conversation? see pathsnap analyze --help")
	case flows == "" && dst == "":
		return usagef("--dst is missing: with whom? see pathsnap analyze --help")
	}
	if err := validate(a.plugins); err != nil {
		return err
	}
	_, err := question(a.c.String("src"), a.c.String("dst"), a.c.Uint("dport"), a.c.String("protocol"))
	return err
}

// format is the format that is asked for.
func (a *analysis) format() (report.Format, error) {
	if a.c.String("flows") != "" {
		return report.Format{}, noFormat(a.c, "flows")
	}
	return chooseFormat(a.c, a.std, report.Formats())
}

// ask asks the question of the flags and writes the answer.
func (a *analysis) ask(analyzer *analyze.Analyzer, format report.Format) error {
	q, err := question(a.c.String("src"), a.c.String("dst"), a.c.Uint("dport"), a.c.String("protocol"))
	if err != nil {
		return err
	}
	d, err := analyzer.Ask(q)
	if d == nil && err != nil {
		return err
	}
	if e := writeReport(a.c, a.std, format, d); e != nil {
		return e
	}
	if err != nil { // what was walked until the simulation broke is shown all the same
		return err
	}
	return status(report.ExitCode(d.Outcome))
}

// status ends the process with a code; 0 is no error.
func status(code int) error {
	if code == exitOK {
		return nil
	}
	return statusError(code)
}

// question checks what can be checked without a bundle.
func question(src, dst string, port uint, protocol string) (analyze.Question, error) {
	if port > 65535 {
		return analyze.Question{}, usagef("port %d: the largest is 65535", port)
	}
	if protocol == "" {
		protocol = string(model.TCP)
	}
	p := model.Protocol(strings.ToLower(protocol))
	if p.HasPorts() || p == model.ICMP {
		return analyze.Question{Source: src, Destination: dst, Port: uint16(port), Protocol: p}, nil
	}
	return analyze.Question{}, usagef("protocol %q: there are tcp, udp, sctp and icmp", protocol)
}
