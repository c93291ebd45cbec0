package netstack

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// detail reads the options of devices of special kinds:
//
//	on=DEV tag=N [service]      stands on DEV; its VLAN
//	mode=M flags=F,...          of a macvlan, ipvlan or bond
//	active=DEV | slave=STATE    of a bond; of one of its devices
//	local=A remote=A ttl=N proto=P okey=N ikey=N nopmtu nolimit link=DEV   of a tunnel
//	df=D nolearn zerosum        of a vxlan
//	port=STATE locked noflood isolated filtering vlans=1pu,5,7-9           of bridges and ports
//	noarp
func (b builder) detail(d *nodedump.Interface, key, value string) bool {
	n, _ := strconv.Atoi(value)
	switch key {
	case "on":
		d.Link = b.index[value]
	case "tag":
		d.VLAN = &nodedump.VLAN{ID: n, Protocol: "802.1Q"}
	case "service":
		d.VLAN.Protocol = "802.1ad"
	case "mode":
		d.Mode = value
	case "flags":
		d.ModeFlags = strings.Split(value, ",")
	case "active":
		d.ActiveSlave = n
	case "slave":
		d.Slave, d.Port = &nodedump.Slave{State: value}, nil
	case "noarp":
		d.Flags = append(d.Flags, "NOARP")
	case "df":
		d.VXLAN.DF = value
	case "nolearn":
		d.VXLAN.NoLearning = true
	case "link":
		if d.Tunnel != nil {
			d.Tunnel.Link = b.index[value]
		}
	default:
		return b.tunnelDetail(d, key, value) || b.portDetail(d, key, value)
	}
	return true
}

func (b builder) tunnelDetail(d *nodedump.Interface, key, value string) bool {
	if d.Tunnel == nil {
		d.Tunnel = &nodedump.Tunnel{}
	}
	t := d.Tunnel
	n, _ := strconv.Atoi(value)
	k := uint32(n)
	switch key {
	case "local":
		t.Local = value
	case "remote":
		t.Remote = value
	case "ttl":
		t.TTL = n
	case "proto":
		t.Proto = value
	case "okey":
		t.OKey = &k
	case "ikey":
		t.IKey = &k
	case "nopmtu":
		t.NoPMTU = true
	case "nolimit":
		t.NoLimit = true
	case "id":
		t.ID, t.Port = n, 6081
	case "wg":
		f := strings.Split(value, ",")
		d.WireGuard = &nodedump.WireGuard{Port: 51820, Peers: []nodedump.WGPeer{{Endpoint: f[0], AllowedIPs: f[1:]}}}
	default:
		return false
	}
	return true
}

func (b builder) portDetail(d *nodedump.Interface, key, value string) bool {
	switch key {
	case "port":
		d.Port.State = value
	case "locked":
		d.Port.Locked = true
	case "noflood":
		d.Port.NoFlood = true
	case "isolated":
		d.Port.Isolated = true
	case "filtering":
		d.Bridge = &nodedump.Bridge{VLANFiltering: true}
	case "vlans":
		for _, w := range strings.Split(value, ",") {
			text := strings.TrimRight(w, "pu")
			first, last, _ := strings.Cut(text, "-")
			v := nodedump.BridgeVLAN{PVID: strings.Contains(w, "p"), Untagged: strings.Contains(w, "u")}
			v.ID, _ = strconv.Atoi(first)
			v.Last, _ = strconv.Atoi(last)
			d.VLANs = append(d.VLANs, v)
		}
	default:
		return false
	}
	return true
}

// A deviceRow is one thing that a device does with a packet. Words of what is
// sent: "in DEV MAC [tag=N]" or "out".
type deviceRow struct {
	kind, name string
	world      string // beside the base
	send       string
	packet     string
	want       string // as ended says
	left       string // the packet as it left, "" is not looked at
}

const machine = `
dev lo loopback 127.0.0.1/8 ::1/128 mtu=65536
dev eth0 nic 02:00:00:00:00:01 172.31.0.1/24 fd00::1/64
route 172.31.0.0/24 eth0
route fd00::/64 eth0
listen tcp 0.0.0.0:80
listen tcp [::]:80
`

const bridged = `
dev br0 bridge 02:00:00:00:09:01 10.0.9.1/24 filtering vlans=1pu,5
dev p1 veth 02:00:00:00:09:11 master=br0 vlans=1pu,5,7-9
dev p2 veth 02:00:00:00:09:12 master=br0 vlans=1pu,8
dev p3 veth 02:00:00:00:09:13 master=br0 vlans=5pu
dev br0.5 vlan 02:00:00:00:09:01 10.0.5.1/24 on=br0 tag=5
route 10.0.9.0/24 br0
route 10.0.5.0/24 br0.5
fdb 0a:00:00:00:00:02 p2 port vlan=1
fdb 0a:00:00:00:00:08 p2 port vlan=8
fdb 0a:00:00:00:00:03 p3 port vlan=5
neigh 10.0.5.3 br0.5 0a:00:00:00:00:03
neigh 10.0.9.2 br0 0a:00:00:00:00:02
neigh 10.0.9.3 br0 0a:00:00:00:00:03
sysctl net.bridge.bridge-nf-call-iptables 0
`

func deviceRows() []deviceRow {
	return slices.Concat(stackedRows(), bridgeRows(), tunnelRows(), otherRows())
}

func stackedRows() []deviceRow {
	const vlan = "dev eth0.7 vlan 02:00:00:00:00:01 10.7.0.1/24 on=eth0 tag=7\nroute 10.7.0.0/24 eth0.7\n"
	const bond = "dev bond0 bond 02:00:00:00:00:10 10.8.0.1/24 mode=active-backup active=4\ndev s1 veth 02:00:00:00:00:10 master=bond0 slave=active\ndev s2 veth 02:00:00:00:00:10 master=bond0 slave=backup\nroute 10.8.0.0/24 bond0\n"
	const macvlan = "dev mv1 macvlan 02:00:00:00:00:21 10.9.0.1/24 on=eth0 mode=bridge\ndev mv2 macvlan 02:00:00:00:00:22 on=eth0 mode=bridge\ndev mv3 macvlan 02:00:00:00:00:23 on=eth0 mode=private\nroute 10.9.0.0/24 mv1\n"
	const ipvlan = "dev iv1 ipvlan 02:00:00:00:00:01 10.6.0.1/24 on=eth0 mode=%M noarp\ndev iv2 ipvlan 02:00:00:00:00:01 10.6.0.2/24 on=eth0 mode=%M noarp\nroute 10.6.0.0/24 iv1\n"
	l2, l3, l3s := strings.ReplaceAll(ipvlan, "%M", "l2"), strings.ReplaceAll(ipvlan, "%M", "l3"), strings.ReplaceAll(ipvlan, "%M", "l3s")
	return []deviceRow{
		{"vlan", "vlan_dev_hard_start_xmit", vlan + "neigh 10.7.0.9 eth0.7 0a:00:00:00:00:01", "out", "udp 10.7.0.1:1 > 10.7.0.9:9", "forwarded eth0", "udp 10.7.0.1:1 > 10.7.0.9:9 vlan 7"},
		{"vlan", "vlan_do_receive", vlan, "in eth0 02:00:00:00:00:01 tag=7", "tcp 10.7.0.9:1 > 10.7.0.1:80", "delivered answer=reply", ""},
		{"vlan", "a tag that nobody takes", vlan, "in eth0 02:00:00:00:00:01 tag=8", "tcp 10.7.0.9:1 > 10.7.0.1:80", "dropped", ""},
		{"vlan", "tag 0 is a priority", vlan, "in eth0 02:00:00:00:00:01 tag=0", "tcp 172.31.0.9:1 > 172.31.0.1:80", "delivered answer=reply", ""},
		{"vlan", "its own address counts", "dev eth0.7 vlan 02:00:00:00:00:77 10.7.0.1/24 on=eth0 tag=7\nroute 10.7.0.0/24 eth0.7", "in eth0 02:00:00:00:00:77 tag=7", "tcp 10.7.0.9:1 > 10.7.0.1:80", "delivered answer=reply", ""},
		{"vlan", "down", "dev eth0.7 vlan 02:00:00:00:00:01 10.7.0.1/24 on=eth0 tag=7 down", "in eth0 02:00:00:00:00:01 tag=7", "tcp 10.7.0.9:1 > 10.7.0.1:80", "dropped link/down", ""},
		{"vlan", "802.1ad is another tag", "dev eth0.7 vlan 02:00:00:00:00:01 10.7.0.1/24 on=eth0 tag=7 service", "in eth0 02:00:00:00:00:01 tag=7", "tcp 10.7.0.9:1 > 10.7.0.1:80", "dropped", ""},
		{"bond", "in by the active device", bond, "in s1 02:00:00:00:00:10", "tcp 10.8.0.9:1 > 10.8.0.1:80", "delivered answer=reply", ""},
		{"bond", "bond_should_deliver_exact_match", bond, "in s2 02:00:00:00:00:10", "tcp 10.8.0.9:1 > 10.8.0.1:80", "dropped", ""},
		{"bond", "out by the active device", bond + "neigh 10.8.0.9 bond0 0a:00:00:00:00:01", "out", "udp 10.8.0.1:1 > 10.8.0.9:9", "forwarded s1", ""},
		{"team", "one device", "dev team0 team 02:00:00:00:00:10 10.8.0.1/24\ndev s1 veth 02:00:00:00:00:10 master=team0\nroute 10.8.0.0/24 team0", "in s1 02:00:00:00:00:10", "tcp 10.8.0.9:1 > 10.8.0.1:80", "delivered answer=reply", ""},
		{"macvlan", "macvlan_handle_frame", macvlan, "in eth0 02:00:00:00:00:21", "tcp 10.9.0.9:1 > 10.9.0.1:80", "delivered answer=reply", ""},
		{"macvlan", "the parent's own", macvlan, "in eth0 02:00:00:00:00:01", "tcp 172.31.0.9:1 > 172.31.0.1:80", "delivered answer=reply", ""},
		{"macvlan", "nobody's", macvlan, "in eth0 02:00:00:00:00:99", "tcp 172.31.0.9:1 > 172.31.0.1:80", "dropped neigh/wrong", ""},
		{"macvlan", "to a group", macvlan, "in eth0 ff:ff:ff:ff:ff:ff", "tcp 172.31.0.9:1 > 172.31.0.1:80", "unknown", ""},
		{"macvlan", "mode bridge: to another one at once", macvlan + "neigh 10.9.0.2 mv1 02:00:00:00:00:22", "out", "udp 10.9.0.1:1 > 10.9.0.2:9", "dropped walk/martian", ""},
		{"macvlan", "not to one in mode private", macvlan + "neigh 10.9.0.3 mv1 02:00:00:00:00:23", "out", "udp 10.9.0.1:1 > 10.9.0.3:9", "forwarded eth0", ""},
		{"macvlan", "not to the parent", macvlan + "neigh 10.9.0.3 mv1 02:00:00:00:00:01", "out", "udp 10.9.0.1:1 > 10.9.0.3:9", "forwarded eth0", ""},
		{"macvlan", "passthru takes all", "dev mv1 macvlan 02:00:00:00:00:21 10.9.0.1/24 on=eth0 mode=passthru", "in eth0 02:00:00:00:00:99", "tcp 10.9.0.9:1 > 10.9.0.1:80", "delivered answer=reply", ""},
		{"macvtap", "as macvlan", "dev mv1 macvtap 02:00:00:00:00:21 10.9.0.1/24 on=eth0 mode=bridge", "in eth0 02:00:00:00:00:21", "tcp 10.9.0.9:1 > 10.9.0.1:80", "delivered answer=reply", ""},
		{"ipvlan", "l2: ipvlan_addr_lookup", l2, "in eth0 02:00:00:00:00:01", "tcp 10.6.0.9:1 > 10.6.0.1:80", "delivered answer=reply", ""},
		{"ipvlan", "l2: the parent's own", l2, "in eth0 02:00:00:00:00:01", "tcp 172.31.0.9:1 > 172.31.0.1:80", "delivered answer=reply", ""},
		{"ipvlan", "l3: routed by the parent's namespace", l3 + "route 10.5.0.0/24 iv1\nneigh 10.5.0.9 eth0 0a:00:00:00:00:01\nroute 10.5.0.9/32 eth0", "out", "udp 10.6.0.1:1 > 10.5.0.9:9", "forwarded eth0", ""},
		{"ipvlan", "l3s: ipvlan_nf_input", l3s, "in eth0 02:00:00:00:00:01", "tcp 10.6.0.9:1 > 10.6.0.1:80", "delivered answer=reply", ""},
		{"ipvtap", "as ipvlan", "dev iv1 ipvtap 02:00:00:00:00:01 10.6.0.1/24 on=eth0 mode=l2", "in eth0 02:00:00:00:00:01", "tcp 10.6.0.9:1 > 10.6.0.1:80", "delivered answer=reply", ""},
		{"vrf", "vrf_ip_rcv", "dev v0 vrf 02:00:00:00:00:66\ndev e1 veth 02:00:00:00:00:67 10.4.0.1/24 master=v0\nroute 10.4.0.0/24 e1", "in e1 02:00:00:00:00:67", "tcp 10.4.0.9:1 > 10.4.0.1:80", "no-listener socket/loopback-only answer=reset", ""}, // tcp_l3mdev_accept is off
	}
}

func bridgeRows() []deviceRow {
	return []deviceRow{
		{"bridge", "pvid: an untagged frame", bridged, "in p1 0a:00:00:00:00:02", "udp 10.0.9.9:1 > 10.0.9.2:9", "forwarded p2", "udp 10.0.9.9:1 > 10.0.9.2:9"},
		{"bridge", "a tagged frame keeps its tag", bridged, "in p1 0a:00:00:00:00:08 tag=8", "udp 10.0.9.9:1 > 10.0.9.2:9", "forwarded p2", "udp 10.0.9.9:1 > 10.0.9.2:9 vlan 8"},
		{"bridge", "untagged on the way out", bridged, "in p1 0a:00:00:00:00:03 tag=5", "udp 10.0.5.9:1 > 10.0.5.3:9", "forwarded p3", "udp 10.0.5.9:1 > 10.0.5.3:9"},
		{"bridge", "tagged on the way out", bridged + "fdb 0a:00:00:00:00:01 p1 port vlan=5", "in p3 0a:00:00:00:00:01", "udp 10.0.5.3:1 > 10.0.5.9:9", "forwarded p1", "udp 10.0.5.3:1 > 10.0.5.9:9 vlan 5"},
		{"bridge", "br_allowed_ingress: no member", bridged, "in p2 0a:00:00:00:00:08 tag=5", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped", ""},
		{"bridge", "br_allowed_egress: no member", bridged + "fdb 0a:00:00:00:00:09 p2 port vlan=7", "in p1 0a:00:00:00:00:09 tag=7", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped", ""},
		{"bridge", "an entry of another VLAN is none", bridged, "in p1 0a:00:00:00:00:08", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped bridge/hairpin", ""},
		{"bridge", "to the host in VLAN 1", bridged, "in p1 02:00:00:00:09:01", "tcp 10.0.9.9:1 > 10.0.9.1:80", "delivered answer=reply", ""},
		{"bridge", "to the host's VLAN device", bridged, "in p3 02:00:00:00:09:01", "tcp 10.0.5.3:1 > 10.0.5.1:80", "delivered answer=reply", ""},
		{"bridge", "the bridge is no member", bridged, "in p1 02:00:00:00:09:01 tag=7", "tcp 10.0.9.9:1 > 10.0.9.1:80", "dropped", ""},
		{"bridge", "out of the VLAN device on it", bridged, "out", "udp 10.0.5.1:1 > 10.0.5.3:9", "forwarded p3", "udp 10.0.5.1:1 > 10.0.5.3:9"},
		{"bridge", "out of itself", bridged, "out", "udp 10.0.9.1:1 > 10.0.9.2:9", "forwarded p2", "udp 10.0.9.1:1 > 10.0.9.2:9"},
		{"bridge", "VLANs not collected", "dev br0 bridge 02:00:00:00:09:01 filtering\ndev p1 veth 02:00:00:00:09:11 master=br0", "in p1 0a:00:00:00:00:02", "udp 10.0.9.9:1 > 10.0.9.2:9", "unknown", ""},
		{"bridge", "without filtering tags pass", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0\ndev p2 veth 02:00:00:00:09:12 master=br0\nfdb 0a:00:00:00:00:02 p2 port", "in p1 0a:00:00:00:00:02 tag=9", "udp 10.0.9.9:1 > 10.0.9.2:9", "forwarded p2", "udp 10.0.9.9:1 > 10.0.9.2:9 vlan 9"},
		{"bridge", "BR_FDB_LOCAL: a permanent entry gives to the host", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0\ndev p2 veth 02:00:00:00:09:12 master=br0\nfdb 0a:00:00:00:00:02 p2 port state=permanent", "in p1 0a:00:00:00:00:02", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped neigh/wrong", ""},
		{"bridge", "a static one does not", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0\ndev p2 veth 02:00:00:00:09:12 master=br0\nfdb 0a:00:00:00:00:02 p2 port state=static", "in p1 0a:00:00:00:00:02", "udp 10.0.9.9:1 > 10.0.9.2:9", "forwarded p2", ""},
		{"bridge", "learning", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0 port=learning", "in p1 02:00:00:00:09:01", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped bridge/port-state", ""},
		{"bridge", "blocking", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0 port=blocking", "in p1 02:00:00:00:09:01", "udp 10.0.9.9:1 > 10.0.9.2:9", "dropped bridge/port-state", ""},
		{"bridge", "locked", "dev br0 bridge 02:00:00:00:09:01 10.0.9.1/24\ndev p1 veth 02:00:00:00:09:11 master=br0 locked", "in p1 02:00:00:00:09:01", "udp 10.0.9.9:1 > 10.0.9.1:9", "unknown", ""},
		{"bridge", "multicast", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0", "in p1 01:00:5e:00:00:05", "udp 10.0.9.9:1 > 224.0.0.5:9", "unknown", ""},
		{"bridge", "a port's MTU", "dev br0 bridge 02:00:00:00:09:01\ndev p1 veth 02:00:00:00:09:11 master=br0\ndev p2 veth 02:00:00:00:09:12 master=br0 mtu=1300\nfdb 0a:00:00:00:00:02 p2 port", "in p1 0a:00:00:00:00:02 size=1400", "udp 10.0.9.9:1 > 10.0.9.2:9", "too-big mtu/too-small", ""},
	}
}

func tunnelRows() []deviceRow {
	const next = "neigh 172.31.0.2 eth0 0a:00:00:00:00:02\nneigh fd00::2 eth0 0a:00:00:00:00:02\n"
	const ipip = next + "dev tunl0 ipip c0:00:00:00 10.244.1.0/32 mtu=1480 noarp proto=ipip\nroute 10.244.2.0/24 tunl0 172.31.0.2\n"
	const sit = next + "dev s0 sit c0:00:00:00 fd01::1/64 mtu=1480 noarp local=172.31.0.1 remote=172.31.0.2\nroute fd01::/64 s0\n"
	const gre = next + "dev g0 gre c0:00:00:00 10.3.0.1/24 mtu=1476 noarp local=172.31.0.1 remote=172.31.0.2 okey=5 ikey=6\nroute 10.3.0.0/24 g0\n"
	const tnl = next + "dev t6 ip6tnl fd:00 10.2.0.1/24 mtu=1452 noarp proto=any local=fd00::1 remote=fd00::2\nroute 10.2.0.0/24 t6\n"
	const tap = next + "dev g1 gretap 02:00:00:00:00:31 10.1.0.1/24 mtu=1462 remote=172.31.0.2\nroute 10.1.0.0/24 g1\nneigh 10.1.0.9 g1 0a:00:00:00:00:31\n"
	const wg = next + "dev wg0 wireguard 10.5.0.1/24 mtu=1420 noarp wg=172.31.0.2:51820,10.5.0.2/32,10.6.0.0/16\nroute 10.5.0.0/24 wg0\nroute 10.6.0.0/16 wg0\n"
	const gnv = next + "dev gv0 geneve 02:00:00:00:00:41 10.11.0.1/24 mtu=1450 id=9 remote=172.31.0.2\nroute 10.11.0.0/24 gv0\nneigh 10.11.0.9 gv0 0a:00:00:00:00:41\n"
	return []deviceRow{
		{"ipip", "NBMA: the next hop is the other end", ipip, "out", "udp 10.244.1.0:1 > 10.244.2.9:9", "forwarded eth0", "ipencap 172.31.0.1 > 172.31.0.2 (udp 10.244.1.0:1 > 10.244.2.9:9)"},
		{"ipip", "ipip_rcv: the fallback device", ipip, "in eth0 - encap=ipencap,172.31.0.2,172.31.0.1", "tcp 10.244.2.9:1 > 10.244.1.0:80", "delivered answer=reply", ""},
		{"ipip", "the device that would take it is down", "dev tunl0 ipip c0:00:00:00 10.244.1.0/32 mtu=1480 noarp proto=ipip down", "in eth0 - encap=ipencap,172.31.0.2,172.31.0.1", "tcp 10.244.2.9:1 > 10.244.1.0:80", "no-listener link/down answer=error(3,3)", ""},
		{"ipip", "no device takes it", ipip + "dev t1 ipip c0 mtu=1480 noarp", "in eth0 - encap=ipv6,172.31.0.2,172.31.0.1", "tcp fd01::2:1 > fd01::1:80", "no-listener link/missing answer=error(3,3)", ""},
		{"ipip", "carries no IPv6", ipip + "dev t1 ipip c0 fd09::1/64 mtu=1480 noarp remote=172.31.0.2\nroute fd09::/64 t1", "out", "udp [fd09::1]:1 > [fd09::9]:9", "dropped", ""},
		{"ipip", "its way leads into itself", "dev t1 ipip c0 10.3.0.1/24 mtu=1480 noarp remote=10.3.0.9\nroute 10.3.0.0/24 t1", "out", "udp 10.3.0.1:1 > 10.3.0.8:9", "loop walk/loop", ""},
		{"ipip", "a local address that is not there", "dev t1 ipip c0 10.3.0.1/24 mtu=1480 noarp remote=172.31.0.2 local=172.31.9.9\nroute 10.3.0.0/24 t1", "out", "udp 10.3.0.1:1 > 10.3.0.8:9", "no-route route/missing", ""},
		{"ipip", "tnl_update_pmtu", next + "dev t1 ipip c0 10.3.0.1/24 mtu=1500 noarp remote=172.31.0.2\nroute 10.3.0.0/24 t1", "out size=1490 df", "udp 10.3.0.1:1 > 10.3.0.8:9", "too-big mtu/too-small answer=error(3,4)", ""},
		{"sit", "ipip6_tunnel_xmit", sit, "out", "udp [fd01::1]:1 > [fd01::9]:9", "forwarded eth0", "ipv6 172.31.0.1 > 172.31.0.2 (udp [fd01::1]:1 > [fd01::9]:9)"},
		{"sit", "6to4: the address is in the destination", next + "dev s0 sit c0 2002:ac1f:1::1/16 mtu=1480 noarp\nroute 2002::/16 s0", "out", "udp [2002:ac1f:1::1]:1 > [2002:ac1f:2::9]:9", "forwarded eth0", "ipv6 172.31.0.1 > 172.31.0.2 (udp [2002:ac1f:1::1]:1 > [2002:ac1f:2::9]:9)"},
		{"sit", "no IPv4 address to send to", next + "dev s0 sit c0 fd01::1/64 mtu=1480 noarp\nroute fd01::/64 s0", "out", "udp [fd01::1]:1 > [fd01::9]:9", "neighbor-unreachable answer=error(1,3)", ""},
		{"sit", "ipip6_rcv", sit, "in eth0 - encap=ipv6,172.31.0.2,172.31.0.1", "tcp [fd01::2]:1 > [fd01::1]:80", "delivered answer=reply", ""},
		{"sit", "from another remote", sit, "in eth0 - encap=ipv6,172.31.0.3,172.31.0.1", "tcp [fd01::2]:1 > [fd01::1]:80", "no-listener link/missing answer=error(3,3)", ""},
		{"gre", "with its key", gre, "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "forwarded eth0", "gre 172.31.0.1 > 172.31.0.2 (udp 10.3.0.1:1 > 10.3.0.9:9)"},
		{"gre", "ip_tunnel_key_match", gre, "in eth0 - encap=gre,172.31.0.2,172.31.0.1,6", "tcp 10.3.0.9:1 > 10.3.0.1:80", "delivered answer=reply", ""},
		{"gre", "another key", gre, "in eth0 - encap=gre,172.31.0.2,172.31.0.1,5", "tcp 10.3.0.9:1 > 10.3.0.1:80", "no-listener link/missing answer=error(3,3)", ""},
		{"gretap", "frames", tap, "out", "udp 10.1.0.1:1 > 10.1.0.9:9", "forwarded eth0", "gre 172.31.0.1 > 172.31.0.2 (udp 10.1.0.1:1 > 10.1.0.9:9)"},
		{"ip6tnl", "ip6_tnl_xmit", tnl, "out", "udp 10.2.0.1:1 > 10.2.0.9:9", "forwarded eth0", "ipencap fd00::1 > fd00::2 (udp 10.2.0.1:1 > 10.2.0.9:9)"},
		{"ip6tnl", "ip6_tnl_rcv", tnl, "in eth0 - encap=ipencap,fd00::2,fd00::1", "tcp 10.2.0.9:1 > 10.2.0.1:80", "delivered answer=reply", ""},
		{"ip6tnl", "ip6_tnl_xmit_ctl: a local address that is not there", "dev t6 ip6tnl fd:00 10.2.0.1/24 mtu=1452 noarp proto=any local=fd00::9 remote=fd00::2\nroute 10.2.0.0/24 t6", "out", "udp 10.2.0.1:1 > 10.2.0.9:9", "dropped", ""},
		{"ip6gre", "no key", next + "dev g6 ip6gre fd:00 10.2.0.1/24 mtu=1448 noarp remote=fd00::2\nroute 10.2.0.0/24 g6", "out", "udp 10.2.0.1:1 > 10.2.0.9:9", "forwarded eth0", "gre fd00::1 > fd00::2 (udp 10.2.0.1:1 > 10.2.0.9:9)"},
		{"ip6gretap", "frames", next + "dev g7 ip6gretap 02:00:00:00:00:51 10.2.0.1/24 mtu=1434 remote=fd00::2\nroute 10.2.0.0/24 g7\nneigh 10.2.0.9 g7 0a:00:00:00:00:51", "out", "udp 10.2.0.1:1 > 10.2.0.9:9", "forwarded eth0", "gre fd00::1 > fd00::2 (udp 10.2.0.1:1 > 10.2.0.9:9)"},
		{"wireguard", "cryptokey routing", wg, "out", "udp 10.5.0.1:1 > 10.6.1.1:9", "forwarded eth0", "udp 172.31.0.1:51820 > 172.31.0.2:51820 (udp 10.5.0.1:1 > 10.6.1.1:9)"},
		{"wireguard", "ENOKEY", wg, "out", "udp 10.5.0.1:1 > 10.5.0.9:9", "dropped answer=error(3,1)", ""},
		{"wireguard", "a source that the peer may have", wg, "in eth0 - encap=udp,172.31.0.2:51820,172.31.0.1:51820", "tcp 10.6.0.9:1 > 10.5.0.1:80", "delivered answer=reply", ""},
		{"wireguard", "one that it may not", wg, "in eth0 - encap=udp,172.31.0.2:51820,172.31.0.1:51820", "tcp 10.7.0.9:1 > 10.5.0.1:80", "dropped", ""},
		{"wireguard", "peers not collected", "dev wg0 wireguard 10.5.0.1/24 mtu=1420 noarp\nroute 10.5.0.0/24 wg0", "out", "udp 10.5.0.1:1 > 10.5.0.2:9", "unknown", ""},
		{"geneve", "geneve_xmit", gnv, "out", "udp 10.11.0.1:1 > 10.11.0.9:9", "forwarded eth0", "udp 172.31.0.1:50000 > 172.31.0.2:6081 (udp 10.11.0.1:1 > 10.11.0.9:9)"},
	}
}

func otherRows() []deviceRow {
	const vx = "neigh 172.31.0.2 eth0 0a:00:00:00:00:02\nneigh 172.31.0.3 eth0 0a:00:00:00:00:03\ndev vx0 vxlan 02:00:00:00:02:01 10.3.0.1/24 mtu=1450 vni=1,172.31.0.1 nolearn\nroute 10.3.0.0/24 vx0\nneigh 10.3.0.2 vx0 02:00:00:00:02:02\n"
	taken := func(kind string) string {
		return "dev x0 " + kind + " 02:00:00:00:00:71 10.3.0.1/24 noarp\nroute 10.3.0.0/24 x0"
	}
	return []deviceRow{
		{"hardware", "leaves", "neigh 172.31.0.9 eth0 0a:00:00:00:00:01", "out", "udp 172.31.0.1:1 > 172.31.0.9:9", "forwarded eth0", ""},
		{"hardware", "a netem queue", "neigh 172.31.0.9 eth0 0a:00:00:00:00:01\nprog qdisc eth0 netem", "out", "udp 172.31.0.1:1 > 172.31.0.9:9", "unknown | forwarded eth0", ""},
		{"loopback", "to itself", "", "out", "tcp 172.31.0.1:1 > 172.31.0.1:80", "delivered answer=reply", ""},
		{"veth", "down, by a route of scope host, which stays (fib_sync_down_dev): nobody can be asked", "dev v7 veth 02:00:00:00:00:07 down\nroute 10.3.0.9/32 v7", "out", "udp 172.31.0.1:1 > 10.3.0.9:9", "neighbor-unreachable link/down answer=error(3,1)", ""},
		{"veth", "NOARP sends to its own address", "dev x0 veth 02:00:00:00:00:71 10.3.0.1/24 noarp\nroute 10.3.0.0/24 x0", "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "forwarded x0", ""},
		{"vxlan", "port, VNI and device of an entry", vx + "fdb 02:00:00:00:02:02 vx0 172.31.0.2 port=4789 vni=7 via=eth0", "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "forwarded eth0", "udp 172.31.0.1:50000 > 172.31.0.2:4789 (udp 10.3.0.1:1 > 10.3.0.2:9)"},
		{"vxlan", "no entry", vx, "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "dropped fdb/missing", ""},
		{"vxlan", "a multicast group", vx + "fdb 00:00:00:00:00:00 vx0 239.1.1.1", "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "unknown", ""},
		{"vxlan", "encap_bypass_if_local: no device there", vx + "fdb 02:00:00:00:02:02 vx0 172.31.0.1 vni=9", "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "dropped", ""},
		{"vxlan", "a remote of the other family", vx + "fdb 02:00:00:00:02:02 vx0 fd00::2", "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "dropped", ""},
		{"vxlan", "a local address that is not there", strings.Replace(vx, "vni=1,172.31.0.1", "vni=1,172.31.9.9", 1) + "fdb 02:00:00:00:02:02 vx0 172.31.0.2", "out", "udp 10.3.0.1:1 > 10.3.0.2:9", "no-route route/missing", ""},
		{"vxlan", "vxlan_snoop: written to be elsewhere", strings.Replace(vx, " nolearn", "", 1) + "fdb 02:00:00:00:02:02 vx0 172.31.0.3 state=permanent", "in eth0 - encap=udp,172.31.0.2:5,172.31.0.1:8472", "tcp 10.3.0.2:1 > 10.3.0.1:80", "dropped", ""},
		{"vxlan", "no VXLAN packet", vx, "in eth0 02:00:00:00:00:01", "udp 172.31.0.9:1 > 172.31.0.1:8472", "dropped", ""},
		{"dummy", "dummy_xmit", taken("dummy"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "dropped", ""},
		{"ifb", "ifb_xmit", taken("ifb"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "dropped", ""},
		{"nlmon", "nlmon_xmit", taken("nlmon"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "dropped", ""},
		{"tun", "leaves", taken("tun"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "forwarded x0", ""},
		{"erspan", "unknown", taken("erspan"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
		{"ip6erspan", "unknown", taken("ip6erspan"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
		{"vti", "unknown", taken("vti"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
		{"vti6", "unknown", taken("vti6"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
		{"xfrm", "unknown", taken("xfrm"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
		{"netkit", "unknown", taken("netkit"), "out", "udp 10.3.0.1:1 > 10.3.0.9:9", "unknown", ""},
	}
}

func TestDevices(t *testing.T) {
	for _, row := range deviceRows() {
		t.Run(row.kind+" "+row.name, func(t *testing.T) {
			ns := world(t, machine+row.world, "")
			p, way := pkt(row.packet), strings.Fields(row.send)
			p = options(p, way[1:])
			var got []Outcome
			if way[0] == "in" {
				got = ns.Input(p, way[1], everybody())
			} else {
				got = ns.Output(p, "", everybody())
			}
			var ends []string
			for _, o := range got {
				ends = append(ends, ended(o))
			}
			require.Equal(t, row.want, strings.Join(ends, " | "), "%s", got[0].Reason)
			if row.left != "" {
				require.Equal(t, row.left, got[0].Packet.String())
			}
		})
	}
}

// options reads the words after "in DEV" and "out".
func options(p model.Packet, words []string) model.Packet {
	for _, w := range words {
		key, value, _ := strings.Cut(w, "=")
		n, _ := strconv.Atoi(value)
		switch {
		case key == "tag":
			p.Tags[0] = model.Tag{Present: true, ID: uint16(n)}
		case key == "size":
			p.Size = n
		case key == "df":
			p.DF = true
		case key == "encap":
			f := strings.Split(value, ",")
			inner := p
			p = model.Packet{Protocol: model.Protocol(f[0]), Src: end(f[1]), Dst: end(f[2]), Encap: &inner}
			if f[0] == "udp" && p.Dst.Port() == 8472 {
				inner.SrcMAC, inner.DstMAC, p.VNI, p.Ether = "02:00:00:00:02:02", "02:00:00:00:02:01", 1, true
			}
			if len(f) == 4 {
				k, _ := strconv.Atoi(f[3])
				p.Key = model.GREKey{Present: true, Key: uint32(k)}
			}
		case strings.Count(w, ":") == 5:
			p.DstMAC = w
		}
	}
	return p
}

// A kind without a row fails.
func TestDeviceKindsAreComplete(t *testing.T) {
	rows := map[string]bool{}
	for _, r := range deviceRows() {
		rows[r.kind] = true
	}
	for _, k := range DeviceKinds() {
		require.True(t, rows[k.Kind], "no row for device kind %s", k.Kind)
		require.NotEmpty(t, k.Class)
		require.True(t, k.Class == Exact || k.Why != "", "%s does not say what is not exact", k.Kind)
	}
}

// stacked is a Wire with a macvlan of another namespace on eth0.
type stacked struct {
	flat
	above []Child
}

func (s stacked) Above(_ *NetNS, dev string) []Child {
	if dev == "eth0" {
		return s.above
	}
	return nil
}

func (s stacked) Behind(_ *NetNS, _ string, remote netip.Addr, _ int, _ string) netfilter.Answer {
	return netfilter.AnswerOf(remote == netip.MustParseAddr("172.31.0.3"))
}

func TestAcrossNamespaces(t *testing.T) {
	pod := &nodedump.Interface{Name: "eth0", Index: 2, Kind: "macvlan", Mode: "bridge", MAC: "0a:00:00:00:00:01", Flags: []string{"UP"}}
	iv := &nodedump.Interface{Name: "eth0", Index: 2, Kind: "ipvlan", Mode: "l3s", MAC: "02:00:00:00:00:01", Flags: []string{"UP"}, Addrs: []nodedump.Addr{{Prefix: "10.6.0.1/24"}}}
	call := func(dev *nodedump.Interface) Call {
		return Call{Wire: stacked{flat{netfilter.Yes, netfilter.Yes}, []Child{{"n/netns/pod", dev}}}}
	}
	ns := world(t, machine, "*filter\n:INPUT DROP [0:0]\nCOMMIT\n")
	in := one(t, ns.Input(frame("tcp 172.31.0.9:1 > 10.9.0.1:80", pod.MAC), "eth0", call(pod)))
	require.Equal(t, &Into{"n/netns/pod", "eth0", model.EntryWire}, in.Into)
	out := one(t, ns.FromAbove(frame("tcp 10.9.0.1:1 > 172.31.0.1:80", "02:00:00:00:00:01"), "eth0", Child{"n/netns/pod", pod}, call(pod)))
	require.Equal(t, "forwarded eth0", ended(out), "the parent itself gets nothing from its macvlans")
	dropped := one(t, ns.Input(frame("tcp 172.31.0.9:1 > 10.6.0.1:80", "02:00:00:00:00:01"), "eth0", call(iv)))
	require.Equal(t, "dropped netfilter/drop", ended(dropped), "l3s: INPUT of the parent's namespace")
	iv.Mode = "l3"
	passed := one(t, ns.Input(frame("tcp 172.31.0.9:1 > 10.6.0.1:80", "02:00:00:00:00:01"), "eth0", call(iv)))
	require.Equal(t, &Into{"n/netns/pod", "eth0", model.EntryWire}, passed.Into)
}

// Head end replication: of the copies one reaches somebody.
func TestReplication(t *testing.T) {
	ns := world(t, node+"neigh 172.31.0.3 eth0 02:00:00:00:00:03\nneigh 10.244.2.0 flannel.1 02:00:00:00:02:02\nfdb 00:00:00:00:00:00 flannel.1 172.31.0.2\nfdb 00:00:00:00:00:00 flannel.1 172.31.0.3", "")
	got := one(t, ns.Input(frame("tcp 10.244.1.8:4 > 10.244.2.9:80", "02:00:00:00:01:00"), "veth1", Call{Wire: stacked{flat: flat{netfilter.Yes, netfilter.Yes}}}))
	require.Equal(t, "172.31.0.3:8472", got.Packet.Dst.String())
}
