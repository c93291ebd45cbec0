package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/collect"
	"github.com/pathsnap/pathsnap/collect/netns"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// scope says what a collect command collects.
type scope struct{ node, cluster bool }

func collectCommand(std streams) *cli.Command {
	both := scope{node: true, cluster: true}
	return &cli.Command{
		Name:  "collect",
		Usage: "write a bundle of the cluster's objects and of this machine",
		Description: "Reads only, as root: every network namespace of this machine, and the objects of the API server that\n" +
			"the network depends on, never Secrets. Collect the other nodes each by itself (collect node) and join\n" +
			"the bundles with pathsnap bundle merge.",
		Flags:  collectFlags(both),
		Action: func(c *cli.Context) error { return runCollect(c, std, both) },
		Subcommands: []*cli.Command{
			{
				Name:   "node",
				Usage:  "only this machine",
				Flags:  collectFlags(scope{node: true}),
				Action: func(c *cli.Context) error { return runCollect(c, std, scope{node: true}) },
			},
			{
				Name:   "cluster",
				Usage:  "only the objects of the API server",
				Flags:  collectFlags(scope{cluster: true}),
				Action: func(c *cli.Context) error { return runCollect(c, std, scope{cluster: true}) },
			},
		},
	}
}

func collectFlags(s scope) []cli.Flag {
	flags := []cli.Flag{outputFlag("`FILE`, directory (with a / at its end) or - for standard output (default: pathsnap-NAME.tar.zst)")}
	if s.node {
		flags = append(flags,
			&cli.StringFlag{Name: "node", Usage: "`NAME` of the node in the cluster (default: the host name)"},
			&cli.DurationFlag{Name: "section-timeout", Usage: "how long each section of a namespace may take", Value: netns.DefaultSectionTimeout},
			&cli.IntFlag{Name: "conntrack-max", Usage: "`NUMBER` of connections to keep for each namespace", Value: netns.DefaultConntrackMax})
	}
	if s.node && !s.cluster {
		flags = append(flags,
			&cli.StringFlag{Name: "external", Usage: "dump this machine as the host `NAME` outside the cluster"},
			&cli.StringFlag{Name: "cluster", Usage: "`BUNDLE` that holds the cluster's objects, to tell pods by"})
	}
	if s.cluster {
		flags = append(flags,
			&cli.StringFlag{Name: "kubeconfig", Usage: "`FILE` (default: KUBECONFIG, ~/.kube/config or the service account)"},
			&cli.StringFlag{Name: "context", Usage: "`NAME` of a context of the kubeconfig"})
	}
	return flags
}

func runCollect(c *cli.Context, std streams, s scope) error {
	if c.NArg() > 0 {
		return noCommand(c)
	}
	if err := checkCollect(c, s); err != nil {
		return err
	}
	name, err := partName(c, s)
	if err != nil {
		return err
	}
	w := newWriter()
	if s.cluster {
		o := collect.ClusterOptions{Kubeconfig: c.String("kubeconfig"), Context: c.String("context"), Progress: progress(std.err)}
		if err := collect.Cluster(c.Context, o, w); err != nil {
			return fmt.Errorf("collect the cluster: %w", err)
		}
	}
	if s.node {
		if err := collectNode(c.Context, nodeOptions(c, std, name), c.String("cluster"), w); err != nil {
			return fmt.Errorf("collect this machine: %w", err)
		}
	}
	if err := writeCollected(c.String("output"), name, std, w); err != nil {
		return err
	}
	return warnDenied(std.err, w)
}

// checkCollect looks for flags that make no sense, before anything is read.
func checkCollect(c *cli.Context, s scope) error {
	if c.String("external") != "" && c.String("node") != "" {
		return usagef("--external and --node both name this machine; give one of them")
	}
	if s.node && (c.Duration("section-timeout") <= 0 || c.Int("conntrack-max") <= 0) {
		return usagef("--section-timeout and --conntrack-max must be more than 0")
	}
	return nil
}

// warnDenied says it if a collector may have been run as the wrong user: the
// bundle is written all the same.
func warnDenied(out io.Writer, w *snapshot.Writer) error {
	s, err := w.Snapshot()
	if err != nil {
		return err
	}
	denied, parts := 0, s.Manifest().Parts
	for i := range parts {
		if parts[i].Status == nodedump.StatusDenied {
			denied++
		}
	}
	if denied > 0 {
		_, err = fmt.Fprintf(out, "pathsnap: %d of %d parts could not be read: denied; pathsnap bundle info says which\n", denied, len(parts))
	}
	return err
}

// partName is the name of this machine, or of the cluster.
func partName(c *cli.Context, s scope) (string, error) {
	if !s.node {
		return "cluster", nil
	}
	for _, flag := range []string{"external", "node"} {
		name := c.String(flag)
		if name != "" && (strings.Contains(name, "/") || snapshot.CheckName(name) != nil) {
			return "", usagef("--%s %q: a name has only letters, digits and ._-+@=,~%%, and does not begin with -", flag, name)
		}
		if name != "" {
			return name, nil
		}
	}
	name, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("the host name is needed, or --node: %w", err)
	}
	return strings.ToLower(name), nil
}

func nodeOptions(c *cli.Context, std streams, name string) netns.Options {
	return netns.Options{
		Node: name, External: c.String("external") != "", Progress: progress(std.err),
		SectionTimeout: c.Duration("section-timeout"), ConntrackMax: c.Int("conntrack-max"),
	}
}

// collectNode adds this machine to w. Its pods are named by what w has of the
// cluster, or by the bundle at pods.
func collectNode(ctx context.Context, o netns.Options, pods string, w *snapshot.Writer) error {
	known, err := w.Snapshot()
	if pods != "" {
		known, err = snapshot.OpenFile(pods)
	}
	if err != nil {
		return err
	}
	refs, err := collect.PodRefs(known, o.Node)
	if err != nil && pods != "" {
		return err
	}
	o.Pods = refs
	return collect.Node(ctx, o, w)
}

func newWriter() *snapshot.Writer {
	return snapshot.NewWriter(snapshot.Meta{Tool: "pathsnap " + toolVersion(), Created: time.Now().UTC().Format(time.RFC3339)})
}

// writeCollected writes the bundle, under a name of its own unless one is
// given; then it says which.
func writeCollected(output, name string, std streams, w *snapshot.Writer) error {
	if output != "" {
		return writeBundle(output, std, w)
	}
	output = "pathsnap-" + name + ".tar.zst"
	if err := writeBundle(output, std, w); err != nil {
		return err
	}
	_, err := fmt.Fprintln(std.out, output)
	return err
}
