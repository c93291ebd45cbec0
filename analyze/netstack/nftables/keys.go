package nftables

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A keyRow is one key of "meta", "ct", "rt" or "socket". It loads itself.
type keyRow struct {
	name  string // "meta mark"
	typ   string
	class netfilter.Class
	why   string
	get   func(f *netfilter.Frame) reg
}

func (k *keyRow) load(f *netfilter.Frame) reg { return k.get(f) }

func (k *keyRow) doubt() string { return k.why + " (" + k.name + ")" }

func keyRows() []keyRow {
	return append(append(metaRows(), ctRows()...), otherRows()...)
}

func metaRows() []keyRow {
	const exact, partly, left = netfilter.Exact, netfilter.Partly, netfilter.Open
	const sender = "who sends the packet is not in the bundle; what came in by a device has no sender here"
	const now = "the bundle is not about one time"
	return []keyRow{
		{"meta length", "integer", partly, "a length that is not said is open: the packet fits any MTU", func(f *netfilter.Frame) reg { return lengthOf(&f.Packet) }},
		{"meta protocol", "ether_type", exact, "", func(f *netfilter.Frame) reg { return knownNumber(uint64(etherType(f))) }},
		{"meta nfproto", "nf_proto", exact, "", loadNfproto},
		{"meta l4proto", "inet_proto", exact, "", loadL4proto},
		{"meta mark", "mark", exact, "", func(f *netfilter.Frame) reg { return knownNumber(uint64(f.Packet.Mark)) }},
		{"meta iif", "iface_index", exact, "", func(f *netfilter.Frame) reg { return known(bytesWord(f.In)) }},
		{"meta oif", "iface_index", exact, "where devices or routes were not collected, it is open", loadOut},
		{"meta iifname", "ifname", exact, "", func(f *netfilter.Frame) reg { return known(bytesWord(f.In)) }},
		{"meta oifname", "ifname", exact, "where devices or routes were not collected, it is open", loadOut},
		{"meta iiftype", "iface_type", partly, "only that of lo is known, and that there is no device", func(f *netfilter.Frame) reg { return deviceType(f.In) }},
		{"meta oiftype", "iface_type", partly, "only that of lo is known, and that there is no device", func(f *netfilter.Frame) reg { return ofOut(f, deviceType(f.Out)) }},
		{"meta iifgroup", "devgroup", exact, "", func(f *netfilter.Frame) reg { return deviceGroup(f, f.In) }},
		{"meta oifgroup", "devgroup", exact, "where devices or routes were not collected, it is open", func(f *netfilter.Frame) reg { return ofOut(f, deviceGroup(f, f.Out)) }},
		{"meta pkttype", "pkt_type", exact, "", loadPktType},
		{"meta skuid", "uid", partly, sender, loadSender(32)},
		{"meta skgid", "gid", partly, sender, loadSender(32)},
		{"meta cgroup", "integer", partly, sender, loadSender(32)},
		{"meta cpu", "integer", left, "any CPU may handle the packet", loadOpen(32)},
		{"meta random", "integer", left, "chance decides", loadOpen(32)},
		{"meta priority", "classid", left, "who sends the packet may set it", loadOpen(32)},
		{"meta rtclassid", "realm", left, "realms of routes are not collected", loadOpen(32)},
		{"meta secmark", "integer", left, "security labels are not collected", loadOpen(32)},
		{"meta secpath", "boolean", left, "IPsec policies are not collected", loadOpen(1)},
		{"meta ipsec", "boolean", left, "IPsec policies are not collected", loadOpen(1)},
		{"meta nftrace", "boolean", left, "who is traced makes no difference", loadOpen(1)},
		{"meta time", "time", left, now, loadOpen(64)},
		{"meta day", "day", left, now, loadOpen(8)},
		{"meta hour", "hour", left, now, loadOpen(32)},
		{"meta iifkind", "string", left, "kinds of devices are not asked for", loadOpen(128)},
		{"meta oifkind", "string", left, "kinds of devices are not asked for", loadOpen(128)},
		{"meta sdif", "whatever", left, "the port of a VRF that a packet came in by is not kept", loadOpen(128)},
		{"meta sdifname", "whatever", left, "the port of a VRF that a packet came in by is not kept", loadOpen(128)},
		{"meta ibrname", "ifname", left, "only tables of family bridge see bridged frames", loadOpen(128)},
		{"meta obrname", "ifname", left, "only tables of family bridge see bridged frames", loadOpen(128)},
		{"meta ibrpvid", "integer", left, "only tables of family bridge see bridged frames", loadOpen(16)},
		{"meta ibrvproto", "ether_type", left, "only tables of family bridge see bridged frames", loadOpen(16)},
	}
}

func loadOpen(bits int) func(*netfilter.Frame) reg {
	return func(*netfilter.Frame) reg { return open(bits) }
}

func loadOut(f *netfilter.Frame) reg { return ofOut(f, known(bytesWord(f.Out))) }

// ofOut is a property of the device that the packet leaves by, which may not be
// known.
func ofOut(f *netfilter.Frame, r reg) reg {
	if f.OutUnknown() {
		return reg{unk: ones()}
	}
	return r
}

func loadNfproto(f *netfilter.Frame) reg {
	if f.Packet.IPv6() {
		return knownNumber(10)
	}
	return knownNumber(2)
}

func loadL4proto(f *netfilter.Frame) reg {
	n, ok := netfilter.NumberOf(f.Packet.Protocol)
	if !ok {
		return open(8)
	}
	return knownNumber(uint64(n))
}

// deviceType breaks where there is no device (nft_meta_store_iftype).
func deviceType(dev string) reg {
	switch dev {
	case "":
		return broken()
	case "lo":
		return knownNumber(772)
	}
	return open(16)
}

func deviceGroup(f *netfilter.Frame, dev string) reg {
	if dev == "" {
		return broken()
	}
	if n, ok := f.Env.DevGroup(dev); ok {
		return knownNumber(uint64(uint32(n)))
	}
	return open(32)
}

// loadPktType tells how a frame was addressed, as its device saw it: eth_type_trans
// makes host of what comes in by lo, too.
func loadPktType(f *netfilter.Frame) reg {
	dst := f.Packet.Dst.Addr()
	switch {
	case f.In == "":
	case dst.IsMulticast():
		return knownNumber(2)
	case dst.Is4() && f.Env.AddrType(dst, "") == netfilter.AddrBroadcast:
		return knownNumber(1)
	}
	return knownNumber(0)
}

// loadSender tells of the socket that sends the packet: what came in by a device
// has none, but that it may be one that waits for it.
func loadSender(bits int) func(*netfilter.Frame) reg {
	return func(f *netfilter.Frame) reg {
		switch {
		case f.Hook == netfilter.Output || f.In == "":
			return open(bits)
		case f.Hook == netfilter.Input && f.Packet.Kind != model.KindOpen:
			return open(bits) // early demultiplexing may have found it
		case f.In == "lo":
			return open(bits)
		}
		return broken()
	}
}

// ctRows are the keys of "ct". Where there is no entry, all but the state
// break (nft_ct_get_eval).
func ctRows() []keyRow {
	const exact, partly, left = netfilter.Exact, netfilter.Partly, netfilter.Open
	const history = "it depends on the connection's history"
	return []keyRow{
		{"ct state", "ct_state", exact, "", loadCtState},
		{"ct direction", "ct_dir", exact, "", tracked(func(f *netfilter.Frame) reg {
			if f.Ct.Reply {
				return knownNumber(1)
			}
			return knownNumber(0)
		})},
		{"ct status", "ct_status", partly, "expected, assured and, of a new entry, confirmed are open", tracked(loadCtStatus)},
		{"ct mark", "mark", exact, "", tracked(func(f *netfilter.Frame) reg { return knownNumber(uint64(f.Ct.Mark)) })},
		{"ct zone", "integer", exact, "", tracked(func(f *netfilter.Frame) reg { return knownNumber(uint64(f.Ct.Zone)) })},
		{"ct l3proto", "nf_proto", exact, "", tracked(loadNfproto)},
		{"ct protocol", "inet_proto", exact, "", tracked(loadL4proto)},
		{"ct helper", "string", partly, "which helper expected a connection is not in the bundle; a new one has none", tracked(loadCtHelper)},
		{"ct expiration", "time", left, "how long a connection is kept is not in the bundle", tracked(loadOpen(64))},
		{"ct secmark", "integer", left, "security labels are not collected", tracked(loadOpen(32))},
		{"ct label", "ct_label", left, history, tracked(loadOpen(128))},
		{"ct event", "ct_event", left, history, tracked(loadOpen(32))},
		{"ct bytes", "integer", left, history, tracked(loadOpen(64))},
		{"ct packets", "integer", left, history, tracked(loadOpen(64))},
		{"ct avgpkt", "integer", left, history, tracked(loadOpen(64))},
		{"ct id", "integer", left, "identities of entries are not compared", tracked(loadOpen(32))},
	}
}

// tracked makes a loader that breaks where there is no entry.
func tracked(get func(*netfilter.Frame) reg) func(*netfilter.Frame) reg {
	return func(f *netfilter.Frame) reg {
		switch f.Ct.State {
		case netfilter.CtNew, netfilter.CtEstablished, netfilter.CtRelated:
			return get(f)
		}
		return broken()
	}
}

func loadCtState(f *netfilter.Frame) reg {
	switch f.Ct.State {
	case netfilter.CtNew:
		return knownNumber(8)
	case netfilter.CtEstablished:
		return knownNumber(2)
	case netfilter.CtRelated:
		return knownNumber(4)
	case netfilter.CtUntracked:
		return knownNumber(64)
	}
	return knownNumber(1)
}

// The bits of "ct status" (IPS_EXPECTED and so on).
const (
	ctExpected = 1 << iota
	ctSeenReply
	ctAssured
	ctConfirmed
	ctSNAT
	ctDNAT
)

func loadCtStatus(f *netfilter.Frame) reg {
	r := reg{unk: number(ctExpected | ctAssured | ctConfirmed | 0x3f<<6&^(1<<9) | 0x7<<10)}
	if f.Ct.SNAT {
		r.v.lo |= ctSNAT
	}
	if f.Ct.DNAT {
		r.v.lo |= ctDNAT
	}
	switch f.Ct.State {
	case netfilter.CtEstablished:
		r.v.lo |= ctSeenReply | ctConfirmed
		r.unk.lo &^= ctConfirmed
	case netfilter.CtRelated:
		r.unk.lo |= ctSeenReply
	}
	return r
}

func loadCtHelper(f *netfilter.Frame) reg {
	if f.Ct.State == netfilter.CtNew {
		return broken()
	}
	return reg{unk: ones()}
}

// A ctEnd is a key of one direction of an entry: "ct original ip saddr".
type ctEnd struct {
	name              string
	reply, dst, port_ bool
	family            byte // 0 is that of the packet
}

func (c *ctEnd) load(f *netfilter.Frame) reg {
	return tracked(c.end)(f)
}

func (c *ctEnd) end(f *netfilter.Frame) reg {
	if c.family != 0 && (c.family == 6) != f.Packet.IPv6() {
		return broken()
	}
	t := &f.Ct.Original
	if c.reply {
		t = &f.Ct.Answer
	}
	end := t.Src
	if c.dst {
		end = t.Dst
	}
	switch {
	case !c.port_:
		return known(addrWord(end.Addr()))
	case t.Protocol.HasPorts():
		return knownNumber(uint64(end.Port()))
	}
	return open(16)
}

func (c *ctEnd) doubt() string {
	return "what stands for a port of the connection is not simulated (" + c.name + ")"
}

func otherRows() []keyRow {
	const partly = netfilter.Partly
	const way = "routes are not asked for it; before a packet is routed it breaks"
	return []keyRow{
		{"rt classid", "realm", partly, way, loadRoute(32)},
		{"rt nexthop", "whatever", partly, way, loadRoute(128)},
		{"rt mtu", "integer", partly, way, loadRoute(16)},
		{"rt ipsec", "boolean", partly, way, loadRoute(1)},
		{"socket transparent", "boolean", partly, "only whether a socket waits is known", loadSocket(1)},
		{"socket mark", "mark", partly, "only whether a socket waits is known", loadSocket(32)},
		{"socket wildcard", "boolean", partly, "only whether a socket waits is known", loadSocket(1)},
		{"socket cgroupv2", "cgroupsv2", partly, "only whether a socket waits is known", loadSocket(64)},
	}
}

// loadRoute breaks where the packet has no route yet (nft_rt_get_eval).
func loadRoute(bits int) func(*netfilter.Frame) reg {
	return func(f *netfilter.Frame) reg {
		if f.Hook == netfilter.Prerouting && f.In != "lo" {
			return broken()
		}
		return open(bits)
	}
}

// loadSocket breaks where no socket waits for the packet (nft_socket_eval).
func loadSocket(bits int) func(*netfilter.Frame) reg {
	return func(f *netfilter.Frame) reg {
		if f.Packet.Kind == model.KindOpen && f.Env.HasSocket(f) == netfilter.No {
			return broken()
		}
		return open(bits)
	}
}
