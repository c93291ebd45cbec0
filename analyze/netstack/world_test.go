package netstack

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// world makes a namespace from lines:
//
//	dev NAME KIND [MAC] [ADDR/LEN...] [mtu=N] [down] [master=BR] [hairpin] [vni=N,LOCAL]
//	    and the options of detail in device_test.go
//	route PREFIX DEV [VIA] [type=T]
//	neigh IP DEV MAC           (that somebody wrote; learned IP DEV MAC: that the kernel learned)
//	fdb MAC DEV DST            (of a VXLAN device; DST "port" for a bridge port)
//	listen PROTO ADDR:PORT
//	sysctl NAME VALUE
//	prog HOOK DEV NAME
//
// and the text of iptables-save.
func world(t *testing.T, lines, rules string) *NetNS {
	t.Helper()
	info := &nodedump.NetNSInfo{Key: "host", File: "n/netns/host/netns.json", Sysctls: map[string]string{"net.ipv4.ip_forward": "1", "net.bridge.bridge-nf-call-iptables": "1"}}
	info.IPTables = part("n/netns/host/iptables-save.txt", rules)
	for _, p := range []*nodedump.Part{&info.IPTablesLegacy, &info.IP6Tables, &info.IP6TablesLegacy, &info.NFT, &info.IPSet} {
		p.Status = nodedump.StatusEmpty
	}
	builder{t, info, map[string]int{}}.all(lines)
	ns, problems := New(info)
	require.Empty(t, problems)
	return ns
}

func part(file, text string) nodedump.Part {
	if text == "" {
		return nodedump.Part{File: file, Status: nodedump.StatusEmpty}
	}
	return nodedump.Part{File: file, Status: nodedump.StatusOK, Data: []byte(text)}
}

type builder struct {
	t     *testing.T
	info  *nodedump.NetNSInfo
	index map[string]int
}

func (b builder) all(lines string) {
	for i, line := range strings.Split(lines, "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "dev":
			b.dev(f[1:], i+1)
		case "route":
			b.route(f[1:], i+1)
		case "neigh":
			b.info.Neighbours = append(b.info.Neighbours, nodedump.Neighbour{IP: f[1], Dev: f[2], MAC: f[3], State: "PERMANENT", Line: i + 1})
		case "learned":
			b.info.Neighbours = append(b.info.Neighbours, nodedump.Neighbour{IP: f[1], Dev: f[2], MAC: f[3], State: "STALE", Line: i + 1})
		case "fdb":
			b.fdb(f[1:], i+1)
		case "listen":
			b.info.Sockets = append(b.info.Sockets, nodedump.Socket{Protocol: f[1], Local: f[2], Line: i + 1})
		case "sysctl":
			b.info.Sysctls[f[1]] = f[2]
		case "prog":
			b.info.Programs = append(b.info.Programs, nodedump.Program{Hook: f[1], Dev: f[2], Name: f[3], Line: i + 1})
		default:
			b.t.Fatalf("unknown line %q", line)
		}
	}
}

func (b builder) dev(f []string, line int) {
	d := nodedump.Interface{Name: f[0], Kind: f[1], Index: len(b.index) + 1, MTU: 1500, Flags: []string{"UP", "LOWER_UP"}, OperState: "UP", Line: line}
	if d.Kind == "nic" {
		d.Kind = ""
	}
	b.index[d.Name] = d.Index
	for _, w := range f[2:] {
		key, value, _ := strings.Cut(w, "=")
		switch {
		case key == "mtu":
			d.MTU, _ = strconv.Atoi(value)
		case key == "down":
			d.Flags, d.OperState = nil, "DOWN"
		case key == "master":
			d.Master, d.Port = b.index[value], &nodedump.Port{State: "forwarding"}
		case key == "hairpin":
			d.Port.Hairpin = true
		case key == "vni":
			id, local, _ := strings.Cut(value, ",")
			n, _ := strconv.Atoi(id)
			d.VXLAN = &nodedump.VXLAN{ID: n, Local: local, Port: 8472}
		case b.detail(&d, key, value):
		case strings.Contains(w, "/"):
			d.Addrs = append(d.Addrs, nodedump.Addr{Prefix: w, Scope: map[bool]string{true: "host", false: "global"}[d.Name == "lo"]})
		default:
			d.MAC = w
		}
	}
	b.info.Interfaces = append(b.info.Interfaces, d)
}

func (b builder) route(f []string, line int) {
	r := nodedump.Route{Family: 4, Table: 254, Dst: f[0], Line: line}
	if strings.Contains(f[0], ":") {
		r.Family = 6
	}
	for _, w := range f[1:] {
		key, value, found := strings.Cut(w, "=")
		switch {
		case found && key == "type":
			r.Type = value
		case r.Dev == "" && r.Type == "":
			r.Dev = w
		default:
			r.Via = w
			if r.Family == 4 {
				r.Flags = []string{"onlink"}
			}
		}
	}
	b.info.Routes = append(b.info.Routes, r)
}

func (b builder) fdb(f []string, line int) {
	e := nodedump.FDBEntry{MAC: f[0], Dev: f[1], Line: line}
	for _, w := range f[3:] {
		key, value, _ := strings.Cut(w, "=")
		switch n, _ := strconv.Atoi(value); key {
		case "vlan":
			e.VLAN = n
		case "vni":
			e.VNI = n
		case "port":
			e.Port = n
		case "via":
			e.Via = value
		case "state":
			e.State = value
		}
	}
	if f[2] == "port" {
		for _, d := range b.info.Interfaces {
			if d.Name == f[1] {
				for _, m := range b.info.Interfaces {
					if m.Index == d.Master {
						e.Master = m.Name
					}
				}
			}
		}
	} else {
		e.Dst, e.Flags = f[2], []string{"self"}
	}
	b.info.FDB = append(b.info.FDB, e)
}

// pkt reads "tcp 10.0.0.1:1000 > 10.0.0.2:80".
func pkt(s string) model.Packet {
	f := strings.Fields(s)
	p := model.Packet{Protocol: model.Protocol(f[0]), Src: end(f[1]), Dst: end(f[3])}
	if p.Protocol == model.ICMP {
		p.ICMPType = 8
	}
	return p
}

func end(s string) netip.AddrPort {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a
	}
	if s == "-" {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), 0)
}

// ended prints how an outcome ended: "forwarded eth0", "dropped netfilter/drop".
func ended(o Outcome) string {
	s := o.Disposition.String()
	for _, w := range []string{o.Dev, o.Code} {
		if w != "" {
			s += " " + w
		}
	}
	if o.Answer != nil {
		s += fmt.Sprintf(" answer=%s", o.Answer.Kind)
		if o.Answer.Kind == model.KindError {
			s += fmt.Sprintf("(%d,%d)", o.Answer.ICMPType, o.Answer.ICMPCode)
		}
	}
	return s
}

// flat is a Wire on which everybody answers, or nobody, and to which all frames
// arrive, or none.
type flat struct{ answer, leads netfilter.Answer }

func (f flat) Resolve(*NetNS, string, netip.Addr, model.Packet) (string, netfilter.Answer) {
	return "02:00:00:00:00:99", f.answer
}

func (f flat) Leads(*NetNS, string, string) netfilter.Answer { return f.leads }

func everybody() Call { return Call{Wire: flat{netfilter.Yes, netfilter.Yes}} }

func one(t *testing.T, outcomes []Outcome) Outcome {
	t.Helper()
	require.Len(t, outcomes, 1)
	return outcomes[0]
}

func (f flat) Lost(*NetNS, string, string) bool { return f.leads == netfilter.No }
