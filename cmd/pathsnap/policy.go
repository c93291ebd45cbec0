package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/plugins"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A policyRun is one run of the policy command.
type policyRun struct {
	std      streams
	c        *cli.Context
	resolver *policy.Resolver
	plugin   string
	problems []error
}

func policyCommand(std streams) *cli.Command {
	return &cli.Command{
		Name:  "policy",
		Usage: "explain which policies allow or deny a conversation",
		UsageText: "pathsnap policy BUNDLE|DIR --src S --dst D --dport P [flags]\n" +
			"   pathsnap policy BUNDLE|DIR --checks FILE [flags]",
		Description: "Only policies are asked: what the nodes' rules do is pathsnap analyze's to say. BUNDLE needs no more than\n" +
			"   its cluster part; DIR is a directory of manifests (*.yaml, *.yml, *.json). S and D are the words of\n" +
			"   pathsnap analyze, or NAMESPACE/NAME. A Service is its backends.\n\n" +
			"Exit codes: 0 allowed, 3 denied, 4 unknown or mixed, 2 bad usage or input, 1 internal error.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "src", Aliases: []string{"s"}, Usage: "`ENDPOINT` that opens the conversation"},
			&cli.StringFlag{Name: "dst", Aliases: []string{"d"}, Usage: "`ENDPOINT` that it is opened with"},
			&cli.UintFlag{Name: "dport", Aliases: []string{"p"}, Usage: "`PORT` of the destination", DefaultText: "the one that --dst names"},
			&cli.StringFlag{Name: "protocol", Usage: "tcp, udp, sctp or icmp", Value: "tcp"},
			&cli.StringFlag{Name: "checks", Usage: "ask a question per line of `FILE` (- for standard input), " +
				`{"src","dst","port","protocol"}, and answer with a line of JSON each`},
			&cli.StringFlag{Name: "format", Usage: "`FORMAT`: text or json", DefaultText: "text"},
			outputFlag("write to `FILE` instead of standard output"),
		},
		Action: func(c *cli.Context) error { return (&policyRun{std: std, c: c}).run() },
	}
}

func (p *policyRun) run() error {
	args, err := arguments(p.c, "BUNDLE")
	if err != nil {
		return err
	}
	if err := p.check(args[0]); err != nil {
		return err
	}
	snap, problems, err := openCluster(args[0], p.std)
	if err != nil {
		return err
	}
	p.problems = problems
	if err := p.compile(snap); err != nil {
		return err
	}
	if p.c.String("checks") != "" {
		return p.checks()
	}
	return p.ask()
}

// check looks for flags that do not go together, before anything is read.
func (p *policyRun) check(bundle string) error {
	src, dst, format := p.c.String("src"), p.c.String("dst"), p.c.String("format")
	switch {
	case !slices.Contains([]string{"", "text", "json"}, format):
		return usagef("--format %q: there are text, json", format)
	case p.c.String("checks") != "":
		return p.checkMany(bundle, format)
	case src == "":
		return usagef("--src is missing: who opens the conversation? see pathsnap policy --help")
	case dst == "":
		return usagef("--dst is missing: with whom? see pathsnap policy --help")
	}
	_, err := question(src, dst, p.c.Uint("dport"), p.c.String("protocol"))
	return err
}

// checkMany looks for flags that do not go with --checks.
func (p *policyRun) checkMany(bundle, format string) error {
	switch {
	case slices.ContainsFunc([]string{"src", "dst", "dport", "protocol"}, p.c.IsSet):
		return usagef("each line of --checks has its own; leave out --src, --dst, --dport and --protocol")
	case p.c.String("checks") == standard && bundle == standard:
		return usagef("the bundle and the checks cannot both be on standard input")
	case format == "text":
		return usagef("--format %s: --checks answers in lines of JSON", format)
	}
	return nil
}

// compile reads the policies.
func (p *policyRun) compile(snap *snapshot.Snapshot) error {
	n, _, problems, err := readPolicies(snap)
	if err != nil {
		return err
	}
	var unread []error
	p.resolver, unread = policy.NewResolver(n, snap)
	problems = append(problems, unread...)
	for _, err := range problems {
		if !errors.Is(err, snapshot.ErrNotCollected) {
			p.problems = append(p.problems, err)
		}
	}
	p.plugin = analyze.DetectNetworkPlugin(snap, plugins.All()).Only()
	return nil
}

// ask asks the question of the flags and writes the answer.
func (p *policyRun) ask() error {
	q, err := question(p.c.String("src"), p.c.String("dst"), p.c.Uint("dport"), p.c.String("protocol"))
	if err != nil {
		return err
	}
	a, err := p.resolver.Ask(policyQuestion(q), p.plugin)
	if err != nil {
		return usagef("%w", err)
	}
	err = writeFile(p.c.String("output"), reportPerm, p.std.out, func(w io.Writer) error {
		if p.c.String("format") == "json" {
			return policy.WriteJSON(w, a, p.problems)
		}
		if err := policy.WriteText(w, a); err != nil {
			return err
		}
		return writeProblems(w, p.problems)
	})
	if err != nil {
		return err
	}
	return status(policyCode(a.Outcome))
}

// writeProblems lists what could not be read.
func writeProblems(w io.Writer, problems []error) error {
	for i, err := range problems {
		if i == 0 {
			if _, err := fmt.Fprintln(w, "\nNot understood, and left out:"); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintf(w, "  %s\n", oneLine(err.Error())); err != nil {
			return err
		}
	}
	return nil
}

func policyQuestion(q analyze.Question) policy.Question {
	return policy.Question{Src: q.Source, Dst: q.Destination, Port: q.Port, Protocol: q.Protocol}
}

// policyCode is the exit code of an outcome.
func policyCode(o policy.Outcome) int {
	switch o {
	case policy.Allowed:
		return exitOK
	case policy.Denied:
		return 3
	}
	return 4
}

// checks answers every line of --checks with a line of JSON, and ends as the
// worst of them. What could not be read is told on standard error.
func (p *policyRun) checks() error {
	in, done, err := openLines("checks", p.c.String("checks"), p.std)
	if err != nil {
		return err
	}
	defer done()
	if err := writeProblems(p.std.err, p.problems); err != nil {
		return err
	}
	code := exitOK
	err = writeFile(p.c.String("output"), reportPerm, p.std.out, func(w io.Writer) error {
		return eachLine("checks", in, func(line []byte) error {
			next, err := p.checkLine(w, line)
			code = worse(code, next)
			return err
		})
	})
	if err != nil {
		return err
	}
	return status(code)
}

// checkLine writes the answer of one line and returns its exit code.
func (p *policyRun) checkLine(w io.Writer, line []byte) (int, error) {
	q, err := parseFlow(line)
	var c *policy.Check
	if err == nil {
		c, err = p.resolver.Check(policyQuestion(q))
	}
	if err != nil {
		return exitUsage, report.WriteJSONError(w, err)
	}
	return policyCode(c.Outcome), policy.WriteJSONLine(w, c)
}
