package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// checkWays lets a pod of each node ask for an echo from a pod of the next node,
// by name, and the last one's from the first: each node sends and receives. What
// an earlier check has found at one of the two nodes explains it already, and
// what a policy denies is meant.
func checkWays(s *scope) {
	var ends []*host
	for _, n := range s.read() {
		if len(samples(n)) > 0 {
			ends = append(ends, n)
		}
	}
	if len(ends) < 2 {
		return
	}
	for i, from := range ends {
		s.way(from, ends[(i+1)%len(ends)])
	}
}

// mostSamples is how many pods of a node are tried for one that may talk.
const mostSamples = 20

// samples are running pods of a node that can send.
func samples(n *host) (pods []*space) {
	for _, p := range n.pods {
		if p.sends() && len(pods) < mostSamples {
			pods = append(pods, p)
		}
	}
	return pods
}

// sends reports whether a pod runs, has an address and was collected.
func (p *space) sends() bool {
	return p.ns != nil && p.pod.Status.Phase == corev1.PodRunning && len(podIPs(p.pod)) > 0
}

// An echo is a request that one pod may send another.
type echo struct {
	src, dst *space
	from, to netip.Addr
	protocol model.Protocol
	unknown  []string // why it is not known whether policies forbid it
}

// allowed returns an echo request from one node to another that no policy
// forbids, as far as that is known, if there is one.
func (s *scope) allowed(from, to *host) (echo, bool) {
	for _, a := range samples(from) {
		for _, b := range samples(to) {
			src, dst, ok := sameFamily(podIPs(a.pod), podIPs(b.pod))
			if !ok {
				continue
			}
			e := echo{a, b, src, dst, model.ICMP, nil}
			if src.Is6() {
				e.protocol = model.ICMPv6
			}
			ips := s.env.IPCache
			v := s.a.Policies().Check(ips.Endpoint(src, 0), ips.Endpoint(dst, 0), 0, e.protocol)
			if e.unknown = v.Unknown; v.Allowed || len(v.Unknown) > 0 {
				return e, true
			}
		}
	}
	return echo{}, false
}

func (s *scope) way(from, to *host) {
	e, ok := s.allowed(from, to)
	if !ok || s.explained(from.name) || s.explained(to.name) {
		return
	}
	d, err := s.a.Diagnose(s.env.IPCache.Endpoint(e.from, 0), s.env.IPCache.Endpoint(e.to, 0), e.protocol)
	who := fmt.Sprintf("an echo request of pod %s on node %s to pod %s on node %s", e.src.name(), from.name, e.dst.name(), to.name)
	switch {
	case err != nil:
		s.unknown(from.name, "", "what becomes of %s: %v", who, err)
	case d.Outcome == model.OutcomeReached, denied(d):
	case d.Outcome == model.OutcomeUnknown || d.Outcome == model.OutcomeMixed || len(d.Suspicions) == 0:
		s.unknown(from.name, evidenceIn(d), "what becomes of %s%s", who, reasonIn(d))
	case !s.perhapsMeant(d.Suspicions[0], e.unknown):
		s.lost(from, to, e.dst, who, d.Suspicions[0])
	}
}

// denied reports whether policies deny a conversation, which is meant.
func denied(d *report.Diagnosis) bool {
	return slices.ContainsFunc(d.Suspicions, func(f model.Suspicion) bool { return f.Code == "policy/denied" })
}

// lost reports an echo request to dst that is not answered, by the first reason.
func (s *scope) lost(from, to *host, dst *space, who string, f model.Suspicion) {
	said := func(old report.Finding) bool {
		return old.Check == s.row.name && old.Code == f.Code && old.Evidence == f.Evidence
	}
	if strings.HasPrefix(f.Code, "policy/") || slices.ContainsFunc(s.out.Findings, said) {
		return
	}
	node := from.name
	if f.On.Type == model.NetNodeTypeNode && f.On.ID == to.name || f.On == dst.hop() {
		node = to.name
	}
	f.Message = fmt.Sprintf("%s is not answered: %s", who, f.Message)
	s.find(node, f)
}

// explained reports whether something was found that stops packets of a node.
func (s *scope) explained(node string) bool {
	return slices.ContainsFunc(s.out.Findings, func(f report.Finding) bool {
		return f.Node == node && f.Level >= model.SuspicionLevelCritical && f.Check != s.row.name && f.Check != "drift"
	})
}

func sameFamily(a, b []netip.Addr) (src, dst netip.Addr, ok bool) {
	for _, src := range a {
		for _, dst := range b {
			if src.Is4() == dst.Is4() {
				return src, dst, true
			}
		}
	}
	return src, dst, false
}

func reasonIn(d *report.Diagnosis) string {
	if len(d.Unknowns) == 0 {
		return ""
	}
	return ": " + d.Unknowns[0].What
}

func evidenceIn(d *report.Diagnosis) string {
	if len(d.Unknowns) == 0 {
		return ""
	}
	return d.Unknowns[0].Evidence
}
