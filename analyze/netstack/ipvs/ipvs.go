// Package ipvs reads the virtual servers of a network namespace and answers
// which of them a packet is for, and which real servers it may be given to, as
// the kernel would (net/netfilter/ipvs).
package ipvs

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Method is how a packet gets to a real server (IP_VS_FWD_METHOD).
type Method string

// The methods.
const (
	Masq   Method = "masq"   // the destination is translated (ip_vs_nat_xmit)
	Tunnel Method = "tunnel" // in an outer packet (ip_vs_tunnel_xmit)
	Direct Method = "direct" // as it is, to the server's hardware address (ip_vs_dr_xmit)
)

// A Server is one real server of a Service (struct ip_vs_dest).
type Server struct {
	Addr       netip.AddrPort // port 0: the port that the packet has
	Method     Method
	Tunnel     string // ipip, gue or gre; "" unless Method is Tunnel
	TunnelPort uint16 // UDP port of gue, 0 of others
	Weight     int    // 0: takes no new connections
	Limit      int    // connections at which it takes no more, 0 if there is no limit
	Text       string // the line that adds it
	Evidence   string // file:line
}

// A Service is one virtual server (struct ip_vs_service).
type Service struct {
	Protocol   model.Protocol // "" of one that goes by a mark
	Addr       netip.AddrPort // port 0: every port that has no service of its own
	Mark       uint32         // packets with this mark, whatever their addresses; 0 if it goes by its address
	IPv6       bool
	Scheduler  string // as ipvsadm names it; "" or "none" if it has none
	Flags      []string
	Persistent bool // all connections of a client go to one server
	Timeout    int  // of persistence, in seconds; 0 if it is not known
	OnePacket  bool // each datagram is scheduled anew
	Engine     string
	Servers    []*Server // in the order of the text
	Text       string    // the line that adds it
	Evidence   string    // file:line

	lost *model.Doubt // a line about the service that was not understood
}

// Name returns the service as ipvsadm names it: "tcp 10.96.0.1:443", "mark 10".
func (s *Service) Name() string { return s.key().String() }

// A Table has all services of a namespace. It never changes. The zero Table has
// none.
type Table struct {
	status        nodedump.Part // without its Data
	services      map[key]*Service
	marked        map[markKey]*Service
	order         []*Service
	lost          *model.Doubt // a line that may be about any service
	servers       int
	notUnderstood int
}

// A key is what a service goes by, unless it goes by a mark.
type key struct {
	protocol model.Protocol
	addr     netip.AddrPort
	mark     uint32
	ipv6     bool
}

type markKey struct {
	mark uint32
	ipv6 bool
}

// Status reports whether it is known what services there are, and if not, why.
func (t *Table) Status() (known bool, file, reason string) {
	return t.status.Status.Known(), t.status.File, t.status.Reason
}

// Services returns the services in the order of the text.
func (t *Table) Services() []*Service { return slices.Clone(t.order) }

// Stats returns how many services and real servers there are, and how many
// lines were not understood.
func (t *Table) Stats() (services, servers, notUnderstood int) {
	return len(t.order), t.servers, t.notUnderstood
}

// On reports whether IPVS looks at packets at all: it does from the first
// service on (ipvs->enable). The doubt is a line that may be one.
func (t *Table) On() (bool, *model.Doubt) { return len(t.order) > 0, t.lost }

const (
	ftpPort     = 21
	ftpDataPort = 20
)

// Find returns the service that takes a packet, nil if none does: by its mark
// first, then by destination address and port, then what serves every port of
// the address (ip_vs_service_find). For TCP, a service of port 21 takes the ports
// that FTP uses for data: 20, and those from unprivileged on, which is
// net.ipv4.ip_unprivileged_port_start.
func (t *Table) Find(p model.Packet, unprivileged int) *Service {
	if s := t.marked[markKey{p.Mark, p.IPv6()}]; s != nil && p.Mark != 0 {
		return s
	}
	addr, port := p.Dst.Addr().Unmap(), p.Dst.Port()
	at := func(port uint16) *Service {
		return t.services[key{protocol: p.Protocol, addr: netip.AddrPortFrom(addr, port)}]
	}
	if s := at(port); s != nil {
		return s
	}
	if p.Protocol == model.TCP && (port == ftpDataPort || int(port) >= unprivileged) {
		if s := at(ftpPort); s != nil {
			return s
		}
	}
	return at(0)
}

// Takes reports whether s schedules a connection to port from sport at all. If
// not, passes says whether the packet goes on as if there were no service: data
// of FTP; else it is refused (ip_vs_schedule, ip_vs_leave).
func (s *Service) Takes(sport, port uint16) (takes, passes bool) {
	switch {
	case sport == ftpDataPort:
		return false, true
	case s.Persistent, s.Mark != 0, s.Addr.Port() == port:
		return true, false
	}
	return false, s.Addr.Port() == ftpPort
}

// Lost returns the doubt about a line of s that was not understood, nil if all
// were.
func (s *Service) Lost() *model.Doubt { return s.lost }

// To returns where server gets a packet to port from s: a persistent service
// keeps ports other than its own (ip_vs_sched_persist).
func (s *Service) To(server *Server, port uint16) netip.AddrPort {
	own := server.Addr.Port()
	if own == 0 || s.Persistent && s.Addr.Port() != port {
		own = port
	}
	return netip.AddrPortFrom(server.Addr.Addr(), own)
}

func (s *Service) key() key {
	if s.Mark != 0 {
		return key{mark: s.Mark, ipv6: s.IPv6}
	}
	return key{protocol: s.Protocol, addr: s.Addr}
}
