package calico

import (
	"flag"

	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// Config holds the options of Calico. What is empty or 0 is read from the bundle.
type Config struct {
	HostInterface string // towards the other nodes
	HostMTU       int    // that packets between nodes may have
	PodMTU        int    // of pods whose packets travel without encapsulation
	IPIPPodMTU    int    // of pods whose packets travel through IPIP
	VXLANPodMTU   int    // of pods whose packets travel through VXLAN
}

func (c *Config) mtus() []plugin.MTUOption {
	return []plugin.MTUOption{
		{Name: "calico-host-mtu", Usage: "`BYTES` that packets between nodes may have (default: the MTU of the host interface)", Value: &c.HostMTU},
		{Name: "calico-pod-mtu", Usage: "`BYTES` that pods may send without encapsulation (default: the host MTU)", Value: &c.PodMTU},
		{Name: "calico-ipip-pod-mtu", Usage: "`BYTES` that pods may send through IPIP (default: the host MTU less 20)", Value: &c.IPIPPodMTU},
		{Name: "calico-vxlan-pod-mtu", Usage: "`BYTES` that pods may send through VXLAN (default: the host MTU less 50)", Value: &c.VXLANPodMTU},
	}
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.HostInterface, "calico-host-interface", "", "`DEVICE` towards the other nodes (default: by the nodes' routes)")
	plugin.BindMTUs(fs, c.mtus())
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error { return plugin.ValidateMTUs(c.mtus()) }
