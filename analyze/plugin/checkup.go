package plugin

import (
	"fmt"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/assertions"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/netstack/route"
)

// CheckArrival reports a packet that a node would discard for its source: q.Src
// came in by q.IIf and goes to q.Dst. Of a device that is down nothing is asked.
func CheckArrival(env Env, r assertions.Reporter, ns *netstack.NetNS, q route.Query) {
	dev, ok := ns.Device(q.IIf)
	if !ok || !netstack.Up(dev) {
		return
	}
	if refused := ns.FIB.Validate(q); refused != nil && refused.Code == "sysctl/rp-filter" {
		r.Report(model.Suspicion{Level: model.SuspicionLevelFatal, Code: refused.Code, Evidence: refused.Evidence,
			Message: fmt.Sprintf("packets of %s that come in by %s are discarded: %s", env.IPCache.Name(q.Src), q.IIf, refused.Why),
			Remedy:  fmt.Sprintf("Mend the route to %s, or set rp_filter of all and of %s to 0 or 2.", q.Src, q.IIf)})
	}
}

// Outside is a packet of a pod to an address that no cluster has (TEST-NET-1,
// RFC 5737).
func Outside(pod netip.Addr) model.Packet {
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 80)
	return model.Packet{Protocol: model.TCP, Src: netip.AddrPortFrom(pod, netstack.EphemeralPort), Dst: dst}
}

// CheckMasquerade lets a node pass on a packet of a pod to the world, which comes
// in by dev, and reports that it leaves with the pod's address. remedy says who
// writes the rules.
func CheckMasquerade(r assertions.Reporter, ns *netstack.NetNS, p model.Packet, dev, remedy string) {
	for _, o := range ns.Input(p, dev, ns.Alone()) {
		if o.Disposition != model.Forwarded || len(o.Doubts) > 0 || o.Packet.Src.Addr() != p.Src.Addr() {
			continue
		}
		r.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: "netfilter/masquerade-missing", Evidence: ns.Info.IPTables.File,
			Message: fmt.Sprintf("packets of the node's pods leave by %s to the world with the pod's own address, which nobody there can answer", o.Dev),
			Remedy:  remedy})
		return
	}
}
