package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/urfave/cli/v2"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/rawimport"
)

func bundleCommand(std streams) *cli.Command {
	return &cli.Command{
		Name:   "bundle",
		Usage:  "look into, check, join and make bundles",
		Action: noCommand,
		Subcommands: []*cli.Command{
			{
				Name: "info", ArgsUsage: "BUNDLE", Usage: "say what a bundle holds and what it lacks",
				Flags:  infoFlags(),
				Action: func(c *cli.Context) error { return runInfo(c, std) },
			},
			{
				Name: "verify", ArgsUsage: "BUNDLE", Usage: "read every part, and exit with 1 if one is damaged",
				Action: func(c *cli.Context) error { return runVerify(c, std) },
			},
			{
				Name: "extract", ArgsUsage: "BUNDLE DIR", Usage: "write the parts to a new directory, which is a bundle too",
				Action: func(c *cli.Context) error { return runExtract(c, std) },
			},
			{
				Name: "merge", ArgsUsage: "OUT PART...", Usage: "join bundles that were collected apart",
				Description: "OUT is a new file, a directory (with a / at its end) or - for standard output.",
				Action:      func(c *cli.Context) error { return runMerge(c, std) },
			},
			{
				Name: "import", ArgsUsage: "RAW", Usage: "make a bundle from what kubectl, ip, iptables-save and others print",
				Description: "RAW is a directory with cluster/, nodes/NODE/host/, nodes/NODE/NAMESPACE_POD/, external/NAME/ and infra/aliyun/;\n" +
					"docs/bundle-format.md lists the files.",
				Flags:  []cli.Flag{outputFlag("`FILE`, directory (with a / at its end) or - for standard output")},
				Action: func(c *cli.Context) error { return runImport(c, std) },
			},
		},
	}
}

func runInfo(c *cli.Context, std streams) error {
	args, err := arguments(c, "BUNDLE")
	if err != nil {
		return err
	}
	asJSON, err := infoJSON(c)
	if err != nil {
		return err
	}
	s, err := openBundle(args[0], std)
	if err != nil {
		return err
	}
	if c.Bool("fidelity") {
		return writeFidelity(std.out, s, asJSON, c.Bool("all"))
	}
	info := snapshot.Info(s)
	if asJSON {
		enc := json.NewEncoder(std.out)
		enc.SetIndent("", "  ")
		return enc.Encode(info)
	}
	return writeInfo(std.out, info)
}

// writeInfo writes a summary for people.
func writeInfo(out io.Writer, info snapshot.Summary) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(cells ...string) {
		for i := range cells {
			cells[i] = oneLine(cells[i])
		}
		_, _ = fmt.Fprintln(w, strings.TrimRight(strings.Join(cells, "\t"), "\t"))
	}
	for _, f := range [][2]string{{"created", info.Created}, {"by", info.Tool}, {"kubernetes", info.Kubernetes}} {
		if f[1] != "" {
			line(f[0], f[1])
		}
	}
	line("size", fmt.Sprintf("%s in %d parts", sizeText(info.Size), info.Parts))
	for _, p := range slices.Concat(info.Cluster, info.Infra) {
		line(p.Name, string(p.Status), sizeText(p.Size))
	}
	for _, nodes := range [][]snapshot.NodeSummary{info.Nodes, info.Externals} {
		for i := range nodes {
			n := &nodes[i]
			line(n.Name, fmt.Sprintf("%d namespaces, %d pods", n.Netns, n.Pods), sizeText(n.Size), n.Kernel, n.Error)
			for _, note := range n.Notes {
				line("", "note: "+note)
			}
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return writeStatuses(out, info.Statuses)
}

// writeStatuses writes what is missing, and why.
func writeStatuses(out io.Writer, statuses []snapshot.StatusSummary) error {
	for _, s := range statuses {
		if _, err := fmt.Fprintf(out, "%s: %d parts\n", s.Status, s.Count); err != nil {
			return err
		}
		for _, p := range s.Parts {
			if _, err := fmt.Fprintf(out, "  %s\n", oneLine(strings.TrimSuffix(p.Name+": "+p.Reason, ": "))); err != nil {
				return err
			}
		}
	}
	return nil
}

func runVerify(c *cli.Context, std streams) error {
	args, err := arguments(c, "BUNDLE")
	if err != nil {
		return err
	}
	s, err := openBundle(args[0], std)
	if err != nil {
		return err
	}
	damaged, text := 0, ""
	for _, p := range snapshot.Verify(s) {
		word := "damaged"
		if p.Note {
			word = "note"
		} else {
			damaged++
		}
		text += oneLine(fmt.Sprintf("%s: %s: %s", word, p.Part, p.Message)) + "\n"
	}
	if _, err := fmt.Fprintf(std.out, "%s%d parts, %d damaged\n", text, len(s.Manifest().Parts), damaged); err != nil {
		return err
	}
	if damaged > 0 {
		return statusError(exitInternal)
	}
	return nil
}

func runExtract(c *cli.Context, std streams) error {
	args, err := arguments(c, "BUNDLE", "DIR")
	if err != nil {
		return err
	}
	s, err := openBundle(args[0], std)
	if err != nil {
		return err
	}
	if err := newDir(args[1]); err != nil {
		return err
	}
	return snapshot.Extract(s, args[1])
}

func runMerge(c *cli.Context, std streams) error {
	args, err := arguments(c, "OUT", "PART...")
	if err != nil {
		return err
	}
	var parts []*snapshot.Snapshot
	for _, name := range args[1:] {
		s, err := openBundle(name, std)
		if err != nil {
			return err
		}
		parts = append(parts, s)
	}
	w := snapshot.NewWriter(snapshot.Meta{Tool: "pathsnap " + toolVersion()})
	if err := snapshot.Merge(w, parts...); err != nil {
		return err
	}
	return writeBundle(args[0], std, w)
}

func runImport(c *cli.Context, std streams) error {
	args, err := arguments(c, "RAW")
	if err != nil {
		return err
	}
	output := c.String("output")
	if output == "" {
		return usagef("name the new bundle with -o FILE")
	}
	switch info, err := os.Stat(args[0]); {
	case err != nil:
		return err
	case !info.IsDir():
		return usagef("%s: not a directory; put what the tools printed into one, see docs/bundle-format.md", args[0])
	}
	if _, err := os.Stat(filepath.Join(args[0], snapshot.ManifestName)); err == nil {
		return usagef("%s: is a bundle already; analyze it as it is", args[0])
	}
	w := newWriter()
	if err := rawimport.Import(os.DirFS(args[0]), w); err != nil {
		return fmt.Errorf("import %s: %w", args[0], err)
	}
	return writeBundle(output, std, w)
}
