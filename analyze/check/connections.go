package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy"
	"github.com/pathsnap/pathsnap/analyze/report"
)

// mostAsked is how many conversations are walked to see whether policies hold.
const mostAsked = 600

// A question is a conversation of two pods on which policies have a say.
type question struct {
	from, to *host
	src, dst *space
	source   netip.Addr
	port     netip.AddrPort
}

// checkConnections lets pods open connections to each other's listening ports,
// and compares what becomes of them with what the policies say. Of pods that are
// alike on a node one is asked, and of very many conversations some. A node that
// something else has stopped is not asked.
func checkConnections(s *scope) {
	var found []model.Suspicion
	var at []*host
	enforced := false // by somebody, somewhere
	for _, q := range spread(s.questions(), mostAsked) {
		ips := s.env.IPCache
		d, err := s.a.Diagnose(ips.Endpoint(q.source, 0), ips.Endpoint(q.port.Addr(), q.port.Port()), model.TCP)
		if err != nil {
			continue // checkWays says it
		}
		s.connected(q, d)
		for _, f := range d.Suspicions {
			enforced = enforced || agent(f)
			if f.Code == "policy/not-enforced" || f.Code == "policy/not-programmed" {
				found, at = append(found, f), append(at, s.teller(q, f))
			}
		}
	}
	s.tellPolicies(found, at, enforced)
}

// connected reports a connection that neither policies nor its end refuse and
// that does not come about.
func (s *scope) connected(q question, d *report.Diagnosis) {
	lost := d.Outcome != model.OutcomeReached && d.Outcome != model.OutcomeUnknown && d.Outcome != model.OutcomeMixed
	byPolicy := slices.ContainsFunc(d.Suspicions, func(f model.Suspicion) bool { return strings.HasPrefix(f.Code, "policy/") })
	if !lost || byPolicy || len(d.Suspicions) == 0 {
		return
	}
	who := fmt.Sprintf("a connection of pod %s on node %s to port %d of pod %s on node %s", q.src.name(), q.from.name, q.port.Port(), q.dst.name(), q.to.name)
	ips := s.env.IPCache
	v := s.a.Policies().Check(ips.Endpoint(q.source, 0), ips.Endpoint(q.port.Addr(), q.port.Port()), q.port.Port(), model.TCP)
	if !s.perhapsMeant(d.Suspicions[0], v.Unknown) {
		s.lost(q.from, q.to, q.dst, who, d.Suspicions[0])
	}
}

// perhapsMeant reports whether what stopped a packet is a rule of an agent of policies,
// where what these say is not known, and says so.
func (s *scope) perhapsMeant(f model.Suspicion, unknown []string) bool {
	by := policy.AgentOf(f.Message)
	if by == "" || len(unknown) == 0 {
		return false
	}
	s.unknown(f.On.ID, f.Evidence, "whether policies mean what rules of %s on %s stop: %s", by, f.On, unknown[0])
	return true
}

// agent reports whether a finding shows that somebody enforces policies.
func agent(f model.Suspicion) bool {
	switch f.Code {
	case "policy/denied":
		return f.Level == model.SuspicionLevelFatal
	case "policy/not-enforced":
		return f.Level > model.SuspicionLevelInfo
	}
	return f.Code == "policy/not-programmed"
}

// teller is the node whose rules a finding is about: the one that it names, or
// that of the pod that is isolated.
func (s *scope) teller(q question, f model.Suspicion) *host {
	for _, n := range []*host{q.from, q.to} {
		if f.On.Type == model.NetNodeTypeNode && f.On.ID == n.name {
			return n
		}
	}
	if f.On == q.src.hop() {
		return q.from
	}
	return q.to
}

// tellPolicies reports what was found on each node: one conversation of each
// kind, and how many there are. What is not enforced on one node and is on
// another matters more than what nobody enforces.
func (s *scope) tellPolicies(found []model.Suspicion, at []*host, enforced bool) {
	type kind struct {
		code string
		node *host
	}
	count := map[kind]int{}
	for i := range found {
		count[kind{found[i].Code, at[i]}]++
	}
	for i, f := range found {
		k := kind{f.Code, at[i]}
		n := count[k]
		if n == 0 {
			continue
		}
		count[k] = 0
		if n > 1 {
			f.Message += fmt.Sprintf("; and %d like it", n-1)
		}
		if enforced {
			f.Level = max(f.Level, model.SuspicionLevelWarning)
		}
		s.find(at[i].name, f)
	}
}

// mostPaired is how many pairs of pods are looked at for questions.
const mostPaired = 100 * mostAsked

// An end is a pod that may be asked, or ask, and where it listens.
type end struct {
	host    *host
	pod     *space
	listens []netip.AddrPort // TCP
}

// questions are the conversations that can be asked about; of very many pairs of
// pods, those of some.
func (s *scope) questions() (list []question) {
	var ends []end
	for _, n := range s.read() {
		if s.explained(n.name) {
			continue
		}
		for _, p := range kinds(n) {
			ends = append(ends, end{n, p, listens(p)})
		}
	}
	pairs := len(ends) * len(ends)
	for i := 0; i < pairs; i += coprime(stride(pairs, mostPaired), len(ends)) {
		list = append(list, ask(&ends[i%len(ends)], &ends[i/len(ends)])...)
	}
	return list
}

// listens are the addresses and ports of TCP that a pod listens on, in the order
// of the dump.
func listens(p *space) (list []netip.AddrPort) {
	for _, sock := range p.ns.Info.Sockets {
		if at, err := netip.ParseAddrPort(sock.Local); err == nil && sock.Protocol == "tcp" {
			list = append(list, at)
		}
	}
	return list
}

// ask returns what one pod may be asked to open to another: its first two
// listening ports.
func ask(from, to *end) (list []question) {
	a, b, ok := sameFamily(podIPs(from.pod.pod), podIPs(to.pod.pod))
	if from.pod == to.pod || !ok {
		return nil
	}
	const most = 2
	for _, at := range to.listens {
		q := question{from.host, to.host, from.pod, to.pod, a, netip.AddrPortFrom(b, at.Port())}
		if (at.Addr() == b || at.Addr().IsUnspecified()) && len(list) < most && !slices.Contains(list, q) {
			list = append(list, q)
		}
	}
	return list
}

// kinds are running pods of a node, one of each namespace and set of labels.
func kinds(n *host) (pods []*space) {
	seen := map[string]bool{}
	for _, p := range n.pods {
		if !p.sends() {
			continue
		}
		var labels []string
		for k, v := range p.pod.Labels {
			if k != "pod-template-hash" && k != "controller-revision-hash" && !strings.HasSuffix(k, "/pod-index") && !strings.HasSuffix(k, "/pod-name") {
				labels = append(labels, k+"="+v)
			}
		}
		slices.Sort(labels)
		key := p.pod.Namespace + " " + strings.Join(labels, ",")
		if !seen[key] {
			seen[key] = true
			pods = append(pods, p)
		}
	}
	return pods
}

// spread returns most of list at equal distances, all if there are fewer.
func spread[T any](list []T, most int) (out []T) {
	for i := 0; i < len(list); i += stride(len(list), most) {
		out = append(out, list[i])
	}
	return out
}

// coprime is the least distance, step or more, at which walking through a square
// of so many rows meets each of its columns.
func coprime(step, rows int) int {
	for a, b := step, rows; ; a, b = step, rows {
		for b != 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return step
		}
		step++
	}
}

// stride is the distance at which at most so many of n are taken, 1 or more.
func stride(n, most int) int { return max((n+most-1)/most, 1) }
