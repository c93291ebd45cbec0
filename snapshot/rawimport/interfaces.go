package rawimport

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// interfaces reads ip-link.json, ip-addr.json and bridge-link.json. "ip -d
// addr" prints all that "ip -d link" prints, so either may be missing.
func (r *reader) interfaces() {
	links, linkStatus, linkReason := load(r, "ip-link.json", parseLinks)
	addrs, addrStatus, addrReason := load(r, "ip-addr.json", parseLinks)
	ports, portStatus, portReason := load(r, "bridge-link.json", parseBridgeLinks)
	if portStatus != nodedump.StatusOK && portStatus != nodedump.StatusNotCollected {
		r.note("%s: %s", r.key, portReason)
	}
	all := mergeLinks(links, addrs)
	r.info.Interfaces = resolveLinks(all, ports)
	for _, p := range all {
		r.info.Programs = append(r.info.Programs, p.programs...)
	}
	r.vlans()
	r.wireguard()
	r.judgeLinks(all, len(addrs), [2]nodedump.Status{linkStatus, addrStatus}, [2]string{linkReason, addrReason})
	if linkStatus == nodedump.StatusFailed || linkStatus == nodedump.StatusDenied {
		r.note("%s: %s", r.key, linkReason)
	}
}

// judgeLinks says what of the devices was not read, by the statuses of the links and
// the addresses, and why.
func (r *reader) judgeLinks(all []parsedLink, addrs int, statuses [2]nodedump.Status, reasons [2]string) {
	truncated := nodedump.StatusTruncated
	linkStatus, addrStatus, linkReason, addrReason := statuses[0], statuses[1], reasons[0], reasons[1]
	switch {
	case len(all) == 0 && linkStatus == nodedump.StatusNotCollected:
		r.missing("interfaces", addrStatus, linkReason+"; "+addrReason)
	case len(all) == 0:
		r.missing("interfaces", linkStatus, linkReason+"; "+addrReason)
	case addrs == 0:
		r.missing("interfaces", truncated, addrReason+": no addresses")
	case addrStatus == truncated:
		r.missing("interfaces", truncated, addrReason)
	case linkStatus == truncated:
		r.missing("interfaces", truncated, linkReason)
	case !detailed(all):
		r.missing("interfaces", truncated, undetailed)
	}
}

// undetailed is why devices may be something else than they seem.
const undetailed = "printed without -d: the kinds of the devices are not known"

// A rawLink is an entry of "ip -j -d link" or "ip -j -d addr".
type rawLink struct {
	Index       int                          `json:"ifindex"`
	Name        string                       `json:"ifname"`
	Link        *string                      `json:"link"`
	LinkIndex   int                          `json:"link_index"`
	LinkNetnsID *int                         `json:"link_netnsid"`
	LinkNetns   string                       `json:"link_netns"`
	Flags       []string                     `json:"flags"`
	MTU         int                          `json:"mtu"`
	Master      string                       `json:"master"`
	OperState   string                       `json:"operstate"`
	Group       word                         `json:"group"`
	LinkType    string                       `json:"link_type"`
	Address     string                       `json:"address"`
	Promiscuity *number                      `json:"promiscuity"` // printed only with -d
	Qdisc       string                       `json:"qdisc"`
	XDP         json.RawMessage              `json:"xdp"`
	Info        rawLinkInfo                  `json:"linkinfo"`
	Addrs       []map[string]json.RawMessage `json:"addr_info"`

	port *rawPort // of a bridge, where it was not printed as JSON
}

type rawLinkInfo struct {
	Kind      string          `json:"info_kind"`
	Data      rawLinkData     `json:"info_data"`
	SlaveKind string          `json:"info_slave_kind"`
	SlaveData json.RawMessage `json:"info_slave_data"`
}

// A rawLinkData is the info_data of all kinds together; their keys do not
// contradict each other.
type rawLinkData struct {
	ID         number   `json:"id"`
	Local      string   `json:"local"`
	Local6     string   `json:"local6"`
	Group      string   `json:"group"`
	Group6     string   `json:"group6"`
	Remote     string   `json:"remote"`
	Remote6    string   `json:"remote6"`
	Link       *string  `json:"link"`
	Port       number   `json:"port"`
	DstPort    number   `json:"dstport"`
	TTL        word     `json:"ttl"`
	Learning   flag     `json:"learning"`
	NoLearning flag     `json:"nolearning"`
	Proxy      flag     `json:"proxy"`
	L2Miss     flag     `json:"l2miss"`
	L3Miss     flag     `json:"l3miss"`
	External   flag     `json:"external"`
	UDPCsum    flag     `json:"udp_csum"`
	DF         string   `json:"df"`
	PMTUDisc   flag     `json:"pmtudisc"`
	NoPMTUDisc flag     `json:"nopmtudisc"`
	Protocol   string   `json:"protocol"`
	Mode       word     `json:"mode"`
	Table      word     `json:"table"`
	STP        flag     `json:"stp_state"`
	VLANFilter flag     `json:"vlan_filtering"`
	NFCallIPT  flag     `json:"nf_call_iptables"`
	NFCallIP6T flag     `json:"nf_call_ip6tables"`
	NFCallARPT flag     `json:"nf_call_arptables"`
	VLANProto  string   `json:"vlan_protocol"`
	DefPVID    number   `json:"vlan_default_pvid"`
	McastSnoop flag     `json:"mcast_snooping"`
	Flags      rawFlags `json:"flags"`
	Active     *string  `json:"active_slave"`
	MACs       []string `json:"macaddr_data"`
	rawTunnelData
}

// rawFlags are flags of a device that ip prints as a list of words, and of
// some kinds as something else, which says nothing.
type rawFlags []string

// UnmarshalJSON implements json.Unmarshaler.
func (f *rawFlags) UnmarshalJSON(data []byte) error {
	var words []string
	if json.Unmarshal(data, &words) == nil {
		*f = words
		return nil
	}
	var word string
	if json.Unmarshal(data, &word) == nil && word != "" {
		*f = rawFlags{word}
	}
	return nil
}

// A parsedLink is an interface that still names its master and parents.
type parsedLink struct {
	nodedump.Interface
	programs                       []nodedump.Program
	link, master, underlay, active string
	detailed, hasAddrs             bool
}

func parseLinks(data []byte) ([]parsedLink, []bad, error) {
	parse := linksOfText
	if isJSON(data) {
		parse = parseEntries[rawLink, parsedLink]
	}
	list, bads, err := parse(data, convertLink)
	if err == nil && len(list) == 0 && len(bads) == 0 {
		err = errors.New("1: no interface, and each namespace has one")
	}
	return list, bads, err
}

func convertLink(l *rawLink, line int) (parsedLink, error) {
	if l.Name == "" || l.Index <= 0 {
		return parsedLink{}, errors.New("an interface without ifname or ifindex")
	}
	out := parsedLink{master: l.Master, detailed: l.Promiscuity != nil || l.Info.Kind != "", hasAddrs: l.Addrs != nil}
	out.Interface = nodedump.Interface{
		Name: l.Name, Index: l.Index, Kind: l.Info.Kind, MTU: l.MTU, MAC: l.Address, Flags: l.Flags,
		OperState: l.OperState, Link: l.LinkIndex, Line: line,
	}
	if group, err := strconv.Atoi(string(l.Group)); err == nil {
		out.Group = group
	}
	if l.Link != nil {
		out.link = *l.Link
	}
	out.netnsOf(l)
	out.kindOf(l)
	out.programs = programsOf(l)
	if err := out.dataOf(l); err != nil {
		return parsedLink{}, fmt.Errorf("%s: %w", l.Name, err)
	}
	for _, a := range l.Addrs {
		addr, err := convertAddr(a)
		if err != nil {
			return parsedLink{}, fmt.Errorf("%s: %w", l.Name, err)
		}
		out.Addrs = append(out.Addrs, addr)
	}
	return out, nil
}

// netnsOf says in which namespace the other end lies. A name instead of a
// number, or a link_index alone, say only that it is another one.
func (p *parsedLink) netnsOf(l *rawLink) {
	switch elsewhere := -1; {
	case l.LinkNetnsID != nil:
		p.LinkNSID = l.LinkNetnsID
	case l.LinkNetns != "" || l.LinkIndex > 0:
		p.LinkNSID = &elsewhere
	}
}

// kindOf falls back to the link type where ip prints no kind.
func (p *parsedLink) kindOf(l *rawLink) {
	if p.Kind != "" {
		return
	}
	switch l.LinkType {
	case "loopback", "ipip", "sit", "gre":
		p.Kind = l.LinkType
	}
}

// dataOf takes over what depends on the kind.
func (p *parsedLink) dataOf(l *rawLink) error {
	d := &l.Info.Data
	switch p.Kind {
	case "bridge":
		p.Bridge = convertBridge(d)
	case "vxlan":
		p.VXLAN = convertVXLAN(d)
	case "ipip", "sit", "gre", "gretap", "erspan", "ip6tnl", "ip6gre", "ip6gretap", "ip6erspan", "vti", "vti6", "wireguard", "geneve":
		p.Tunnel = convertTunnel(d)
	case "vlan":
		p.VLAN = &nodedump.VLAN{ID: int(d.ID), Protocol: d.Protocol}
	case "macvlan", "macvtap", "ipvlan", "ipvtap", "bond":
		p.Mode, p.Sources, p.ModeFlags = string(d.Mode), d.MACs, modeFlags(d.Flags)
		if d.Active != nil {
			p.active = *d.Active
		}
	case "vrf":
		p.VRFTable = table(string(d.Table))
	}
	if d.Link != nil {
		p.underlay = *d.Link
	}
	return p.slaveOf(l)
}

// slaveOf takes over what the master keeps about the device.
func (p *parsedLink) slaveOf(l *rawLink) error {
	if l.Info.SlaveKind == "bridge" && l.port != nil {
		p.Port = l.port.convert()
	}
	if len(l.Info.SlaveData) == 0 {
		return nil
	}
	switch l.Info.SlaveKind {
	case "bridge":
		var port rawPort
		if err := json.Unmarshal(l.Info.SlaveData, &port); err != nil {
			return err
		}
		p.Port = port.convert()
	case "bond":
		var slave struct {
			State string `json:"state"`
			MII   string `json:"mii_status"`
		}
		if err := json.Unmarshal(l.Info.SlaveData, &slave); err != nil {
			return err
		}
		p.Slave = &nodedump.Slave{State: strings.ToLower(slave.State), MII: slave.MII}
	}
	return nil
}

// modeFlags keeps the flags of a macvlan or ipvlan that change where packets
// go. The usual ones, such as "bridge" of an ipvlan, say nothing.
func modeFlags(flags []string) (kept []string) {
	for _, f := range flags {
		switch f {
		case "private", "vepa", "nopromisc", "nodst":
			kept = append(kept, f)
		}
	}
	return kept
}

func convertBridge(d *rawLinkData) *nodedump.Bridge {
	b := &nodedump.Bridge{
		STP: d.STP.on, VLANFiltering: d.VLANFilter.on, DefaultPVID: int(d.DefPVID), NoMcastSnoop: !d.McastSnoop.orElse(true),
		NFCallIPT: d.NFCallIPT.pointer(), NFCallIP6T: d.NFCallIP6T.pointer(), NFCallARPT: d.NFCallARPT.pointer(),
	}
	if d.VLANProto != "802.1Q" {
		b.VLANProtocol = d.VLANProto
	}
	return b
}

func (f flag) pointer() *bool {
	if !f.set {
		return nil
	}
	return &f.on
}

// convertAddr reads an element of addr_info. Its flags are keys that are true.
func convertAddr(a map[string]json.RawMessage) (nodedump.Addr, error) {
	var base struct {
		Local  string `json:"local"`
		Peer   string `json:"address"`
		Length int    `json:"prefixlen"`
		Scope  word   `json:"scope"`
		Label  string `json:"label"`
	}
	text, err := json.Marshal(a)
	if err == nil {
		err = json.Unmarshal(text, &base)
	}
	if err != nil {
		return nodedump.Addr{}, err
	}
	prefix, err := prefixOf(base.Local, base.Length)
	if err != nil {
		return nodedump.Addr{}, err
	}
	out := nodedump.Addr{Prefix: prefix, Scope: string(base.Scope), Label: base.Label}
	if base.Peer != "" {
		if out.Peer, err = prefixOf(base.Peer, base.Length); err != nil {
			return nodedump.Addr{}, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a)) {
		if string(a[key]) == "true" {
			out.Flags = append(out.Flags, key)
		}
	}
	return out, nil
}

func prefixOf(addr string, length int) (string, error) {
	a, err := netip.ParseAddr(addr)
	if err != nil || length < 0 || length > a.BitLen() {
		return "", fmt.Errorf("%q/%d is no prefix", addr, length)
	}
	return netip.PrefixFrom(a, length).String(), nil
}

func detailed(all []parsedLink) bool {
	return slices.ContainsFunc(all, func(p parsedLink) bool { return p.detailed })
}

// mergeLinks adds the addresses of one dump to the links of another.
func mergeLinks(links, addrs []parsedLink) []parsedLink {
	out := slices.Clone(links)
	for _, a := range addrs {
		i := slices.IndexFunc(out, func(p parsedLink) bool { return p.Index == a.Index && p.Name == a.Name })
		switch {
		case i < 0:
			out = append(out, a)
		case a.detailed && !out[i].detailed:
			out[i] = a
		default:
			out[i].Addrs = a.Addrs
		}
	}
	slices.SortStableFunc(out, func(a, b parsedLink) int { return a.Index - b.Index })
	return out
}

// resolveLinks replaces the names of masters and parents by their indices.
func resolveLinks(all []parsedLink, ports []parsedPort) []nodedump.Interface {
	index := map[string]int{}
	bridges := map[int]bool{}
	for _, p := range all {
		index[p.Name] = p.Index
		bridges[p.Index] = p.Kind == "bridge"
	}
	out := make([]nodedump.Interface, 0, len(all))
	for _, p := range all {
		p.Master, p.ActiveSlave = indexOf(p.master, index), indexOf(p.active, index)
		if p.Link == 0 {
			p.Link = indexOf(p.link, index)
		}
		if underlay := indexOf(p.underlay, index); p.VXLAN != nil {
			p.VXLAN.Link = underlay
		} else if p.Tunnel != nil {
			p.Tunnel.Link = underlay
		}
		if i := slices.IndexFunc(ports, func(b parsedPort) bool { return b.name == p.Name }); i >= 0 && p.Port == nil {
			p.Port = ports[i].port
		}
		if p.Port != nil && p.Master > 0 && !bridges[p.Master] && detailed(all) {
			p.Port = nil
		}
		out = append(out, p.Interface)
	}
	return out
}

// indexOf finds an interface by name. ip prints "if7" for one that has no name
// in this namespace.
func indexOf(name string, index map[string]int) int {
	if i, ok := index[name]; ok {
		return i
	}
	if digits, ok := strings.CutPrefix(name, "if"); ok {
		if i, err := strconv.Atoi(digits); err == nil {
			return max(0, i)
		}
	}
	return 0
}
