package terway

import (
	"cmp"
	"flag"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/plugin"
	"github.com/pathsnap/pathsnap/snapshot"
)

// Config holds the options of terway. Empty ones are read from the bundle.
type Config struct {
	Mode string // of all pods
	MTU  int    // of pods and ENIs, 0 to read it
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Mode, "terway-mode", "", "`MODE` of all pods: vpc, veth (ENIIP with policy routing), ipvlan, exclusive or vlan (default: of each pod, by its node's state)")
	fs.IntVar(&c.MTU, "terway-mtu", 0, "MTU in `BYTES` of pods and ENIs (default: from the CNI configuration, where that is 1500 if it names none)")
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	if c.Mode != "" && !slices.Contains([]mode{modeVPC, modeVeth, modeIPvlan, modeExclusive, modeVLAN}, mode(c.Mode)) {
		return fmt.Errorf("--terway-mode %q: known are vpc, veth, ipvlan, exclusive and vlan", c.Mode)
	}
	if c.MTU < 0 || c.MTU > 65535 {
		return fmt.Errorf("--terway-mtu %d: not within 0 and 65535", c.MTU)
	}
	return nil
}

// cniConf is what terway's CNI configuration says (CNIConf in
// plugin/driver/types/types.go).
type cniConf struct {
	Type            string   `json:"type"`
	VirtualType     string   `json:"eniip_virtual_type"` // IPVlan, datapathv2, veth; "" is veth
	HostStackCIDRs  []string `json:"host_stack_cidrs"`   // that ipvlan and exclusive pods reach by their node
	DisableHostPeer bool     `json:"disable_host_peer"`  // exclusive pods have no veth to their node
	VlanStripType   string   `json:"vlan_strip_type"`    // vlan: pods of a trunk ENI have VLAN devices; filter: tc tags
	MTU             int      `json:"mtu"`
	AutoMTU         bool     `json:"auto_mtu"` // terway finds the MTU out, unless mtu is there (applyMTU in cmd/terway-cli/cni.go)
}

// defaultMTU is that of a configuration that names none (plugin/terway/cni.go).
const defaultMTU = 1500

// configOf reads terway's CNI configuration of a node: the file on the node, or else
// the ConfigMap that the file is made from. It reports false if the bundle has
// neither.
func configOf(snap *snapshot.Snapshot, node string) (cniConf, bool) {
	for _, name := range snap.Files(node) {
		if !strings.HasPrefix(path.Base(name), "10-terway.conf") {
			continue
		}
		if text, err := snap.Read(name); err == nil {
			if conf, ok := plugin.CNIPlugin[cniConf](text, "terway"); ok {
				return conf, true
			}
		}
	}
	maps, err := snap.ConfigMaps()
	if err != nil {
		return cniConf{}, false
	}
	for i := range maps {
		if text := cmp.Or(maps[i].Data["10-terway.conflist"], maps[i].Data["10-terway.conf"]); text != "" {
			return plugin.CNIPlugin[cniConf]([]byte(text), "terway")
		}
	}
	return cniConf{}, false
}

// mtuOf is the MTU of pods and ENIs of a node, 0 if it is not known.
func (t *terway) mtuOf(node string) int {
	conf, ok := configOf(t.env.Snapshot, node)
	switch {
	case t.cfg.MTU != 0:
		return t.cfg.MTU
	case !ok || conf.AutoMTU && conf.MTU == 0:
		return 0
	}
	return cmp.Or(conf.MTU, defaultMTU)
}
