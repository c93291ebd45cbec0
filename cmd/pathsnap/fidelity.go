package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func infoFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "json", Usage: "as JSON, the same as --format json"},
		&cli.StringFlag{Name: "format", Usage: "`FORMAT`: text, json", DefaultText: "text"},
		&cli.BoolFlag{Name: "fidelity", Usage: "say instead how much of it is understood: rules and entries read, and not understood; what is missing"},
		&cli.BoolFlag{Name: "all", Usage: "with --fidelity: list every entry that is not understood", DefaultText: fmt.Sprintf("%d of a namespace", report.MaxNotUnderstood)},
	}
}

// infoJSON reports whether JSON is asked for.
func infoJSON(c *cli.Context) (bool, error) {
	switch format := c.String("format"); {
	case format != "" && format != "text" && format != "json":
		return false, usagef("--format %q: there are text, json", format)
	case format == "text" && c.Bool("json"):
		return false, usagef("--format text and --json: leave one out")
	case c.Bool("all") && !c.Bool("fidelity"):
		return false, usagef("--all goes with --fidelity")
	default:
		return c.Bool("json") || format == "json", nil
	}
}

// writeFidelity writes how much of a bundle is understood. Each namespace is
// read once, and not kept.
func writeFidelity(out io.Writer, s *snapshot.Snapshot, asJSON, all bool) error {
	var nodes []report.NodeFidelity
	for _, place := range []struct {
		names    []string
		external bool
		node     func(string) (*nodedump.NodeNetworkStackDump, error)
		netns    func(node, key string) (*nodedump.NetNSInfo, error)
	}{{s.NodeNames(), false, s.Node, s.NetNS}, {s.ExternalNames(), true, s.External, s.ExternalNetNS}} {
		for _, name := range place.names {
			n := report.NodeFidelity{Name: name, External: place.external}
			dump, err := place.node(name)
			if err != nil {
				n.Error = err.Error()
				dump = &nodedump.NodeNetworkStackDump{Netns: []string{nodedump.HostNetns}}
			}
			for _, key := range dump.Netns {
				n.Namespaces = append(n.Namespaces, fidelityOf(name, key, place.netns))
			}
			nodes = append(nodes, n)
		}
	}
	if asJSON {
		return report.WriteFidelityJSON(out, nodes, all)
	}
	return report.WriteFidelity(out, nodes, all)
}

func fidelityOf(node, key string, read func(node, key string) (*nodedump.NetNSInfo, error)) report.NetnsFidelity {
	f := report.NetnsFidelity{Netns: key}
	info, err := read(node, key)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	ns, _ := netstack.New(info)
	f.Fidelity = ns.Fidelity()
	f.At = func(line int) string { return fmt.Sprintf("%s:%d", info.File, line) }
	return f
}
