package netstack

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Class says how far a thing is done as the kernel does it.
type Class string

// The degrees.
const (
	Exact   Class = "exact"
	Partly  Class = "partly"  // what is not is Unknown where it matters
	Unknown Class = "unknown" // a packet that meets it ends in Unknown
)

// A DeviceKind is a kind of network device and how far it is followed.
type DeviceKind struct {
	Kind  string // as "ip -d link" prints it; "hardware" is a device without a kind
	Class Class
	Why   string // what is not exact, and where it is proven; one line
	send  func(*run, *nodedump.Interface)
}

// DeviceKinds returns every kind of device that is known, in the order in which
// they are documented.
func DeviceKinds() []DeviceKind { return deviceKinds() }

// kindName is the kind of a device as the table calls it.
func kindName(dev *nodedump.Interface) string {
	if dev.Kind == "" {
		return "hardware"
	}
	return dev.Kind
}

// deviceKinds is the table. A packet that a device of a kind without a row is to
// send ends in Unknown.
func deviceKinds() []DeviceKind {
	return []DeviceKind{
		{"hardware", Exact, "leaves the machine; an XDP program on it is Unknown", (*run).leave},
		{"loopback", Exact, "", (*run).leave},
		{"veth", Exact, "the peer is found by netnsid and index", (*run).leave},
		{"bridge", Partly, "multicast needs the MDB, which is not collected; MST and VLAN tunnels are Unknown", (*run).bridgeOut},
		{"vlan", Exact, "proven by rows: this kernel may lack it", (*run).sendBelow},
		{"macvlan", Partly, "frames to groups are Unknown; mode source gives no copy to the parent", (*run).sendBelow},
		{"macvtap", Partly, "as macvlan; what the program behind the tap does is not seen", (*run).sendBelow},
		{"ipvlan", Partly, "proven by rows; frames to groups are Unknown", (*run).sendBelow},
		{"ipvtap", Partly, "as ipvlan", (*run).sendBelow},
		{"bond", Partly, "which device of several takes a flow is a branch; broadcast mode is Unknown", (*run).bondOut},
		{"team", Partly, "its runner is not collected: which of several devices is in use is Unknown", (*run).bondOut},
		{"vrf", Partly, "in by its devices: exact; what the host itself sends by it is Unknown", (*run).strange},
		{"vxlan", Partly, "external (collect metadata), GPE, VNI filter and multicast groups are Unknown; for whom proxy answers ARP is open; what a program does that is told of a miss (l2miss, l3miss) is not seen", (*run).encapsulate},
		{"geneve", Partly, "external (collect metadata) is Unknown; proven by rows", (*run).geneveOut},
		{"ipip", Partly, "external and FOU/GUE are Unknown", (*run).ipTunnelOut},
		{"sit", Partly, "6rd, ISATAP and FOU/GUE are Unknown; proven by rows", (*run).ipTunnelOut},
		{"gre", Partly, "external, sequence numbers and FOU/GUE are Unknown; proven by rows", (*run).ipTunnelOut},
		{"gretap", Partly, "as gre", (*run).ipTunnelOut},
		{"ip6tnl", Partly, "external is Unknown; proven by rows", (*run).ipTunnelOut},
		{"ip6gre", Partly, "as gre", (*run).ipTunnelOut},
		{"ip6gretap", Partly, "as gre", (*run).ipTunnelOut},
		{"wireguard", Partly, "without its peers Unknown; whether a handshake works is not seen; proven by rows", (*run).wireguardOut},
		{"dummy", Exact, "takes everything and sends nothing", (*run).swallow},
		{"ifb", Partly, "what its own filters do is Unknown; without them it drops what was not redirected to it", (*run).swallow},
		{"nlmon", Exact, "takes everything and sends nothing", (*run).swallow},
		{"tun", Partly, "what it is given goes to a program, whose doing is not seen", (*run).leave},
		{"erspan", Unknown, "not modelled", (*run).strange},
		{"ip6erspan", Unknown, "not modelled", (*run).strange},
		{"vti", Unknown, "IPsec policies are not collected", (*run).strange},
		{"vti6", Unknown, "IPsec policies are not collected", (*run).strange},
		{"xfrm", Unknown, "IPsec policies are not collected", (*run).strange},
		{"netkit", Unknown, "its BPF program decides", (*run).strange},
	}
}

// swallow ends the journey at a device that takes everything
// (dummy_xmit, ifb_xmit, nlmon_xmit).
func (r *run) swallow(dev *nodedump.Interface) {
	if r.alone {
		r.leave(dev)
		return
	}
	r.end(model.Dropped, "", fmt.Sprintf("%s device %s discards what it is given", dev.Kind, dev.Name), r.ns.at(dev.Line))
}
