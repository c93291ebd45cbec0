package main

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze"
	"github.com/pathsnap/pathsnap/analyze/connectivity"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/plugins"
	"github.com/pathsnap/pathsnap/snapshot"
)

func connectivityCommand(std streams) *cli.Command {
	return &cli.Command{
		Name:      "connectivity",
		Usage:     "who may talk to whom, by which ports, as the policies have it",
		UsageText: "pathsnap connectivity BUNDLE|DIR [--policies-only] [--namespace N] [flags]",
		Description: "Every pod to every pod, to the nodes and to addresses outside. Only policies are asked; pods that are equal to\n" +
			"   all of them come together. BUNDLE needs no more than its cluster part; DIR is a directory of manifests\n" +
			"   (*.yaml, *.yml, *.json). Not listed: a pod and itself, and what a node and its own pods may always send to each other.\n\n" +
			"Exit codes: 0 answered, 2 bad usage or input, 1 internal error.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "policies-only", Usage: "leave out the Services, and whether the network enforces policies"},
			&cli.StringFlag{Name: "namespace", Aliases: []string{"n"}, Usage: "only what is from or to pods of namespace `N`"},
			formatFlag(report.ConnectivityFormats()),
			outputFlag("write to `FILE` instead of standard output"),
		},
		Action: func(c *cli.Context) error { return runConnectivity(c, std) },
	}
}

func runConnectivity(c *cli.Context, std streams) error {
	args, err := arguments(c, "BUNDLE")
	if err != nil {
		return err
	}
	format, err := chooseFormat(c, std, report.ConnectivityFormats())
	if err != nil {
		return err
	}
	snap, problems, err := openCluster(args[0], std)
	if err != nil {
		return err
	}
	r, err := connectivityOf(c, snap, problems)
	if err != nil {
		return err
	}
	return writeReport(c, std, format, r)
}

// connectivityOf makes the report. What could not be read is among its problems.
func connectivityOf(c *cli.Context, snap *snapshot.Snapshot, problems []error) (*connectivity.Report, error) {
	n, ips, errs, err := readPolicies(snap)
	if err != nil {
		return nil, err
	}
	problems = append(problems, errs...)
	namespace := c.String("namespace")
	if namespace != "" && !slices.ContainsFunc(ips.Pods(), func(p *corev1.Pod) bool { return p.Namespace == namespace }) {
		return nil, usagef("--namespace %s: no pod is in it", namespace)
	}
	r := connectivity.New(n, ips, nodeNames(snap), connectivity.Options{Namespace: namespace})
	if !c.Bool("policies-only") {
		ports, errs := service.Ports(snap)
		problems = append(problems, errs...)
		r.AddServices(n, ips, ports, isManifests(c.Args().First()))
		if _, err := snap.Services(); errors.Is(err, snapshot.ErrNotCollected) {
			r.Notes = append(r.Notes, "the bundle does not have the Services, so none is listed")
		}
		r.Unenforced = connectivity.Unenforced(snap, analyze.DetectNetworkPlugin(snap, plugins.All()).Only())
	}
	for _, err := range problems {
		if text := oneLine(err.Error()); !errors.Is(err, snapshot.ErrNotCollected) && !slices.Contains(r.Problems, text) {
			r.Problems = append(r.Problems, text)
		}
	}
	return r, nil
}

// nodeNames are those of the Node objects.
func nodeNames(snap *snapshot.Snapshot) (names []string) {
	nodes, err := snap.Nodes()
	if err != nil {
		return snap.NodeNames()
	}
	for i := range nodes {
		names = append(names, nodes[i].Name)
	}
	return names
}
