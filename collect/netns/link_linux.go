package netns

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// readInterfaces reads the devices with their addresses.
func (d *dumper) readInterfaces() error {
	msgs, err := d.conn.all(routeDump(unix.RTM_GETLINK, unix.AF_UNSPEC, unix.SizeofIfInfomsg), d.deadline)
	for _, msg := range msgs {
		if len(msg) < unix.SizeofIfInfomsg {
			continue
		}
		dev := parseLink(msg)
		d.names[dev.Index] = dev.Name
		d.info.Interfaces = append(d.info.Interfaces, dev)
		d.info.Programs = append(d.info.Programs, xdpPrograms(dev.Name, after(msg, unix.SizeofIfInfomsg).nest(unix.IFLA_XDP))...)
	}
	slices.SortFunc(d.info.Interfaces, func(a, b nodedump.Interface) int { return a.Index - b.Index })
	if err != nil {
		return err
	}
	d.findPeers()
	return d.readAddrs()
}

// parseLink reads one device.
func parseLink(msg []byte) nodedump.Interface {
	a := after(msg, unix.SizeofIfInfomsg)
	flags := binary.NativeEndian.Uint32(msg[8:])
	dev := nodedump.Interface{
		Name:  a.str(unix.IFLA_IFNAME),
		Index: int(binary.NativeEndian.Uint32(msg[4:])),
		MTU:   a.num(unix.IFLA_MTU), MAC: a.mac(unix.IFLA_ADDRESS),
		Flags:     linkFlags(flags),
		OperState: operState(a.num(unix.IFLA_OPERSTATE)),
		Link:      a.num(unix.IFLA_LINK),
		Master:    a.num(unix.IFLA_MASTER),
		Group:     a.num(unix.IFLA_GROUP),
	}
	if a.has(unix.IFLA_LINK_NETNSID) {
		nsid := int(int32(a.num(unix.IFLA_LINK_NETNSID)))
		dev.LinkNSID = &nsid
	}
	link := a.nest(unix.IFLA_LINKINFO)
	dev.Kind = link.str(unix.IFLA_INFO_KIND)
	if flags&unix.IFF_LOOPBACK != 0 {
		dev.Kind = "loopback"
	}
	switch slave := link.nest(unix.IFLA_INFO_SLAVE_DATA); link.str(unix.IFLA_INFO_SLAVE_KIND) {
	case "bridge":
		dev.Port = parsePort(slave)
	case "bond":
		dev.Slave = &nodedump.Slave{State: pick(slave.num(unix.IFLA_BOND_SLAVE_STATE), "active", "backup"),
			MII: pick(slave.num(unix.IFLA_BOND_SLAVE_MII_STATUS), "UP", "GOING_DOWN", "DOWN", "GOING_BACK")}
	}
	linkDetail(&dev, link.nest(unix.IFLA_INFO_DATA))
	return dev
}

// linkDetail reads what belongs to one kind of device.
func linkDetail(dev *nodedump.Interface, data attrs) {
	switch dev.Kind {
	case "bridge":
		dev.Bridge = parseBridge(data)
	case "vxlan":
		dev.VXLAN = parseVXLAN(data)
	case "vlan":
		dev.VLAN = &nodedump.VLAN{ID: data.num(unix.IFLA_VLAN_ID), Protocol: vlanProtocol(data.big(unix.IFLA_VLAN_PROTOCOL))}
	case "macvlan", "macvtap":
		dev.Mode = macvlanMode(data.num(unix.IFLA_MACVLAN_MODE))
		dev.ModeFlags = flagNames(uint32(data.num(unix.IFLA_MACVLAN_FLAGS)), []flagName{{1, "nopromisc"}, {2, "nodst"}})
		eachAttr(data[unix.IFLA_MACVLAN_MACADDR_DATA], func(typ uint16, value []byte) {
			dev.Sources = append(dev.Sources, attrs{typ: value}.mac(typ))
		})
	case "ipvlan", "ipvtap":
		dev.Mode = pick(data.num(unix.IFLA_IPVLAN_MODE), "l2", "l3", "l3s")
		dev.ModeFlags = flagNames(uint32(data.num(unix.IFLA_IPVLAN_FLAGS)), []flagName{{1, "private"}, {2, "vepa"}})
	case "bond":
		dev.Mode = pick(data.num(unix.IFLA_BOND_MODE),
			"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
		dev.ActiveSlave = data.num(unix.IFLA_BOND_ACTIVE_SLAVE)
	case "vrf":
		dev.VRFTable = data.num(unix.IFLA_VRF_TABLE)
	default:
		dev.Tunnel = parseTunnel(dev.Kind, data)
	}
}

// parsePort reads what a bridge keeps about a port.
func parsePort(a attrs) *nodedump.Port {
	return &nodedump.Port{
		State:        pick(a.num(unix.IFLA_BRPORT_STATE), "disabled", "listening", "learning", "forwarding", "blocking"),
		Hairpin:      a.on(unix.IFLA_BRPORT_MODE),
		Isolated:     a.on(unix.IFLA_BRPORT_ISOLATED),
		NoLearning:   a.off(unix.IFLA_BRPORT_LEARNING),
		NoFlood:      a.off(unix.IFLA_BRPORT_UNICAST_FLOOD),
		NoMcastFlood: a.off(unix.IFLA_BRPORT_MCAST_FLOOD),
		NoBcastFlood: a.off(unix.IFLA_BRPORT_BCAST_FLOOD),
		ProxyARP:     a.on(unix.IFLA_BRPORT_PROXYARP),
		NeighSuppr:   a.on(unix.IFLA_BRPORT_NEIGH_SUPPRESS),
		Locked:       a.on(unix.IFLA_BRPORT_LOCKED),
		VLANTunnel:   a.on(unix.IFLA_BRPORT_VLAN_TUNNEL),
	}
}

// parseBridge reads a bridge. Its netfilter switches are missing where the
// kernel has no bridge netfilter.
func parseBridge(a attrs) *nodedump.Bridge {
	return &nodedump.Bridge{
		STP:           a.on(unix.IFLA_BR_STP_STATE),
		VLANFiltering: a.on(unix.IFLA_BR_VLAN_FILTERING),
		NFCallIPT:     a.maybe(unix.IFLA_BR_NF_CALL_IPTABLES),
		NFCallIP6T:    a.maybe(unix.IFLA_BR_NF_CALL_IP6TABLES),
		NFCallARPT:    a.maybe(unix.IFLA_BR_NF_CALL_ARPTABLES),
		VLANProtocol:  bridgeProtocol(a.big(unix.IFLA_BR_VLAN_PROTOCOL)),
		DefaultPVID:   a.num(unix.IFLA_BR_VLAN_DEFAULT_PVID),
		NoMcastSnoop:  a.off(unix.IFLA_BR_MCAST_SNOOPING),
	}
}

// bridgeProtocol names the tag that a bridge filters by, "" for the usual one.
func bridgeProtocol(n int) string {
	if n == 0 || n == unix.ETH_P_8021Q {
		return ""
	}
	return vlanProtocol(n)
}

// maybe returns a switch, nil if it is not there.
func (a attrs) maybe(typ uint16) *bool {
	if !a.has(typ) {
		return nil
	}
	on := a.on(typ)
	return &on
}

// parseVXLAN reads a VXLAN device.
func parseVXLAN(a attrs) *nodedump.VXLAN {
	v := &nodedump.VXLAN{
		ID:    a.num(unix.IFLA_VXLAN_ID),
		Local: a.ip(unix.IFLA_VXLAN_LOCAL), Local6: a.ip(unix.IFLA_VXLAN_LOCAL6),
		Group:      a.ip(unix.IFLA_VXLAN_GROUP),
		Link:       a.num(unix.IFLA_VXLAN_LINK),
		Port:       a.big(unix.IFLA_VXLAN_PORT),
		TTL:        a.num(unix.IFLA_VXLAN_TTL),
		NoLearning: !a.on(unix.IFLA_VXLAN_LEARNING),
		Proxy:      a.on(unix.IFLA_VXLAN_PROXY),
		L2Miss:     a.on(unix.IFLA_VXLAN_L2MISS), L3Miss: a.on(unix.IFLA_VXLAN_L3MISS),
		External: a.on(unix.IFLA_VXLAN_COLLECT_METADATA),
		UDPCsum:  a.on(unix.IFLA_VXLAN_UDP_CSUM),
		DF:       pick(a.num(unix.IFLA_VXLAN_DF), "unset", "set", "inherit"),
		TOS:      a.num(unix.IFLA_VXLAN_TOS), TTLInherit: a.on(unix.IFLA_VXLAN_TTL_INHERIT),
		RSC: a.on(unix.IFLA_VXLAN_RSC), GBP: a.has(unix.IFLA_VXLAN_GBP), GPE: a.has(unix.IFLA_VXLAN_GPE),
		VNIFilter: a.on(unix.IFLA_VXLAN_VNIFILTER), NoBypass: a.off(unix.IFLA_VXLAN_LOCALBYPASS),
		NoCsum6Tx: a.on(unix.IFLA_VXLAN_UDP_ZERO_CSUM6_TX), NoCsum6Rx: a.on(unix.IFLA_VXLAN_UDP_ZERO_CSUM6_RX),
	}
	if v.Group == "" {
		v.Group = a.ip(unix.IFLA_VXLAN_GROUP6)
	}
	return v
}

// linkFlags names the flags of a device as ip does.
func linkFlags(flags uint32) []string {
	return flagNames(flags, []flagName{
		{unix.IFF_LOOPBACK, "LOOPBACK"}, {unix.IFF_BROADCAST, "BROADCAST"}, {unix.IFF_POINTOPOINT, "POINTOPOINT"},
		{unix.IFF_MULTICAST, "MULTICAST"}, {unix.IFF_NOARP, "NOARP"}, {unix.IFF_ALLMULTI, "ALLMULTI"},
		{unix.IFF_PROMISC, "PROMISC"}, {unix.IFF_MASTER, "MASTER"}, {unix.IFF_SLAVE, "SLAVE"},
		{unix.IFF_DYNAMIC, "DYNAMIC"}, {unix.IFF_UP, "UP"}, {unix.IFF_LOWER_UP, "LOWER_UP"},
		{unix.IFF_DORMANT, "DORMANT"}, {unix.IFF_ECHO, "ECHO"},
	})
}

// A flagName is a bit and what ip calls it.
type flagName struct {
	bit  uint32
	name string
}

// flagNames names the bits that are set, in the order of the table.
func flagNames(flags uint32, table []flagName) (names []string) {
	for _, f := range table {
		if flags&f.bit != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// pick returns the nth name, or the number if there is none.
func pick(n int, names ...string) string {
	if n >= 0 && n < len(names) {
		return names[n]
	}
	return strconv.Itoa(n)
}

// operState names an operational state.
func operState(n int) string {
	return pick(n, "UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP")
}

// vlanProtocol names the EtherType of a tag.
func vlanProtocol(n int) string {
	switch n {
	case unix.ETH_P_8021Q:
		return "802.1Q"
	case unix.ETH_P_8021AD:
		return "802.1ad"
	}
	return strconv.Itoa(n)
}

// macvlanMode names the mode of a macvlan, which is a bit.
func macvlanMode(n int) string {
	switch n {
	case 1:
		return "private"
	case 2:
		return "vepa"
	case 4:
		return "bridge"
	case 8:
		return "passthru"
	case 16:
		return "source"
	}
	return strconv.Itoa(n)
}

// readAddrs adds the addresses to the interfaces.
func (d *dumper) readAddrs() error {
	msgs, err := d.conn.all(routeDump(unix.RTM_GETADDR, unix.AF_UNSPEC, unix.SizeofIfAddrmsg), d.deadline)
	byIndex := map[int]*nodedump.Interface{}
	for i := range d.info.Interfaces {
		byIndex[d.info.Interfaces[i].Index] = &d.info.Interfaces[i]
	}
	for _, msg := range msgs {
		if len(msg) < unix.SizeofIfAddrmsg {
			continue
		}
		dev := byIndex[int(binary.NativeEndian.Uint32(msg[4:]))]
		if dev == nil || msg[0] != unix.AF_INET && msg[0] != unix.AF_INET6 {
			continue
		}
		dev.Addrs = append(dev.Addrs, parseAddr(msg, dev.Name))
	}
	return err
}

// parseAddr reads one address.
func parseAddr(msg []byte, dev string) nodedump.Addr {
	a := after(msg, unix.SizeofIfAddrmsg)
	bits, flags := int(msg[1]), uint32(msg[2])
	if a.has(unix.IFA_FLAGS) {
		flags = uint32(a.num(unix.IFA_FLAGS))
	}
	out := nodedump.Addr{Scope: scopeName(int(msg[3])), Flags: addrFlags(flags, msg[0] == unix.AF_INET6)}
	if out.Scope == "" {
		out.Scope = "global"
	}
	local, address := a.addr(unix.IFA_LOCAL), a.addr(unix.IFA_ADDRESS)
	switch {
	case !local.IsValid():
		out.Prefix = netip.PrefixFrom(address, bits).String()
	case !address.IsValid() || local == address:
		out.Prefix = netip.PrefixFrom(local, bits).String()
	default: // the prefix length is that of the peer
		out.Prefix = netip.PrefixFrom(local, local.BitLen()).String()
		out.Peer = netip.PrefixFrom(address, bits).String()
	}
	if label := a.str(unix.IFA_LABEL); label != dev {
		out.Label = label
	}
	return out
}

// addrFlags names the flags of an address as ip does.
func addrFlags(flags uint32, v6 bool) []string {
	secondary := "secondary"
	if v6 {
		secondary = "temporary"
	}
	names := flagNames(flags, []flagName{
		{unix.IFA_F_SECONDARY, secondary}, {unix.IFA_F_NODAD, "nodad"}, {unix.IFA_F_OPTIMISTIC, "optimistic"},
		{unix.IFA_F_DADFAILED, "dadfailed"}, {unix.IFA_F_HOMEADDRESS, "home"}, {unix.IFA_F_DEPRECATED, "deprecated"},
		{unix.IFA_F_TENTATIVE, "tentative"}, {unix.IFA_F_PERMANENT, "permanent"}, {unix.IFA_F_MANAGETEMPADDR, "mngtmpaddr"},
		{unix.IFA_F_NOPREFIXROUTE, "noprefixroute"}, {unix.IFA_F_MCAUTOJOIN, "autojoin"}, {unix.IFA_F_STABLE_PRIVACY, "stable-privacy"},
	})
	if flags&unix.IFA_F_PERMANENT == 0 {
		names = append(names, "dynamic")
	}
	return names
}

// scopeName names the scope of an address or route; global is "".
func scopeName(n int) string {
	switch n {
	case unix.RT_SCOPE_UNIVERSE:
		return ""
	case unix.RT_SCOPE_SITE:
		return "site"
	case unix.RT_SCOPE_LINK:
		return "link"
	case unix.RT_SCOPE_HOST:
		return "host"
	case unix.RT_SCOPE_NOWHERE:
		return "nowhere"
	}
	return strconv.Itoa(n)
}
