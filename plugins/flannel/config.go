package flannel

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// Config holds the options of flannel. Empty ones are read from the bundle.
type Config struct {
	Backend       string // one of backends
	Bridge        string // of the pods of a node
	PodMTU        int    // that pods may have, in bytes
	IPMasq        bool   // flanneld masquerades what leaves the pod network, unless a node's subnet.env says that it does not
	HostInterface string // towards the other nodes
}

// backends are those that the plugin knows (flannel's Documentation/backends.md).
func backends() []string { return []string{"vxlan", "host-gw", "wireguard", "ipip", "alloc"} }

// overhead is what a backend takes of the underlay's MTU, as flannel reckons
// (encapOverhead, overhead in its backends), for WireGuard over IPv6.
func overhead(backend string) int {
	return map[string]int{"vxlan": plugin.OverheadVXLAN, "wireguard": plugin.OverheadWireGuard + 20, "ipip": plugin.OverheadIPIP}[backend]
}

func (c *Config) mtus() []plugin.MTUOption {
	return []plugin.MTUOption{{Name: "flannel-pod-mtu", Usage: "`BYTES` that pods may send to other nodes (default: what the backend leaves of the node's MTU)", Value: &c.PodMTU}}
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Backend, "flannel-backend", "", "`TYPE` of backend: "+strings.Join(backends(), ", ")+" (default: what each node's annotation says, or net-conf.json)")
	fs.StringVar(&c.Bridge, "flannel-bridge", "", "`DEVICE` that the pods of a node are attached to (default: from the CNI configuration, or cni0)")
	plugin.BindMTUs(fs, c.mtus())
	fs.BoolVar(&c.IPMasq, "flannel-ip-masq", true, "flanneld runs with --ip-masq (false: expect no masquerading, whatever subnet.env says)")
	fs.StringVar(&c.HostInterface, "flannel-host-interface", "", "`DEVICE` towards the other nodes (default: by the nodes' routes)")
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	if c.Backend != "" && !slices.Contains(backends(), c.Backend) {
		return fmt.Errorf("--flannel-backend %q: known are %s", c.Backend, strings.Join(backends(), ", "))
	}
	return plugin.ValidateMTUs(c.mtus())
}
