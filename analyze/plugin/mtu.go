package plugin

import (
	"flag"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
)

// What tunnels take of the MTU of the device below, in bytes: the outer headers
// over IPv4 (drivers/net/vxlan, net/ipv4/ipip.c, drivers/net/wireguard of Linux).
const (
	OverheadIPIP      = 20
	OverheadVXLAN     = 50
	OverheadWireGuard = 60 // over IPv6 20 more
)

// An MTU is how many bytes packets may have.
type MTU struct {
	Bytes    int    // 0 if it is not known
	Why      string // it is that, for people
	Evidence string
}

// HostMTU is the MTU of the node's device towards the other nodes: the given one, or
// the one with the address that they know the node by. It is zero if that does not
// show.
func (c *Checkup) HostMTU(given string, own netip.Addr) MTU {
	if c.NS() == nil {
		return MTU{}
	}
	dev, ok := c.NS().FIB.DeviceOwning(own)
	if given != "" {
		dev, ok = c.NS().Device(given)
	}
	if !ok {
		return MTU{}
	}
	return MTU{dev.MTU, fmt.Sprintf("the MTU of %s is %d", dev.Name, dev.MTU), c.NS().DeviceEvidence(dev)}
}

// An Encapsulation is what the way between nodes takes of the MTU there.
type Encapsulation struct {
	Name     string // for people
	Device   string // that makes the larger packets, "" if there is none, or it is not to be asked
	Overhead int
	PodMTU   int    // that pods have by an option, 0 to reckon it
	Option   string // its name, "--..."
}

// Left is the MTU of pods, where packets between nodes may have host.
func (e Encapsulation) Left(host MTU) MTU {
	switch {
	case e.PodMTU != 0:
		return MTU{Bytes: e.PodMTU, Why: e.Option}
	case host.Bytes == 0 || e.Overhead == 0:
		return host
	}
	return MTU{host.Bytes - e.Overhead, fmt.Sprintf("%s, of which %s takes %d", host.Why, e.Name, e.Overhead), host.Evidence}
}

// CheckMTU asserts that a full packet of a tunnel fits what packets between nodes may
// have, and one of a pod as well, with what the tunnel takes.
func (c *Checkup) CheckMTU(host MTU, e Encapsulation) {
	if c.NS() == nil {
		return
	}
	if dev, ok := c.NS().Device(e.Device); ok && netstack.Up(dev) && host.Bytes != 0 && dev.MTU+e.Overhead > host.Bytes {
		c.Fail("mtu/too-small", host.Evidence, fmt.Sprintf("ip link set %s mtu %d, and the same or less for the pods; or raise the MTU between the nodes.", dev.Name, host.Bytes-e.Overhead),
			"%s, and the tunnel %s makes packets of up to %d bytes of its %d", host.Why, dev.Name, dev.MTU+e.Overhead, dev.MTU)
	}
	if left := e.Left(host); left.Bytes > 0 {
		CheckPodMTU(c.basis.Env, c.To, c.Pods(), left.Bytes, left.Why)
	}
}

// CheckPodMTU reports pods that send larger packets than get to the pods of
// other nodes in one piece: their device has an MTU above limit. why says where
// the limit is from.
func CheckPodMTU(env Env, r assertions.Reporter, pods []*corev1.Pod, limit int, why string) {
	for _, pod := range pods {
		place, ns := PodPlace(env, pod)
		if ns == nil {
			continue
		}
		if dev, ok := ns.FIB.DeviceOwning(PodIPs(pod)[0]); ok && dev.MTU > limit {
			r.Report(model.Suspicion{On: env.HopOf(place), Level: model.SuspicionLevelWarning, Code: "mtu/too-small", Evidence: ns.DeviceEvidence(dev),
				Message: fmt.Sprintf("pod %s/%s sends packets of up to %d bytes, and no more than %d get to other nodes: %s", pod.Namespace, pod.Name, dev.MTU, limit, why),
				Remedy:  fmt.Sprintf("Give pods an MTU of at most %d, and recreate those that have a larger one.", limit)})
		}
	}
}

// An MTUOption is an option that is an MTU, or 0 for what the bundle tells.
type MTUOption struct {
	Name, Usage string
	Value       *int
}

// BindMTUs defines the options on fs.
func BindMTUs(fs *flag.FlagSet, options []MTUOption) {
	for _, o := range options {
		fs.IntVar(o.Value, o.Name, 0, o.Usage)
	}
}

// ValidateMTUs reports the first option that is no MTU of IPv4 (RFC 791).
func ValidateMTUs(options []MTUOption) error {
	const least, most = 68, 65535
	for _, o := range options {
		if n := *o.Value; n != 0 && (n < least || n > most) {
			return fmt.Errorf("--%s %d: an MTU is from %d to %d", o.Name, n, least, most)
		}
	}
	return nil
}
