package calico

import (
	"flag"
	"fmt"
)

// Config holds the options of Calico. What is empty or 0 is read from the bundle.
type Config struct {
	HostInterface string // towards the other nodes
	HostMTU       int    // that packets between nodes may have
	PodMTU        int    // of pods whose packets travel without encapsulation
	IPIPPodMTU    int    // of pods whose packets travel through IPIP
	VXLANPodMTU   int    // of pods whose packets travel through VXLAN
}

// mtuOption is an option that is an MTU.
type mtuOption struct {
	name, usage string
	value       *int
}

func (c *Config) mtus() []mtuOption {
	return []mtuOption{
		{"calico-host-mtu", "`BYTES` that packets between nodes may have (default: the MTU of the host interface)", &c.HostMTU},
		{"calico-pod-mtu", "`BYTES` that pods may send without encapsulation (default: the host MTU)", &c.PodMTU},
		{"calico-ipip-pod-mtu", "`BYTES` that pods may send through IPIP (default: the host MTU less 20)", &c.IPIPPodMTU},
		{"calico-vxlan-pod-mtu", "`BYTES` that pods may send through VXLAN (default: the host MTU less 50)", &c.VXLANPodMTU},
	}
}

// BindFlags implements the plugin package's ConfigBinder.
func (c *Config) BindFlags(fs *flag.FlagSet) {
	fs.StringVar(&c.HostInterface, "calico-host-interface", "", "`DEVICE` towards the other nodes (default: by the nodes' routes)")
	for _, o := range c.mtus() {
		fs.IntVar(o.value, o.name, 0, o.usage)
	}
}

// Validate implements the plugin package's ConfigBinder.
func (c *Config) Validate() error {
	const least, most = 68, 65535 // of IPv4
	for _, o := range c.mtus() {
		if n := *o.value; n != 0 && (n < least || n > most) {
			return fmt.Errorf("--%s %d: an MTU is from %d to %d", o.name, n, least, most)
		}
	}
	return nil
}
