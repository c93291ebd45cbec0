package kuberules

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/ipvs"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// dummy is the device that has the addresses of Services in the mode ipvs.
const dummy = "kube-ipvs0"

// A Server is what the mode ipvs has beside virtual servers.
type Server struct {
	Device  bool                // kube-ipvs0 is there
	Bound   map[netip.Addr]bool // addresses of kube-ipvs0
	Local   map[netip.Addr]bool // addresses of the other devices, loopback ones apart
	Sets    map[string]bool     // names of sets of ipset
	Members map[string]At       // "SET ENTRY", as ipset saves entries
	filled  map[string]bool     // sets that have an entry
}

// maxSetName is how long the name of a set can be (IPSET_MAXNAMELEN, less the
// zero at its end).
const maxSetName = 31

// SetName returns the name that a set of IPv4 has in a family. What is too long
// is cut off (kubernetes pkg/proxy/ipvs/ipset.go, NewIPSet).
func SetName(name string, ipv4 bool) string {
	if ipv4 {
		return name
	}
	name = strings.Replace(name, "KUBE-", "KUBE-6-", 1)
	return name[:min(len(name), maxSetName)]
}

// ReadIPVS reads the virtual servers of both families. It reports false if
// there is none, or none of kube-proxy: without kube-ipvs0 they are taken for
// another program's, unless the caller knows better.
//
// Source: kubernetes pkg/proxy/ipvs/proxier.go, syncProxyRules.
func ReadIPVS(info *nodedump.NetNSInfo, sure bool) (v4, v6 *Family, s *Server, ok bool) {
	s = readServer(info)
	if !s.Device && !sure {
		return nil, nil, s, false
	}
	table, _ := ipvs.Parse(info.IPVS)
	v4, v6 = &Family{Entries: map[Frontend]*Entry{}, NodePorts: true}, &Family{Entries: map[Frontend]*Entry{}, NodePorts: true}
	for _, vs := range table.Services() {
		if !vs.Addr.IsValid() || vs.Mark != 0 {
			continue
		}
		f := v4
		if vs.IPv6 {
			f = v6
		}
		e := f.entry(Frontend{Addr: vs.Addr.Addr(), Protocol: vs.Protocol, Port: vs.Addr.Port()})
		e.At = place(vs.Evidence)
		for _, to := range vs.Servers {
			d := Dest{Addr: to.Addr, Hairpin: true, Weight: to.Weight, At: place(to.Evidence)}
			if vs.Persistent {
				d.Affine = max(vs.Timeout, 1)
			}
			e.To = append(e.To, d)
		}
	}
	v4.ipvsHooks(s, info.IPTables, info.IPTablesLegacy, IPTables)
	v6.ipvsHooks(s, info.IP6Tables, info.IP6TablesLegacy, IP6Tables)
	return v4, v6, s, len(v4.Entries)+len(v6.Entries) > 0
}

// place reads "file:line".
func place(evidence string) At {
	_, line, _ := strings.Cut(evidence[strings.LastIndex(evidence, "/")+1:], ":")
	n, _ := strconv.Atoi(line)
	return At{IPVS, n}
}

func readServer(info *nodedump.NetNSInfo) *Server {
	s := &Server{Bound: map[netip.Addr]bool{}, Local: map[netip.Addr]bool{}, Sets: map[string]bool{}, Members: map[string]At{}, filled: map[string]bool{}}
	for i := range info.Interfaces {
		dev := &info.Interfaces[i]
		into := s.Local
		if dev.Name == dummy {
			s.Device, into = true, s.Bound
		}
		for _, a := range dev.Addrs {
			if p, err := netip.ParsePrefix(a.Prefix); err == nil && !p.Addr().IsLoopback() && (p.Addr().Is4() || !p.Addr().IsLinkLocalUnicast()) {
				into[p.Addr()] = true
			}
		}
	}
	n := 0
	for line := range bytes.Lines(info.IPSet.Data) {
		n++
		words := strings.Fields(string(line))
		if len(words) < 3 {
			continue
		}
		switch words[0] {
		case "create":
			s.Sets[words[1]] = true
		case "add":
			s.Members[words[1]+" "+words[2]] = At{IPSet, n}
			s.filled[words[1]] = true
		}
	}
	return s
}

// ipvsHooks looks for the rules that masquerade.
func (f *Family) ipvsHooks(s *Server, nft, legacy nodedump.Part, text Text) {
	if len(f.Entries) == 0 || !nft.Status.Known() {
		return
	}
	r := newChainReader(nft.Data, text)
	if old := newChainReader(legacy.Data, text+1); len(r.chains.of(postChain)) == 0 && len(old.chains.of(postChain)) > 0 {
		r = old
	}
	r.hooks()
	f.Hooks = r.out.Hooks
	for _, need := range []struct{ chain, set, to string }{
		{servicesChain, "KUBE-CLUSTER-IP", masqChain},
		{servicesChain, "KUBE-EXTERNAL-IP", masqChain},
		{"KUBE-NODE-PORT", "KUBE-NODE-PORT-TCP", masqChain},
		{"KUBE-NODE-PORT", "KUBE-NODE-PORT-UDP", masqChain},
		{postChain, "KUBE-LOOP-BACK", "MASQUERADE"},
	} {
		set := SetName(need.set, text == IPTables)
		if s.filled[set] && !slices.ContainsFunc(r.chains.of(need.chain), func(one rule) bool { return one.set == set && one.to == need.to }) {
			f.Hooks = append(f.Hooks, Hook{What: "chain " + need.chain + " of the table nat has no rule for the set " + set + " -j " + need.to, At: At{Text: r.text}})
		}
	}
	for i := range f.Hooks {
		f.Hooks[i].Masq = true // IPVS itself translates
	}
}
