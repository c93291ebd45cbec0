package analyze

import (
	"slices"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// Env returns what a network plugin is given: the parsed bundle. It is shared
// with all walks, and what is read through it is kept.
func (a *Analyzer) Env() plugin.Env {
	if n, ok := a.network.(*network); ok {
		return n.env
	}
	return plugin.Env{}
}

// Underlay returns what knows the network between machines, nil if it is taken
// to be good.
func (a *Analyzer) Underlay() infra.Underlay {
	if n, ok := a.network.(*network); ok {
		return n.underlay
	}
	return nil
}

// Hosting returns what is known of the network between machines.
func (a *Analyzer) Hosting() report.Hosting { return a.hosting }

// Policies returns the policies of the bundle.
func (a *Analyzer) Policies() *policy.NetworkPolicy { return a.policy }

// ProxyMode returns the mode of kube-proxy, "" if it is not known.
func (a *Analyzer) ProxyMode() string { return a.proxyMode }

// Unknowns returns what is not known about the bundle as a whole.
func (a *Analyzer) Unknowns() []model.Doubt { return slices.Clone(a.unknowns) }
