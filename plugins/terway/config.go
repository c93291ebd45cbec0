package terway

import (
	"cmp"
	"flag"
	"fmt"
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// Config holds the options of terway. Empty ones are read from the bundle.
type Config struct {
	Mode string // of all pods
	MTU  int    // of pods and ENIs, 0 to read it
}

func (c *Config) mtus() []plugin.MTUOption {
	return []plugin.MTUOption{{Name: "terway-mtu", Usage: "MTU in `BYTES` of pods and ENIs (default: from the CNI configuration, where that is 1500 if it names none)", Value: &c.MTU}}
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Mode, "terway-mode", "", "`MODE` of all pods: vpc, veth (ENIIP with policy routing), ipvlan, exclusive or vlan (default: of each pod, by its node's state)")
	plugin.BindMTUs(fs, c.mtus())
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	if c.Mode != "" && !slices.Contains([]mode{modeVPC, modeVeth, modeIPvlan, modeExclusive, modeVLAN}, mode(c.Mode)) {
		return fmt.Errorf("--terway-mode %q: known are vpc, veth, ipvlan, exclusive and vlan", c.Mode)
	}
	return plugin.ValidateMTUs(c.mtus())
}

// cniConf is what terway's CNI configuration says (CNIConf in
// plugin/driver/types/types.go).
type cniConf struct {
	VirtualType     string   `json:"eniip_virtual_type"` // IPVlan, datapathv2, veth; "" is veth
	HostStackCIDRs  []string `json:"host_stack_cidrs"`   // that exclusive pods reach by their node
	DisableHostPeer bool     `json:"disable_host_peer"`  // exclusive pods have no veth to their node
	MTU             int      `json:"mtu"`
	AutoMTU         bool     `json:"auto_mtu"` // terway finds the MTU out, unless mtu is there (applyMTU in cmd/terway-cli/cni.go)

	known bool // a configuration was collected
}

// defaultMTU is that of a configuration that names none (plugin/terway/cni.go).
const defaultMTU = 1500

// read reads the CNI configuration of a node.
func read(env plugin.Env, node string) cniConf {
	conf, ok := plugin.NodeCNIPlugin[cniConf](env, node, "terway", "10-terway.conflist", "10-terway.conf")
	conf.known = ok
	return conf
}

// mtuOf is the MTU of pods and ENIs of a node, 0 if it is not known.
func (t *terway) mtuOf(node string) int {
	conf := t.conf(node)
	switch {
	case t.cfg.MTU != 0:
		return t.cfg.MTU
	case !conf.known || conf.AutoMTU && conf.MTU == 0:
		return 0
	}
	return cmp.Or(conf.MTU, defaultMTU)
}

// hostStack are the ranges that exclusive pods of a node reach by the node, which
// translates what is for Services and runs what host_stack_cidrs name.
func (t *terway) hostStack(node string) (out []netip.Prefix) {
	for _, c := range t.IPCache.ServiceCIDRs() {
		out = append(out, c.Prefix)
	}
	for _, text := range t.conf(node).HostStackCIDRs {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}
