package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

// A tracing is one run of the trace command.
type tracing struct {
	std   streams
	c     *cli.Context
	space *space
}

// A space is the network namespace that packets are traced through.
type space struct {
	ns          *netstack.NetNS
	node, netns string
	unknowns    []model.Doubt
	rename      func(string) string // of evidence; nil leaves it
}

func traceCommand(std streams) *cli.Command {
	return &cli.Command{
		Name:  "trace",
		Usage: "one network namespace, one packet: every way out, and why",
		UsageText: "pathsnap trace BUNDLE [--node NODE] [--netns NETNS] --packet PACKET [flags]\n" +
			"   pathsnap trace --iptables-save FILE [--ip-addr FILE --ip-route4 FILE ...] --packet PACKET [flags]\n" +
			"   pathsnap trace ... --packets FILE",
		Description: "BUNDLE is a bundle, or a directory as bundle import takes. Without one, what the node's tools have printed\n" +
			"is enough, as text or JSON; what is not given is said.\n\n" +
			"PACKET is \"PROTOCOL [SOURCE] > DESTINATION\": a source that is left out is chosen by the routes. Without --in\n" +
			"the packet is born in the namespace.\n\n" +
			"   pathsnap trace all.tar.zst --node node1 --in cni0 --packet \"tcp 10.244.0.5:40000 > 10.96.0.10:53\"\n" +
			"   pathsnap trace all.tar.zst --node node1 --netns demo/web --packet \"udp > 10.96.0.10:53\"\n" +
			"   pathsnap trace --iptables-save rules.txt --in eth0 --packet \"icmp 192.0.2.1 > 10.0.0.2 type 3 code 1\"\n" +
			"   ip -j -d addr > a; ip -j route show table all > r; ip -j rule > u; iptables-save > i\n" +
			"   pathsnap trace --ip-addr a --ip-route4 r --ip-rule4 u --iptables-save i --packet \"tcp > 10.0.0.2:80\" -o ways.svg\n\n" +
			"A line of --packets is {\"protocol\",\"src\",\"sport\",\"dst\",\"dport\",\"in\",\"out\",\"mark\",\"tos\"}; each is answered by a line of\n" +
			"JSON (docs/json-output.md).\n\n" +
			"Exit codes: 0 every way leaves or arrives, 3 none does, 4 unknown or it differs, 2 bad usage or input.",
		Flags:  append(traceFlags(), bareFlags()...),
		Action: func(c *cli.Context) error { return (&tracing{std: std, c: c}).run() },
	}
}

func traceFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "node", Usage: "`NAME` of the node, or of a host outside the cluster", DefaultText: "the only one"},
		&cli.StringFlag{Name: "netns", Usage: "`NETNS`: host, NAMESPACE/POD, or a key of the bundle", Value: "host"},
		&cli.StringFlag{Name: "packet", Usage: "`PACKET`: \"tcp 10.0.0.1:40000 > 10.0.0.2:80\""},
		&cli.StringFlag{Name: "in", Usage: "`DEV` that the packet comes in by", DefaultText: "it is born here"},
		&cli.StringFlag{Name: "out", Usage: "`DEV` that the socket of its sender is bound to"},
		&cli.StringFlag{Name: "mark", Usage: "`MARK` of the packet, such as 0x4000"},
		&cli.StringFlag{Name: "tos", Usage: "`TOS` byte of the packet"},
		&cli.StringFlag{Name: "packets", Usage: "trace a packet per line of `FILE` (- for standard input)"},
		formatFlag(report.TraceFormats()),
		outputFlag("write to `FILE` instead of standard output"),
	}
}

func (t *tracing) run() error {
	format, err := t.check()
	if err != nil {
		return err
	}
	var q trace.Question
	if t.c.String("packets") == "" {
		if q, err = t.question(); err != nil {
			return err
		}
	}
	if t.space, err = t.open(); err != nil {
		return err
	}
	if t.c.String("packets") != "" {
		return t.many()
	}
	if err := t.space.check(&q); err != nil {
		return err
	}
	return t.one(q, format)
}

// check looks for flags that do not go together, before anything is read.
func (t *tracing) check() (f report.TraceFormat, err error) {
	if err := t.checkSource(); err != nil {
		return f, err
	}
	packet, packets := t.c.String("packet"), t.c.String("packets")
	switch {
	case packet == "" && packets == "":
		return f, usagef("--packet is missing: which packet? see pathsnap trace --help")
	case packet != "" && packets != "":
		return f, usagef("--packet and --packets: leave one out")
	case packets != "" && slices.ContainsFunc([]string{"in", "out", "mark", "tos"}, t.c.IsSet):
		return f, usagef("each line of --packets has its own; leave out --in, --out, --mark and --tos")
	case packets == standard && t.c.Args().First() == standard:
		return f, usagef("the bundle and the packets cannot both be on standard input")
	}
	return t.format()
}

// checkSource looks whether it is said once what the packet is traced through.
func (t *tracing) checkSource() error {
	bundle, bare := t.c.Args().First(), t.bare()
	switch {
	case t.c.Args().Len() > 1:
		return usagef("unexpected argument %q; see pathsnap trace --help", t.c.Args().Get(1))
	case bundle == "" && len(bare) == 0:
		return usagef("BUNDLE is missing, or files such as --iptables-save FILE; see pathsnap trace --help")
	case bundle != "" && len(bare) > 0:
		return usagef("--%s and %s: a bundle has its own; leave one out", bare[0], bundle)
	case bundle == "" && t.c.IsSet("node"):
		return usagef("--node: files of one node need no name; leave it out")
	}
	return nil
}

// format is the format that is asked for.
func (t *tracing) format() (f report.TraceFormat, err error) {
	if t.c.String("packets") != "" {
		return f, noFormat(t.c, "packets")
	}
	return chooseFormat(t.c, t.std, report.TraceFormats())
}

// one traces the packet of the flags and writes the answer.
func (t *tracing) one(q trace.Question, format report.TraceFormat) error {
	r := t.space.trace(q)
	if err := writeReport(t.c, t.std, format, r); err != nil {
		return err
	}
	return status(report.TraceExitCode(&r.Result))
}

// trace answers a question.
func (s *space) trace(q trace.Question) *report.Trace {
	r := &report.Trace{Node: s.node, Netns: s.netns, Result: trace.Trace(s.ns, q), Unknowns: s.unknowns}
	if s.rename != nil {
		r.Rename(s.rename)
	}
	return r
}
