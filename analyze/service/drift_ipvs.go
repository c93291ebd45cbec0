package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// virtual returns the wishes for virtual servers: a node port has one at each
// address of the node. Only addresses that the node is known by are looked at.
func (d *drift) virtual(wishes []wish, ipv4 bool) (out []wish) {
	for _, w := range wishes {
		w.ipvs = true
		if w.kind != KindNodePort {
			out = append(out, w)
			continue
		}
		for _, ip := range d.k.ips.GetNodeIPs(d.node) {
			q := asked{dst: ip, node: d.node}
			if w.at.Addr = ip; ip.Is4() == ipv4 && d.server.Local[ip] && d.k.inNodePortAddresses(q) {
				out = append(out, w)
			}
		}
	}
	return out
}

// isNodePort reports whether a virtual server is for a node port on an address
// that is not looked at.
func (d *drift) isNodePort(at kuberules.Frontend) bool {
	if d.server == nil {
		return false
	}
	_, ok := d.k.nodePorts[frontend{protocol: apiProtocol(at.Protocol), port: at.Port}]
	return ok && d.server.Local[at.Addr]
}

// virtualServer compares a virtual server and what belongs to it.
func (d *drift) virtualServer(w *wish, e *kuberules.Entry, have *kuberules.Family, extra excess) {
	if e.At == (kuberules.At{}) {
		d.missing(w, e, have, extra)
		return
	}
	takes := *e
	takes.To = slices.DeleteFunc(slices.Clone(e.To), func(h kuberules.Dest) bool {
		return h.Weight == 0 && !slices.ContainsFunc(w.to(), func(p *endpoint) bool { return p.addr == h.Addr }) // leaving gracefully
	})
	d.ways(w, &takes)
	d.weights(w, &takes)
	d.affinity(w, &takes)
	d.bound(w)
	d.sets(w)
}

// weights looks for real servers that get nothing.
func (d *drift) weights(w *wish, e *kuberules.Entry) {
	for i := range e.To {
		h := &e.To[i]
		if p := w.find(h.Addr); h.Weight == 0 && p != nil {
			d.report(difference{
				level: model.SuspicionLevelCritical, code: "service/ipvs-weight", port: w.port, who: w.port.String(), at: h.At, remedy: d.restart(),
				message: fmt.Sprintf("node %s gives no new connection of %s to %s: its weight is 0", d.node, w, d.k.owner(p.addr, p.pod)),
				plural:  "gives no new connections to endpoints of weight 0 of Services, whose ports number",
			}, h.Addr.String())
		}
	}
}

// bound looks whether kube-ipvs0 has the address, so that packets to it come to
// IPVS at all.
func (d *drift) bound(w *wish) {
	at := kuberules.At{Text: kuberules.NetNS}
	switch _, unread := d.info.Sections["interfaces"]; {
	case unread || w.kind == KindNodePort:
	case !d.server.Device:
		d.report(difference{
			level: model.SuspicionLevelCritical, code: "service/ipvs-address-missing", at: at, who: "kube-ipvs0", remedy: d.restart(),
			message: fmt.Sprintf("node %s has no device kube-ipvs0, whose addresses are those of the Services: packets to them are routed away", d.node),
		}, "")
	case !d.server.Bound[w.at.Addr] && !d.server.Local[w.at.Addr]:
		d.report(difference{
			level: model.SuspicionLevelCritical, code: "service/ipvs-address-missing", port: w.port, at: at, who: w.port.String(), remedy: d.restart(),
			message: fmt.Sprintf("node %s lacks the address %s of svc %s on kube-ipvs0: packets of pods to it are routed away", d.node, w.at.Addr, w.service),
			plural:  "lacks addresses of Services on kube-ipvs0; their ports number",
		}, w.at.Addr.String())
	}
}

// sets looks for the entries of ipset that rules of iptables go by: those of
// the frontend, and of hairpins for endpoints of the node.
func (d *drift) sets(w *wish) {
	if !d.info.IPSet.Status.Known() {
		return
	}
	at := fmt.Sprintf("%s,%s:%d", w.at.Addr, w.at.Protocol, w.at.Port)
	for _, m := range w.members(at) {
		d.member(w, m[0], m[1])
	}
	for _, p := range w.endpoints {
		if p.node == d.node && p.addr.Addr().Is4() == w.at.Addr.Is4() {
			d.member(w, "KUBE-LOOP-BACK", fmt.Sprintf("%s,%s:%d,%s", p.addr.Addr(), w.at.Protocol, p.addr.Port(), p.addr.Addr()))
		}
	}
}

// members returns the sets that a frontend is in, and its entries in them.
func (w *wish) members(at string) (out [][2]string) {
	suffix := ""
	if w.local {
		suffix = "-LOCAL"
	}
	switch w.kind {
	case KindClusterIP:
		out = append(out, [2]string{"KUBE-CLUSTER-IP", at})
	case KindExternalIP:
		out = append(out, [2]string{"KUBE-EXTERNAL-IP" + suffix, at})
	case KindLoadBalancer:
		out = w.balanced(at)
	case KindNodePort:
		proto, entry := strings.ToUpper(string(w.at.Protocol)), strconv.Itoa(int(w.at.Port))
		if w.at.Protocol == model.SCTP {
			proto, entry = "SCTP-HASH", at
		}
		out = append(out, [2]string{"KUBE-NODE-PORT-" + proto, entry})
		if w.local {
			out = append(out, [2]string{"KUBE-NODE-PORT-LOCAL-" + proto, entry})
		}
	}
	if w.health != 0 {
		out = append(out, [2]string{"KUBE-HEALTH-CHECK-NODE-PORT", strconv.Itoa(int(w.health))})
	}
	return out
}

// balanced returns the sets that the address of a load balancer is in.
func (w *wish) balanced(at string) [][2]string {
	out := [][2]string{{"KUBE-LOAD-BALANCER", at}}
	if w.local {
		out = append(out, [2]string{"KUBE-LOAD-BALANCER-LOCAL", at})
	}
	ranges := w.ranges()
	if len(ranges) == 0 || everybody(ranges) {
		return out // everybody may use it
	}
	out = append(out, [2]string{"KUBE-LOAD-BALANCER-FW", at})
	for _, r := range ranges {
		text := r.String()
		if r.IsSingleIP() {
			text = r.Addr().String()
		}
		out = append(out, [2]string{"KUBE-LOAD-BALANCER-SOURCE-CIDR", at + "," + text})
	}
	return out
}

// member reports an entry that its set does not have.
func (d *drift) member(w *wish, set, entry string) {
	set = kuberules.SetName(set, w.at.Addr.Is4())
	if _, ok := d.server.Members[set+" "+entry]; ok {
		return
	}
	message := fmt.Sprintf("node %s lacks the entry %s of %s in the set %s, which rules of iptables go by", d.node, entry, w.port, set)
	if !d.server.Sets[set] {
		message = fmt.Sprintf("node %s has no set %s, which should have the entry %s of %s", d.node, set, entry, w.port)
	}
	d.report(difference{
		level: model.SuspicionLevelCritical, code: "service/ipset-missing", port: w.port, at: kuberules.At{Text: kuberules.IPSet}, who: w.port.String(), remedy: d.restart(),
		message: message, plural: "lacks entries of Services in sets that rules of iptables go by; their ports number",
	}, set+entry)
}
