package plugin

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

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

// CheckTransit reports a packet that a node would discard for its source, as
// [CheckArrival] does, or not pass on: q.Dst is not its own.
func CheckTransit(env Env, r assertions.Reporter, ns *netstack.NetNS, q route.Query) {
	CheckArrival(env, r, ns, q)
	dev, ok := ns.Device(q.IIf)
	if !ok || !netstack.Up(dev) {
		return
	}
	if on, at, known := ns.FIB.Forwarding(q.IIf, q.Dst.Is6()); known && !on {
		r.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: "sysctl/ip-forward", Evidence: at,
			Message: fmt.Sprintf("the node does not pass on what comes in by %s", q.IIf), Remedy: "sysctl -w net.ipv4.conf." + q.IIf + ".forwarding=1"})
	}
}

// Outside is a packet of a pod to an address that no cluster has (TEST-NET-1,
// RFC 5737).
func Outside(pod netip.Addr) model.Packet {
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 80)
	return model.Packet{Protocol: model.TCP, Src: netip.AddrPortFrom(pod, netstack.EphemeralPort), Dst: dst}
}

// CheckMasquerade lets a node pass on a packet of a pod to the world, which comes
// in by dev, and reports that it leaves with the pod's address. like says where the
// rules should be (Evidence), and who writes them (Remedy).
func CheckMasquerade(r assertions.Reporter, ns *netstack.NetNS, p model.Packet, dev string, like model.Suspicion) {
	for _, o := range ns.Input(p, dev, ns.Alone()) {
		if o.Disposition != model.Forwarded || len(o.Doubts) > 0 || o.Packet.Src.Addr() != p.Src.Addr() {
			continue
		}
		like.Level, like.Code = model.SuspicionLevelCritical, "netfilter/masquerade-missing"
		like.Message = fmt.Sprintf("packets of the node's pods leave by %s to the world with the pod's own address, which nobody there can answer", o.Dev)
		r.Report(like)
		return
	}
}

// An NFTabler is a [Fabric] whose rules may be in tables of nftables' own.
type NFTabler interface {
	// NFTables reports whether they are. Otherwise they are those of iptables.
	NFTables() bool
}

// rulesOf is the part of the bundle that has, or lacks, the rules of a network.
func rulesOf(f Fabric, ns *netstack.NetNS) string {
	if n, ok := f.(NFTabler); ok && n.NFTables() {
		return ns.Info.NFT.File
	}
	return ns.Info.IPTables.File
}

// CheckForward lets a node pass on a packet between pods of two nodes, q.Src to
// q.Dst by q.IIf, and reports that the policy of a chain drops it, or that it leaves
// with another source than its sender's. Rules that drop it are somebody's will.
// remedy says who writes the rules that accept.
func CheckForward(r assertions.Reporter, ns *netstack.NetNS, q route.Query, remedy string) {
	p := model.Packet{Protocol: model.TCP, Src: netip.AddrPortFrom(q.Src, netstack.EphemeralPort), Dst: netip.AddrPortFrom(q.Dst, 80)}
	for _, o := range ns.Input(p, q.IIf, ns.Alone()) {
		if len(o.Doubts) > 0 {
			continue
		}
		at := slices.IndexFunc(o.Trace, func(s model.Step) bool { return s.Action == "policy drop" })
		if o.Code == "netfilter/drop" && at >= 0 {
			r.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: o.Code, Evidence: o.Evidence,
				Message: fmt.Sprintf("what comes in by %s from pods to pods of another node is dropped by the policy of %s, and no rule before it accepts it", q.IIf, o.Trace[at].Where), Remedy: remedy})
			return
		}
		if o.Disposition == model.Forwarded && o.Packet.Innermost().Src.Addr() != q.Src {
			reportDisguised(r, q, o)
			return
		}
	}
}

// reportDisguised reports a packet between pods that left with another source than
// its sender's: it arrives, and whoever goes by addresses takes it for another's.
func reportDisguised(r assertions.Reporter, q route.Query, o netstack.Outcome) {
	var by model.Step // the rule before the step that tells of the translation
	for i, s := range o.Trace {
		if s.Rule == "" && strings.HasPrefix(s.Action, "snat ") && i > 0 {
			by = o.Trace[i-1]
		}
	}
	r.Report(model.Suspicion{Level: model.SuspicionLevelWarning, Code: "netfilter/masquerade-unwanted", Evidence: by.Evidence,
		Message: fmt.Sprintf("what comes in by %s from pods to pods of another node leaves by %s as if %s had sent it: policies and the pods themselves take it for another's (%s)", q.IIf, o.Dev, o.Packet.Innermost().Src.Addr(), by.Rule),
		Remedy:  "Restart the network's agent on the node, which writes what is excepted from masquerading."})
}
