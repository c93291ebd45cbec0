package flannel

import (
	"flag"
	"fmt"
	"slices"
	"strings"
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

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.Backend, "flannel-backend", "", "`TYPE` of backend: "+strings.Join(backends(), ", ")+" (default: what each node's annotation says, or net-conf.json)")
	fs.StringVar(&c.Bridge, "flannel-bridge", "", "`DEVICE` that the pods of a node are attached to (default: from the CNI configuration, or cni0)")
	fs.IntVar(&c.PodMTU, "flannel-pod-mtu", 0, "`BYTES` that pods may send to other nodes (default: what the backend leaves of the node's MTU)")
	fs.BoolVar(&c.IPMasq, "flannel-ip-masq", true, "flanneld runs with --ip-masq (false: expect no masquerading, whatever subnet.env says)")
	fs.StringVar(&c.HostInterface, "flannel-host-interface", "", "`DEVICE` towards the other nodes (default: by the nodes' routes)")
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	if c.Backend != "" && !slices.Contains(backends(), c.Backend) {
		return fmt.Errorf("--flannel-backend %q: known are %s", c.Backend, strings.Join(backends(), ", "))
	}
	if c.PodMTU < 0 {
		return fmt.Errorf("--flannel-pod-mtu %d: give a number of bytes, or leave it out", c.PodMTU)
	}
	return nil
}
