package analyze

import (
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/snapshot"
)

// DetectProvider returns the provider whose cluster snap shows, and what was
// seen; the one that serves all others if it shows none. d is nil if all is
// empty.
func DetectProvider(snap *snapshot.Snapshot, all []*infra.Descriptor) (d *infra.Descriptor, saw string) {
	for _, one := range all {
		found, said := one.Detect(snap)
		if found {
			return one, said
		}
		if one.Fallback {
			d, saw = one, said
		}
	}
	return d, saw
}

// provider takes the provider that was asked for, or the one that the bundle
// shows, and lets it read what the bundle holds.
func (a *Analyzer) provider(o Options) (Provider, error) {
	d, saw := DetectProvider(a.snap, o.Providers)
	if o.CloudProvider != "" {
		var names []string
		saw, d = "--cloud-provider", nil
		for _, one := range o.Providers {
			if names = append(names, one.Name); one.Name == o.CloudProvider {
				d = one
			}
		}
		if d == nil {
			return nil, usagef("--cloud-provider %q: known are %s", o.CloudProvider, strings.Join(names, ", "))
		}
	}
	p := provider{a: a}
	if d == nil {
		return p, nil
	}
	a.hosting = report.Hosting{Provider: d.Name, Evidence: saw}
	u, notes, problems := d.New(infra.Env{Snapshot: a.snap, Cluster: a.ips})
	a.hosting.Assumed, a.hosting.Checked = notes, u != nil
	p.underlay = u
	a.note(problems)
	return p, nil
}

// A provider is the [Provider] that a descriptor describes.
type provider struct {
	a        *Analyzer
	underlay infra.Underlay
}

// CreateNetwork implements [Provider].
func (p provider) CreateNetwork(env plugin.Env, d *plugin.Detection) (Network, error) {
	env.Underlay = p.underlay
	plugins, err := build(env, d)
	if err != nil {
		return nil, err
	}
	return &network{Analyzer: p.a, env: env, plugins: plugins, underlay: p.underlay}, nil
}
