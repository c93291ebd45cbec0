package plugin

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

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

// CheckForward lets a node pass on a packet between pods of two nodes, q.Src to
// q.Dst by q.IIf, and reports that the policy of a chain drops it. Rules that drop
// it are somebody's will. remedy says who writes the rules that accept.
func CheckForward(r assertions.Reporter, ns *netstack.NetNS, q route.Query, remedy string) {
	p := model.Packet{Protocol: model.TCP, Src: netip.AddrPortFrom(q.Src, netstack.EphemeralPort), Dst: netip.AddrPortFrom(q.Dst, 80)}
	for _, o := range ns.Input(p, q.IIf, ns.Alone()) {
		at := slices.IndexFunc(o.Trace, func(s model.Step) bool { return s.Action == "policy drop" })
		if o.Code != "netfilter/drop" || len(o.Doubts) > 0 || at < 0 {
			continue
		}
		r.Report(model.Suspicion{Level: model.SuspicionLevelCritical, Code: o.Code, Evidence: o.Evidence,
			Message: fmt.Sprintf("what comes in by %s from pods to pods of another node is dropped by the policy of %s, and no rule before it accepts it", q.IIf, o.Trace[at].Where), Remedy: remedy})
		return
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
