package snapshot

import (
	"slices"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// LinkAbove fills what the devices of one node's namespaces say about those of
// other namespaces that stand on them: macvlans, ipvlans and VLANs. Where the
// namespace of the device below is not known, it is taken to be the host's if
// that has a device of that index, or the only other one that has.
func LinkAbove(all []*nodedump.NetNSInfo) {
	for _, ns := range all {
		for i := range ns.Interfaces {
			dev := &ns.Interfaces[i]
			if dev.LinkNSID == nil || dev.Link == 0 || !standing(dev.Kind) {
				continue
			}
			below := belowOf(all, ns, dev)
			if below == nil {
				continue
			}
			for j := range below.Interfaces {
				if below.Interfaces[j].Index == dev.Link {
					dev.PeerNetns = below.Key
					below.Interfaces[j].Above = append(below.Interfaces[j].Above, nodedump.Upper{Netns: ns.Key, Index: dev.Index})
				}
			}
		}
	}
}

func standing(kind string) bool {
	return slices.Contains([]string{"macvlan", "macvtap", "ipvlan", "ipvtap", "vlan"}, kind)
}

// belowOf finds the namespace of the device that dev of ns stands on.
func belowOf(all []*nodedump.NetNSInfo, ns *nodedump.NetNSInfo, dev *nodedump.Interface) (found *nodedump.NetNSInfo) {
	n := 0
	for _, other := range all {
		if other == ns || dev.PeerNetns != "" && other.Key != dev.PeerNetns {
			continue
		}
		if !slices.ContainsFunc(other.Interfaces, func(d nodedump.Interface) bool { return d.Index == dev.Link }) {
			continue
		}
		if other.Key == nodedump.HostNetns || dev.PeerNetns != "" {
			return other
		}
		found = other
		n++
	}
	if n != 1 {
		return nil
	}
	return found
}
