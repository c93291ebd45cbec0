package service

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// An excess has the frontends of the rules that no Service has, by address.
type excess map[netip.Addr][]kuberules.Frontend

// compare compares the rules of one address family with the wishes.
func (d *drift) compare(have *kuberules.Family, ipv4 bool) {
	d.ipv4 = ipv4
	wishes := d.wishes(have, ipv4)
	for _, h := range have.Hooks {
		d.hook(h)
	}
	d.nodeAddresses(have.NodeAddrs)
	extra := d.extra(have, wishes)
	for i := range wishes {
		d.frontend(&wishes[i], have, extra)
	}
	for _, addr := range slices.SortedFunc(maps.Keys(extra), netip.Addr.Compare) {
		for _, at := range extra[addr] {
			d.staleService(at, have.Entries[at])
		}
	}
}

// wishes returns the wishes that have can be compared with. A node that takes no
// node ports on any address has none, as its configuration wants it.
func (d *drift) wishes(have *kuberules.Family, ipv4 bool) []wish {
	wishes := d.k.wishes(d.node, ipv4)
	if !have.NodePorts {
		return slices.DeleteFunc(wishes, func(w wish) bool { return w.kind == KindNodePort })
	}
	if d.server != nil {
		return d.virtual(wishes, ipv4)
	}
	return wishes
}

// extra returns what the rules have and no wish is about.
func (d *drift) extra(have *kuberules.Family, wishes []wish) excess {
	wanted := make(map[kuberules.Frontend]bool, len(wishes))
	for i := range wishes {
		wanted[wishes[i].at] = true
	}
	extra := excess{}
	for at, e := range have.Entries {
		if !wanted[at] && (e.At != kuberules.At{} || e.Refused != kuberules.None) && !d.isNodePort(at) {
			extra[at.Addr] = append(extra[at.Addr], at)
		}
	}
	for _, list := range extra {
		slices.SortFunc(list, compareFrontends)
	}
	return extra
}

func compareFrontends(a, b kuberules.Frontend) int {
	if a.Port != b.Port {
		return int(a.Port) - int(b.Port)
	}
	return strings.Compare(string(a.Protocol), string(b.Protocol))
}

func (d *drift) hook(h kuberules.Hook) {
	x := difference{
		level: model.SuspicionLevelCritical, code: "service/not-translated", at: h.At, remedy: d.restart(),
		message: fmt.Sprintf("node %s does not translate any Service for some packets: %s", d.node, h.What),
	}
	if h.Masq {
		x.code = "service/masquerade-missing"
		x.message = fmt.Sprintf("node %s does not masquerade what Services need: %s", d.node, h.What)
	}
	d.report(x, h.What)
}

// frontend compares what the rules do with packets to one frontend.
func (d *drift) frontend(w *wish, have *kuberules.Family, extra excess) {
	e := have.Entries[w.at]
	if e == nil {
		e = &kuberules.Entry{}
	}
	if d.k.blind {
		return
	}
	switch {
	case d.server != nil:
		d.virtualServer(w, e, have, extra)
		return
	case !w.choice.any || len(w.to()) == 0:
		d.nowhere(w, e)
	}
	if e.At == (kuberules.At{}) {
		if len(w.to()) > 0 || w.shortCut() {
			d.missing(w, e, have, extra)
		}
		return
	}
	d.ways(w, e)
	if w.kind == KindLoadBalancer {
		d.sourceRanges(w, e)
	}
	if len(e.To) > 0 && len(w.to()) > 0 {
		d.masquerade(w, e)
		d.affinity(w, e)
	}
}

// nowhere looks at a frontend whose packets from outside have nowhere to go:
// they are refused by a rule of their own.
func (d *drift) nowhere(w *wish, e *kuberules.Entry) {
	want, why := kuberules.Reject, "it has no ready endpoint"
	if w.choice.any {
		want, why = kuberules.Drop, fmt.Sprintf("its traffic policy is Local and node %s has no endpoint", d.node)
	}
	if e.Refused == want || len(e.To) > 0 {
		return // or else what it does instead is told
	}
	at := e.RefusedAt
	if e.Refused == kuberules.None {
		at = e.At
	}
	d.report(difference{
		level: model.SuspicionLevelWarning, code: "service/not-refused", port: w.port, who: w.port.String(), at: at, remedy: d.restart(),
		message: fmt.Sprintf("node %s %s packets to %s, and should %s them: %s", d.node, e.Refused, w, map[kuberules.Verdict]string{kuberules.Reject: "reject", kuberules.Drop: "drop"}[want], why),
		plural:  "does not refuse packets to Services without endpoints; their ports number",
	}, w.kind)
}

// missing reports a frontend that no rule translates, or only for another port
// or protocol.
func (d *drift) missing(w *wish, e *kuberules.Entry, have *kuberules.Family, extra excess) {
	for i, at := range extra[w.at.Addr] {
		if !at.Addr.IsValid() || have.Entries[at].At == (kuberules.At{}) {
			continue
		}
		x := difference{level: model.SuspicionLevelCritical, port: w.port, who: w.port.String(), at: have.Entries[at].At, remedy: d.restart()}
		switch {
		case at.Port == w.at.Port:
			x.code, x.plural = "service/wrong-protocol", "translates Services for another protocol; they number"
			x.message = fmt.Sprintf("node %s translates %s for %s, and the Service is for %s", d.node, w.port, at.Protocol, w.at.Protocol)
		case at.Protocol == w.at.Protocol:
			x.code, x.plural = "service/wrong-port", "translates other ports than Services have; they number"
			x.message = fmt.Sprintf("node %s translates %s at port %d, and the Service has port %d", d.node, w.port, at.Port, w.at.Port)
		default:
			continue
		}
		extra[w.at.Addr] = slices.Delete(extra[w.at.Addr], i, i+1)
		d.report(x, w.at.String())
		return
	}
	x := difference{
		level: model.SuspicionLevelCritical, code: "service/not-translated", port: w.port, who: w.port.String(), at: e.RefusedAt, remedy: d.restart(),
		message: fmt.Sprintf("node %s has no rule for %s; %s", d.node, w, d.have(w)),
		plural:  "has no rules for ports of Services, which number",
	}
	if e.Refused != kuberules.None {
		x.message = fmt.Sprintf("node %s %s packets to %s as if it had no endpoint; %s", d.node, e.Refused, w, d.have(w))
	}
	d.report(x, w.kind)
}

// names names endpoints for people.
func (d *drift) names(list []*endpoint) string {
	var out []string
	for _, e := range list {
		out = append(out, d.k.owner(e.addr, e.pod))
	}
	return several("", out)
}

// ways compares where the rules send packets of everybody, of pods and of the
// node itself.
func (d *drift) ways(w *wish, e *kuberules.Entry) {
	d.way(w, e, e.To, w.to(), w.local)
	if w.shortCut() {
		if yes, _ := d.k.masqueradesOut(d.node, d.ipv4); len(e.Pods) > 0 {
			d.way(w, e, e.Pods, w.choice.cluster, false)
		} else if yes {
			d.report(difference{
				level: model.SuspicionLevelWarning, code: "service/not-translated", port: w.port, who: w.port.String(), at: e.At, remedy: d.restart(),
				message: fmt.Sprintf("node %s has no rule for packets of pods to %s, which should go to %s whatever the traffic policy is", d.node, w, d.names(w.choice.cluster)),
				plural:  "has no rules for ports of Services, which number",
			}, "pods")
		}
		if len(e.Node) > 0 {
			d.way(w, e, e.Node, w.choice.cluster, false)
		}
	}
}

// way compares one list of destinations with the endpoints that are meant.
func (d *drift) way(w *wish, e *kuberules.Entry, have []kuberules.Dest, want []*endpoint, local bool) {
	var lacking []*endpoint
	for _, p := range want {
		if !slices.ContainsFunc(have, func(h kuberules.Dest) bool { return h.Addr == p.addr }) {
			lacking = append(lacking, p)
		}
	}
	level, stale := model.SuspicionLevelWarning, false
	if len(lacking) == len(want) {
		level = model.SuspicionLevelCritical // all of it goes wrong
	}
	for i := range have {
		if h := &have[i]; !slices.ContainsFunc(want, func(p *endpoint) bool { return p.addr == h.Addr }) {
			lacking = d.surplus(w, h, lacking, local)
			stale = stale || w.find(h.Addr) == nil
		}
	}
	if stale {
		return // which says where it should go
	}
	for _, p := range lacking {
		d.report(difference{
			level: level, code: "service/missing-endpoint", port: w.port, who: w.port.String(), at: e.At, remedy: d.restart(),
			message: fmt.Sprintf("node %s does not send %s to its endpoint %s", d.node, w, d.k.owner(p.addr, p.pod)),
			plural:  "does not know all endpoints of Services, whose ports number",
		}, p.addr.String())
	}
}

// surplus reports a destination that is not meant. Where it stands for one that
// is lacking, with another port, that is no longer lacking.
func (d *drift) surplus(w *wish, h *kuberules.Dest, lacking []*endpoint, local bool) []*endpoint {
	x := difference{level: model.SuspicionLevelCritical, port: w.port, who: w.port.String(), at: h.At, remedy: d.restart()}
	to := d.k.owner(h.Addr, "")
	i := slices.IndexFunc(lacking, func(p *endpoint) bool { return p.addr.Addr() == h.Addr.Addr() })
	known := w.find(h.Addr)
	switch {
	case i >= 0:
		x.code, x.plural = "service/wrong-port", "sends Services to wrong ports of their endpoints; they number"
		x.message = fmt.Sprintf("node %s sends %s to port %d of %s, which serves it at port %d", d.node, w, h.Addr.Port(), d.k.owner(lacking[i].addr, lacking[i].pod), lacking[i].addr.Port())
		lacking = slices.Delete(lacking, i, i+1)
	case known != nil && local && known.usable() && known.node != d.node:
		x.code, x.plural = "service/local-sends-away", "sends Services whose traffic policy is Local to other nodes; they number"
		x.message = fmt.Sprintf("node %s sends %s to %s of node %s, and its traffic policy is Local", d.node, w, d.k.owner(known.addr, known.pod), known.node)
	case known != nil && known.usable():
		return lacking // a hint that this release does not follow
	case known != nil:
		x.level = model.SuspicionLevelWarning
		x.code, x.plural = "service/stale-endpoint", "sends Services to endpoints that are not ready; their ports number"
		x.message = fmt.Sprintf("node %s sends %s to %s, an endpoint that is not ready", d.node, w, d.k.owner(known.addr, known.pod))
	default:
		x.code, x.plural = "service/stale-endpoint", "sends Services to what is no endpoint of them; their ports number"
		x.message = fmt.Sprintf("node %s sends %s to %s, which is no endpoint of it; %s", d.node, w, to, d.have(w))
	}
	d.report(x, h.Addr.String())
	return lacking
}

// find returns the endpoint with an address, ready or not.
func (p *port) find(addr netip.AddrPort) *endpoint {
	for _, e := range p.endpoints {
		if e.addr == addr {
			return e
		}
	}
	return nil
}

func (d *drift) have(w *wish) string {
	if len(w.to()) == 0 && w.shortCut() {
		return "packets of pods and of the node itself should go to " + d.names(w.choice.cluster)
	}
	if len(w.to()) == 0 {
		return "it should go nowhere"
	}
	return "it should go to " + d.names(w.to())
}

func (d *drift) staleService(at kuberules.Frontend, e *kuberules.Entry) {
	x := difference{
		level: model.SuspicionLevelWarning, code: "service/stale-service", who: at.String(), at: e.At, remedy: d.restart(),
		message: fmt.Sprintf("node %s still translates %s, which no Service has", d.node, at),
		plural:  "still translates what no Service has; of that there are",
	}
	if e.At == (kuberules.At{}) {
		x.at = e.RefusedAt
		x.message = fmt.Sprintf("node %s still %s packets to %s, which no Service has", d.node, e.Refused, at)
	}
	d.report(x, at.String())
}
