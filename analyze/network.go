package analyze

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/report"
	"github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A Network is a simulated cluster network.
type Network interface {
	// Diagnose walks a conversation that src opens with dst. What was walked
	// is returned also on error, which says that the simulation broke; a
	// broken network is a suspicion.
	Diagnose(src, dst model.Endpoint, protocol model.Protocol) (*report.Diagnosis, error)
}

// A Provider builds the Network of one kind of hosting: what lies between the
// nodes is its business.
type Provider interface {
	CreateNetwork(env plugin.Env, d *plugin.Detection) (Network, error)
}

// A NetNodeManager finds the node behind a hop, and makes it on first use.
type NetNodeManager interface {
	GetNetNode(hop model.Hop) (model.NetNodeAction, error)
}

// A CollectorManager gives the dumped network state of pods and nodes.
type CollectorManager interface {
	CollectPod(namespace, name string) (*k8s.Pod, error)
	CollectNode(name string) (*k8s.NodeInfo, error)
}

// network implements [Network].
type network struct {
	*Analyzer
	env     plugin.Env
	plugins map[*plugin.Descriptor]plugin.Plugin // those that serve a node

	underlay infra.Underlay // nil: what lies between machines is taken to be good
}

// of returns the plugin that serves a node, nil if the kernel's state is all
// there is.
func (n *network) of(node string) plugin.Plugin { return n.plugins[n.detected.Of(node).Plugin] }

// Options say what the bundle may not tell.
type Options struct {
	NetworkPlugin string // name of a descriptor, "" to detect it
	ProxyMode     string // iptables, ipvs or nftables; "" to detect it
	ClusterCIDR   string // ranges of pod addresses, separated by commas; "" to read them from the bundle
	CloudProvider string // name of a descriptor, "" to detect it
	Plugins       []*plugin.Descriptor
	Providers     []*infra.Descriptor // of what lies between machines; without any it is taken to be good
}

// An Analyzer answers questions about one snapshot. What it reads it keeps, so
// that many questions cost little more than one. It is safe for concurrent
// use.
type Analyzer struct {
	snap      *snapshot.Snapshot
	ips       *k8s.IPCache
	atlas     *atlas
	collector *collector
	policy    *policy.NetworkPolicy
	network   Network
	unknowns  []model.Doubt // about the bundle as a whole

	detected  *plugin.Detection
	networks  []report.Network
	proxyMode string
	hosting   report.Hosting
}

// New prepares the analysis of snap.
func New(snap *snapshot.Snapshot, o Options) (*Analyzer, error) {
	ips, problems := k8s.NewIPCache(snap)
	a := &Analyzer{snap: snap, ips: ips, atlas: newAtlas(snap, ips), collector: newCollector(snap, ips)}
	a.note(problems)
	a.noteParts(snap)
	var err error
	if a.detected, err = a.choose(snap, o); err != nil {
		return nil, err
	}
	a.networks = networksOfAll(a.detected)
	a.policy, problems = policy.New(snap, ips)
	a.note(problems)
	env := plugin.Env{Snapshot: snap, IPCache: ips, Topology: topology.New(a.atlas), Atlas: a.atlas, HopOf: a.atlas.hopOf}
	if env.ClusterCIDRs, err = clusterCIDRs(o.ClusterCIDR, ips); err != nil {
		return nil, err
	}
	if err := a.services(snap, o, &env); err != nil {
		return nil, err
	}
	p, err := a.provider(o)
	if err != nil {
		return nil, err
	}
	a.network, err = p.CreateNetwork(env, a.detected)
	return a, err
}

// clusterCIDRs are the ranges of pod addresses: those of the option, or what
// the bundle says.
func clusterCIDRs(option string, ips *k8s.IPCache) (cidrs []netip.Prefix, err error) {
	if option == "" {
		for _, c := range ips.ClusterCIDRs() {
			cidrs = append(cidrs, c.Prefix)
		}
		return cidrs, nil
	}
	for one := range strings.SplitSeq(option, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(one))
		if err != nil {
			return nil, usagef("--cluster-cidr: %w", err)
		}
		cidrs = append(cidrs, p)
	}
	return cidrs, nil
}

// noteParts keeps which lists that tell the network plugin could not be read.
func (a *Analyzer) noteParts(snap *snapshot.Snapshot) {
	for _, name := range []string{"cluster/daemonsets.yaml", "cluster/configmaps.yaml"} {
		known := func(d model.Doubt) bool { return strings.Contains(d.What, name) }
		if p := snap.Part(name); !p.Status.Known() && !slices.ContainsFunc(a.unknowns, known) {
			a.unknowns = append(a.unknowns, model.Doubt{What: strings.TrimSuffix(fmt.Sprintf("%s: %s: %s", name, p.Status, p.Reason), ": ")})
		}
	}
}

// note keeps what could not be read for the report.
func (a *Analyzer) note(problems []error) {
	for _, p := range problems {
		a.unknowns = append(a.unknowns, model.Doubt{What: p.Error()})
	}
}

// services finds out what serves Services.
func (a *Analyzer) services(snap *snapshot.Snapshot, o Options, env *plugin.Env) error {
	switch o.ProxyMode {
	case "":
		mode, why := service.DetectProxyMode(snap)
		a.proxyMode = mode
		if mode == "" {
			a.unknowns = append(a.unknowns, model.Doubt{What: "the mode of kube-proxy is not known: " + why})
			return nil
		}
	case "iptables", "ipvs", "nftables":
		a.proxyMode = o.ProxyMode
	default:
		return usagef("--proxy-mode %q: known are iptables, ipvs and nftables", o.ProxyMode)
	}
	config, err := service.ReadConfig(snap)
	if err != nil {
		a.note([]error{err})
	}
	config.Mode = a.proxyMode
	if o.ClusterCIDR != "" {
		config.ClusterCIDRs = env.ClusterCIDRs
	}
	processor, problems := service.NewKubeProxyWithConfig(snap, a.ips, config)
	a.note(problems)
	env.Services = processor
	return nil
}
