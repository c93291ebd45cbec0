package ipvs

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A scheduler is one way to choose among real servers.
type scheduler struct {
	netfilter.Entry
	shares func(s *Service) []float64 // of the servers, in their order; what is missing to 1 is refused
}

// schedulers lists the schedulers of Linux (net/netfilter/ipvs/ip_vs_*.c), in
// the order in which ipvsadm's manual has them.
func schedulers() []scheduler {
	return []scheduler{
		{netfilter.Entry{Name: "rr", Class: netfilter.Exact, Why: "in turn: each server with a weight above 0 gets the same share"}, equally},
		{netfilter.Entry{Name: "wrr", Class: netfilter.Exact, Why: "in turn, as often as its weight says"}, byWeight},
		{netfilter.Entry{Name: "lc", Class: netfilter.Partly, Why: "the one with the fewest connections, which no dump shows: equal shares"}, equally},
		{netfilter.Entry{Name: "wlc", Class: netfilter.Partly, Why: "the fewest connections for its weight: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "lblc", Class: netfilter.Partly, Why: "the server that the destination had before, else as wlc: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "lblcr", Class: netfilter.Partly, Why: "one of the servers that the destination had before, else as wlc: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "dh", Class: netfilter.Partly, Why: "by a hash of the destination: equal shares; a server of weight 0 has its share, and refuses it"}, byDestination},
		{netfilter.Entry{Name: "sh", Class: netfilter.Partly, Why: "by a hash of the source: shares by weight; a server of weight 0 has one of 256 parts at least, and refuses it, unless sh-fallback is set"}, bySource},
		{netfilter.Entry{Name: "sed", Class: netfilter.Partly, Why: "the shortest expected delay, which depends on the connections: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "nq", Class: netfilter.Partly, Why: "one without connections, else as sed: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "fo", Class: netfilter.Exact, Why: "the one with the highest weight; of several, which was added last is not known: equal shares"}, highest},
		{netfilter.Entry{Name: "ovf", Class: netfilter.Partly, Why: "the one with the highest weight until it has more connections than that, which no dump shows: shares by weight"}, byWeight},
		{netfilter.Entry{Name: "mh", Class: netfilter.Partly, Why: "by a hash of the source (Maglev): shares by weight"}, byWeight},
		{netfilter.Entry{Name: "twos", Class: netfilter.Partly, Why: "the less busy of two that were drawn by weight: shares by weight"}, byWeight},
	}
}

// Schedulers documents every scheduler of Linux.
func Schedulers() (rows []netfilter.Entry) {
	for _, s := range schedulers() {
		rows = append(rows, s.Entry)
	}
	return rows
}

// Methods documents every method of forwarding.
func Methods() []netfilter.Entry {
	return []netfilter.Entry{
		{Name: "masq", Class: netfilter.Exact, Why: "the destination is translated; answers that come by are translated back"},
		{Name: "direct", Class: netfilter.Exact, Why: "sent as it is to whoever has the server's address, or to the gateway there"},
		{Name: "tunnel ipip", Class: netfilter.Exact, Why: "in an IPIP packet from the address that the route gives"},
		{Name: "tunnel gre", Class: netfilter.Partly, Why: "in a GRE packet; its checksum is not looked at"},
		{Name: "tunnel gue", Class: netfilter.Partly, Why: "in a UDP packet; its source port is not known"},
		{Name: "local", Class: netfilter.Exact, Why: "the server's address is one of the namespace: the packet goes on to the socket"},
	}
}

// A Way is one real server that a new connection may be given to, nil if it is
// refused, and the share of connections that are.
type Way struct {
	Server *Server
	Share  float64
}

// Ways returns where a new connection may go. There is at least one way; the
// shares add up to 1. The doubt is not nil if the scheduler is not known.
func (s *Service) Ways() (ways []Way, doubt *model.Doubt) {
	shares, doubt := s.shares()
	rest := 1.0
	for i, share := range shares {
		if share > 0 {
			ways = append(ways, Way{s.Servers[i], share})
			rest -= share
		}
	}
	if rest > tiny {
		ways = append(ways, Way{nil, rest})
	}
	return ways, doubt
}

const tiny = 1e-9

func (s *Service) shares() ([]float64, *model.Doubt) {
	if s.Scheduler == "" || s.Scheduler == "none" {
		return nil, nil
	}
	all := schedulers()
	if i := slices.IndexFunc(all, func(c scheduler) bool { return c.Name == s.Scheduler }); i >= 0 {
		return all[i].shares(s), nil
	}
	return byWeight(s), &model.Doubt{What: fmt.Sprintf("whom scheduler %s chooses", s.Scheduler), Evidence: s.Evidence}
}

// Limited returns the first server that takes no more connections once it has a
// number of them, which no dump shows; nil if there is none
// (IP_VS_DEST_F_OVERLOAD).
func (s *Service) Limited() *Server {
	return s.first(func(r *Server) bool { return r.Limit > 0 && r.Weight > 0 })
}

// Quiet returns the first server that takes no new clients, while those it has
// keep coming: persistence binds them to it whatever its weight is
// (ip_vs_check_template). Nil if there is none.
func (s *Service) Quiet() *Server {
	if !s.Persistent {
		return nil
	}
	return s.first(func(r *Server) bool { return r.Weight == 0 })
}

func (s *Service) first(is func(*Server) bool) *Server {
	if i := slices.IndexFunc(s.Servers, is); i >= 0 {
		return s.Servers[i]
	}
	return nil
}

// Scheduling returns what is known of the scheduler of s.
func (s *Service) Scheduling() netfilter.Entry {
	for _, c := range schedulers() {
		if c.Name == s.Scheduler {
			return c.Entry
		}
	}
	return netfilter.Entry{Name: s.Scheduler, Class: netfilter.Open, Why: "not a scheduler of Linux"}
}

// weighted gives each server a share of what weigh says.
func weighted(s *Service, weigh func(r *Server) float64) []float64 {
	shares, sum := make([]float64, len(s.Servers)), 0.0
	for i, r := range s.Servers {
		shares[i] = weigh(r)
		sum += shares[i]
	}
	if sum > 0 {
		for i := range shares {
			shares[i] /= sum
		}
	}
	return shares
}

func byWeight(s *Service) []float64 {
	return weighted(s, func(r *Server) float64 { return float64(r.Weight) })
}

func equally(s *Service) []float64 {
	return weighted(s, func(r *Server) float64 { return float64(min(r.Weight, 1)) })
}

func highest(s *Service) []float64 {
	most := 1
	for _, r := range s.Servers {
		most = max(most, r.Weight)
	}
	return weighted(s, func(r *Server) float64 { return float64(r.Weight / most) })
}

// buckets is the size of the tables of sh and dh (IP_VS_SH_TAB_SIZE).
const buckets = 256

// bySource fills the table of sh: each server in turn gets as many buckets as its
// weight, and one if that is 0 (ip_vs_sh_reassign). Without sh-fallback a bucket
// whose server has the weight 0 has nobody (ip_vs_sh_get).
func bySource(s *Service) []float64 {
	if slices.Contains(s.Flags, "sh-fallback") || slices.Contains(s.Flags, "flag-1") {
		return byWeight(s)
	}
	return fill(s, func(r *Server) int { return max(r.Weight, 1) })
}

// byDestination fills the table of dh: one bucket for each server in turn
// (ip_vs_dh_reassign).
func byDestination(s *Service) []float64 { return fill(s, func(*Server) int { return 1 }) }

func fill(s *Service, take func(r *Server) int) []float64 {
	shares := make([]float64, len(s.Servers))
	for left := buckets; left > 0 && len(s.Servers) > 0; {
		for i, r := range s.Servers {
			n := min(take(r), left)
			shares[i] += float64(n) / buckets
			left -= n
		}
	}
	for i, r := range s.Servers {
		if r.Weight == 0 {
			shares[i] = 0
		}
	}
	return shares
}
