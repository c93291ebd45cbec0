package rawimport

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// linksOfText reads "ip addr" and "ip link", with or without -d.
func linksOfText(data []byte, convert func(*rawLink, int) (parsedLink, error)) ([]parsedLink, []bad, error) {
	out, bads := plain(data, func(head string, below []string) (*rawLink, error) {
		l, err := linkHead(head)
		if err != nil {
			return nil, err
		}
		for _, line := range below {
			if err := l.below(wordsOf(line)); err != nil {
				return nil, fmt.Errorf("%s: %w", l.Name, err)
			}
		}
		if l.Addrs == nil {
			l.Addrs = []map[string]json.RawMessage{}
		}
		return l, nil
	}, convert)
	return out, bads, nil
}

// linkHead reads "3: veth1@if2: <BROADCAST,UP> mtu 1500 qdisc noqueue master
// cni0 state UP group default".
func linkHead(head string) (*rawLink, error) {
	parts := strings.SplitN(head, ": ", 3)
	index, err := strconv.Atoi(parts[0])
	if err != nil || len(parts) < 3 {
		return nil, fmt.Errorf("%q does not begin with the number and name of a device", head)
	}
	l := &rawLink{Index: index}
	name, link, found := strings.Cut(parts[1], "@")
	l.Name = name
	if digits, other := strings.CutPrefix(link, "if"); other && isNumber(digits) {
		l.LinkIndex, _ = strconv.Atoi(digits)
	} else if found && link != "NONE" {
		l.Link = &link
	}
	w := wordsOf(parts[2])
	l.Flags = strings.Split(strings.Trim(w.next(), "<>"), ",")
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "mtu":
			l.MTU = int(w.number(key))
		case "master":
			l.Master = w.value(key)
		case "state":
			l.OperState = w.value(key)
		case "group":
			l.Group = word(w.value(key))
		}
	}
	return l, w.err
}

// below reads one of the lines below the first.
func (l *rawLink) below(w *words) error {
	switch key := w.next(); {
	case strings.HasPrefix(key, "link/"):
		l.hardware(w, strings.TrimPrefix(key, "link/"))
	case key == "inet" || key == "inet6":
		l.address(w)
	case key == "altname", key == "valid_lft", key == "alias", key == "vf", key == "RX:", key == "TX:":
	case strings.HasSuffix(key, "_slave"):
		l.Info.SlaveKind = strings.TrimSuffix(key, "_slave")
		return l.slave(w)
	case l.Info.Kind == "" && slices.Contains(linkKinds(), key):
		l.Info.Kind = key
		if key == "vxlan" {
			l.Info.Data.DF = "unset" // which only the JSON says
		}
		l.kind(w)
	}
	return w.err
}

// linkKinds are the words with which the line of a kind begins.
func linkKinds() []string {
	return []string{"veth", "bridge", "vxlan", "vlan", "macvlan", "macvtap", "ipvlan", "ipvtap", "ipip", "sit", "gre", "gretap", "ip6tnl",
		"ip6gre", "ip6gretap", "vti", "vti6", "wireguard", "dummy", "bond", "team", "tun", "vrf", "ifb", "geneve", "nlmon", "erspan", "xfrm"}
}

// hardware reads "link/ether ADDRESS brd ADDRESS link-netnsid 0 promiscuity 0".
func (l *rawLink) hardware(w *words, kind string) {
	l.LinkType = kind
	if len(w.list) > 0 && strings.ContainsAny(w.list[0], ":.") {
		l.Address = w.next()
	}
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "link-netnsid":
			id := int(w.number(key))
			l.LinkNetnsID = &id
		case "link-netns":
			l.LinkNetns = w.value(key)
		case "promiscuity":
			n := w.number(key)
			l.Promiscuity = &n
		}
	}
}

// address reads "10.0.0.1/24 brd 10.0.0.255 scope global secondary eth0", or
// "10.0.0.1 peer 10.0.0.2/32 scope global tun0".
func (l *rawLink) address(w *words) {
	a := map[string]json.RawMessage{}
	set := func(key, text string) { a[key] = json.RawMessage(strconv.Quote(text)) }
	first := w.value("inet")
	local, length, _ := strings.Cut(first, "/")
	set("local", local)
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "peer":
			var peer string
			peer, length, _ = strings.Cut(w.value(key), "/")
			set("address", peer)
		case "brd", "any", "proto", "metric":
			w.value(key)
		case "scope":
			set("scope", w.value(key))
		default:
			if len(w.list) == 0 && !slices.Contains(addrFlags(), key) {
				set("label", key)
			} else {
				a[key] = json.RawMessage("true")
			}
		}
	}
	if length == "" {
		length = "32"
		if strings.Contains(local, ":") {
			length = "128"
		}
	}
	a["prefixlen"] = json.RawMessage(length)
	l.Addrs = append(l.Addrs, a)
}

// addrFlags are the flags of an address, which the line of an IPv6 one may end
// in.
func addrFlags() []string {
	return []string{"secondary", "temporary", "dynamic", "permanent", "tentative", "dadfailed", "deprecated", "noprefixroute", "nodad",
		"optimistic", "home", "mngtmpaddr", "autojoin", "stable-privacy", "noaddr"}
}

// slave reads what a device is to its master.
func (l *rawLink) slave(w *words) error {
	var p rawPort
	on := func(key string) flag { return flag{true, w.value(key) == "on"} }
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "state":
			p.State = word(w.value(key))
		case "hairpin":
			p.Hairpin = on(key)
		case "isolated":
			p.Isolated = on(key)
		case "learning":
			p.Learning = on(key)
		case "flood":
			p.Flood = on(key)
		case "mcast_flood":
			p.McastFlood = on(key)
		case "bcast_flood":
			p.BcastFlood = on(key)
		case "proxy_arp":
			p.ProxyARP = on(key)
		case "neigh_suppress":
			p.NeighSuppr = on(key)
		}
	}
	l.port = &p
	return w.err
}

// kind reads what depends on the kind.
func (l *rawLink) kind(w *words) {
	d := &l.Info.Data
	yes := flag{true, true}
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "nolearning":
			d.NoLearning = yes
		case "proxy":
			d.Proxy = yes
		case "l2miss":
			d.L2Miss = yes
		case "l3miss":
			d.L3Miss = yes
		case "external":
			d.External = yes
		case "udpcsum", "udp_csum":
			d.UDPCsum = yes
		case "nopmtudisc":
			d.NoPMTUDisc = yes
		case "mode":
			d.Mode = word(w.value(key))
		case "table":
			d.Table = word(w.value(key))
		case "protocol":
			d.Protocol = w.value(key)
		default:
			d.word(w, key)
		}
	}
}

// word reads what belongs to a word of tunnels and bridges.
func (d *rawLinkData) word(w *words, key string) {
	texts := map[string]*string{"local": &d.Local, "group": &d.Group, "remote": &d.Remote, "df": &d.DF, "vlan_protocol": &d.VLANProto}
	numbers := map[string]*number{"id": &d.ID, "dstport": &d.DstPort, "vlan_default_pvid": &d.DefPVID}
	if w.take(key, texts, map[string]*word{"ttl": &d.TTL}, numbers) {
		return
	}
	on := func() flag { return flag{true, w.value(key) != "0"} }
	switch key {
	case "dev":
		dev := w.value(key)
		d.Link = &dev
	case "active_slave":
		dev := w.value(key)
		d.Active = &dev
	case "mcast_snooping":
		d.McastSnoop = on()
	case "stp_state":
		d.STP = on()
	case "vlan_filtering":
		d.VLANFilter = on()
	case "nf_call_iptables":
		d.NFCallIPT = on()
	case "nf_call_ip6tables":
		d.NFCallIP6T = on()
	case "nf_call_arptables":
		d.NFCallARPT = on()
	}
}
