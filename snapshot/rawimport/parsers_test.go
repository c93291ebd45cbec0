package rawimport

import (
	"encoding/json"
	"io/fs"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A row is one entry as a tool prints it, and as it is kept or why it is not.
type row struct{ in, want string }

// check parses each row alone. The entry is compared as JSON.
func check[T any](t *testing.T, rows []row, parse func([]byte) ([]T, []bad, error)) {
	t.Helper()
	for _, r := range rows {
		list, bads, err := parse([]byte(r.in))
		got := ""
		switch {
		case err != nil:
			got = "error: " + err.Error()
		case len(bads) > 0:
			got = "bad: " + bads[0].err.Error()
		case len(list) > 0:
			data, err := json.Marshal(list[0])
			require.NoError(t, err)
			got = string(data)
		}
		require.Equal(t, r.want, got, r.in)
	}
}

// in4 gives a parser its IP version.
func in[T any](version int, parse func([]byte, int) ([]T, []bad, error)) func([]byte) ([]T, []bad, error) {
	return func(data []byte) ([]T, []bad, error) { return parse(data, version) }
}

func TestLinks(t *testing.T) {
	link := func(rest string) string { return `[{"ifindex":9,"ifname":"x","promiscuity":0,` + rest + `}]` }
	kind := func(kind, data string) string {
		return link(`"linkinfo":{"info_kind":"` + kind + `","info_data":{` + data + `}}`)
	}
	check(t, []row{
		{link(`"mtu":1500,"address":"02:00:00:00:00:01","flags":["UP"],"operstate":"UP","group":"default"`), `{"name":"x","index":9,"mtu":1500,"mac":"02:00:00:00:00:01","flags":["UP"],"operState":"UP"}`},
		{link(`"group":"7"`), `{"name":"x","index":9,"mtu":0,"group":7}`},
		{link(`"link_type":"loopback"`), `{"name":"x","index":9,"kind":"loopback","mtu":0}`},
		{kind("veth", ""), `{"name":"x","index":9,"kind":"veth","mtu":0}`},
		{link(`"link_index":5,"link_netnsid":2,"linkinfo":{"info_kind":"veth"}`), `{"name":"x","index":9,"kind":"veth","mtu":0,"link":5,"linkNSID":2}`},
		{link(`"link_index":5,"link_netns":"cni-1","linkinfo":{"info_kind":"veth"}`), `{"name":"x","index":9,"kind":"veth","mtu":0,"link":5,"linkNSID":-1}`},
		{link(`"link":"if5","link_netnsid":0`), `{"name":"x","index":9,"mtu":0,"link":5,"linkNSID":0}`},
		{link(`"link":null`), `{"name":"x","index":9,"mtu":0}`},
		{kind("bridge", `"stp_state":1,"vlan_filtering":0,"nf_call_iptables":1,"nf_call_ip6tables":0`), `{"name":"x","index":9,"kind":"bridge","mtu":0,"bridge":{"stp":true,"nfCallIPTables":true,"nfCallIP6Tables":false}}`},
		{kind("vxlan", `"id":1,"local":"10.0.0.1","link":"if2","port":8472,"learning":false,"ttl":64,"df":"unset","udp_csum":true`), `{"name":"x","index":9,"kind":"vxlan","mtu":0,"vxlan":{"id":1,"local":"10.0.0.1","link":2,"port":8472,"ttl":64,"noLearning":true,"udpCsum":true,"df":"unset"}}`},
		{kind("vxlan", `"id":1,"group":"239.1.1.1","dstport":4789,"ttl":"auto","proxy":true,"l2miss":true,"l3miss":true`), `{"name":"x","index":9,"kind":"vxlan","mtu":0,"vxlan":{"id":1,"group":"239.1.1.1","port":4789,"proxy":true,"l2miss":true,"l3miss":true}}`},
		{kind("vxlan", `"id":1,"remote6":"2001:db8::1","port":4789,"nolearning":null`), `{"name":"x","index":9,"kind":"vxlan","mtu":0,"vxlan":{"id":1,"group":"2001:db8::1","port":4789,"noLearning":true}}`},
		{kind("vxlan", `"external":true,"id":0,"port":4789,"learning":true`), `{"name":"x","index":9,"kind":"vxlan","mtu":0,"vxlan":{"id":0,"port":4789,"external":true}}`},
		{kind("vlan", `"protocol":"802.1Q","id":100`), `{"name":"x","index":9,"kind":"vlan","mtu":0,"vlan":{"id":100,"protocol":"802.1Q"}}`},
		{kind("macvlan", `"mode":"bridge"`), `{"name":"x","index":9,"kind":"macvlan","mtu":0,"mode":"bridge"}`},
		{kind("ipvlan", `"mode":"l3s"`), `{"name":"x","index":9,"kind":"ipvlan","mtu":0,"mode":"l3s"}`},
		{kind("bond", `"mode":"802.3ad"`), `{"name":"x","index":9,"kind":"bond","mtu":0,"mode":"802.3ad"}`},
		{kind("ipip", `"proto":"ipip","remote":"any","local":"10.0.0.1","ttl":"inherit","pmtudisc":true`), `{"name":"x","index":9,"kind":"ipip","mtu":0,"tunnel":{"local":"10.0.0.1","proto":"ipip"}}`},
		{kind("sit", `"proto":"any","remote":"any","local":"any","ttl":0,"tos":"0x10","pmtudisc":true,"prefix":"2001:db8::","prefixlen":32,"fwmark":"0x7"`), `{"name":"x","index":9,"kind":"sit","mtu":0,"tunnel":{"proto":"any","tos":16,"fwmark":7,"relay":"2001:db8::/32"}}`},
		{kind("gre", `"remote":"10.0.0.2","local":"any","ttl":0,"ikey":"0.0.0.5","okey":"0.0.1.0","oseq":true,"ignore_df":true,"encap":{"type":"fou"}`), `{"name":"x","index":9,"kind":"gre","mtu":0,"tunnel":{"remote":"10.0.0.2","ignoreDF":true,"ikey":5,"okey":256,"oseq":true,"encap":"fou"}}`},
		{kind("ip6tnl", `"proto":"any","remote":"2001:db8::2","local":"::","ttl":64,"ip6_tnl_f_ign_encap_limit":true`), `{"name":"x","index":9,"kind":"ip6tnl","mtu":0,"tunnel":{"remote":"2001:db8::2","ttl":64,"proto":"any","noEncapLimit":true}}`},
		{kind("geneve", `"id":7,"remote":"10.0.0.2","port":6081,"ttl":"auto","df":"unset"`), `{"name":"x","index":9,"kind":"geneve","mtu":0,"tunnel":{"remote":"10.0.0.2","id":7,"port":6081,"df":"unset"}}`},
		{kind("vxlan", `"id":1,"port":4789,"ttl":"inherit","tos":"inherit","rsc":true,"gbp":true,"localbypass":false,"udp_zero_csum6_rx":true`), `{"name":"x","index":9,"kind":"vxlan","mtu":0,"vxlan":{"id":1,"port":4789,"ttlInherit":true,"tos":1,"rsc":true,"gbp":true,"udpZeroCsum6Rx":true,"noLocalBypass":true}}`},
		{kind("macvlan", `"mode":"source","flags":["nopromisc"],"macaddr_count":1,"macaddr_data":["02:00:00:00:00:01"]`), `{"name":"x","index":9,"kind":"macvlan","mtu":0,"mode":"source","modeFlags":["nopromisc"],"sources":["02:00:00:00:00:01"]}`},
		{kind("ipvlan", `"mode":"l2","flags":["vepa"]`), `{"name":"x","index":9,"kind":"ipvlan","mtu":0,"mode":"l2","modeFlags":["vepa"]}`},
		{kind("vlan", `"protocol":"802.1Q","id":5,"flags":["REORDER_HDR"]`), `{"name":"x","index":9,"kind":"vlan","mtu":0,"vlan":{"id":5,"protocol":"802.1Q"}}`},
		{kind("bond", `"mode":"active-backup","active_slave":"if4"`), `{"name":"x","index":9,"kind":"bond","mtu":0,"mode":"active-backup","activeSlave":4}`},
		{link(`"linkinfo":{"info_slave_kind":"bond","info_slave_data":{"state":"BACKUP","mii_status":"UP"}}`), `{"name":"x","index":9,"mtu":0,"slave":{"state":"backup","mii":"UP"}}`},
		{kind("bridge", `"vlan_filtering":1,"vlan_protocol":"802.1ad","vlan_default_pvid":1,"mcast_snooping":0`), `{"name":"x","index":9,"kind":"bridge","mtu":0,"bridge":{"vlanFiltering":true,"vlanProtocol":"802.1ad","defaultPVID":1,"noMcastSnooping":true}}`},
		{kind("sit", `"remote":"10.0.0.2","local":"10.0.0.1","ttl":64,"pmtudisc":false`), `{"name":"x","index":9,"kind":"sit","mtu":0,"tunnel":{"local":"10.0.0.1","remote":"10.0.0.2","ttl":64,"noPMTUDisc":true}}`},
		{kind("gre", `"external":null`), `{"name":"x","index":9,"kind":"gre","mtu":0,"tunnel":{"external":true}}`},
		{kind("ip6tnl", `"remote":"::","local":"2001:db8::1","link":"if2"`), `{"name":"x","index":9,"kind":"ip6tnl","mtu":0,"tunnel":{"local":"2001:db8::1","link":2}}`},
		{kind("wireguard", ``), `{"name":"x","index":9,"kind":"wireguard","mtu":0,"tunnel":{}}`},
		{kind("vrf", `"table":10`), `{"name":"x","index":9,"kind":"vrf","mtu":0,"vrfTable":10}`},
		{kind("tun", `"type":"tap"`), `{"name":"x","index":9,"kind":"tun","mtu":0}`},
		{link(`"linkinfo":{"info_kind":"veth","info_slave_kind":"bridge","info_slave_data":{"state":"forwarding","hairpin":true,"isolated":true,"learning":true,"flood":true,"mcast_flood":false,"bcast_flood":true,"neigh_suppress":false}}`), `{"name":"x","index":9,"kind":"veth","mtu":0,"port":{"state":"forwarding","hairpin":true,"isolated":true,"noMcastFlood":true}}`},
		{link(`"addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24,"scope":"global","label":"x","secondary":true}]`), `{"name":"x","index":9,"mtu":0,"addrs":[{"prefix":"10.0.0.1/24","scope":"global","flags":["secondary"],"label":"x"}]}`},
		{link(`"addr_info":[{"family":"inet","local":"10.0.0.1","address":"10.0.0.2","prefixlen":32,"scope":"global"}]`), `{"name":"x","index":9,"mtu":0,"addrs":[{"prefix":"10.0.0.1/32","peer":"10.0.0.2/32","scope":"global"}]}`},
		{`[{},{"ifindex":1,"ifname":"lo"}]`, `{"name":"lo","index":1,"mtu":0}`},
		{link(`"addr_info":[{"local":"here","prefixlen":24}]`), `bad: x: "here"/24 is no prefix`},
		{kind("vrf", `"table":"blue"`), `{"name":"x","index":9,"kind":"vrf","mtu":0,"vrfTable":1580649140}`},
		{`[{"ifindex":1}]`, `bad: an interface without ifname or ifindex`},
		{`[{"ifindex":"one"}]`, `bad: json: cannot unmarshal string into Go struct field rawLink.ifindex of type int`},
		{"[\n{},\n{\"ifindex\"", `error: 3: unexpected EOF`},
		{"command not found", `bad: "command not found" does not begin with the number and name of a device`},
		{`1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default qlen 1000
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00 promiscuity 0 minmtu 0 maxmtu 0
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
    inet6 ::1/128 scope host
       valid_lft forever preferred_lft forever`, `{"name":"lo","index":1,"kind":"loopback","mtu":65536,"mac":"00:00:00:00:00:00","flags":["LOOPBACK","UP","LOWER_UP"],"operState":"UNKNOWN","addrs":[{"prefix":"127.0.0.1/8","scope":"host","label":"lo"},{"prefix":"::1/128","scope":"host"}]}`},
		{`5: v0@if2: <BROADCAST,UP> mtu 1400 qdisc noqueue master br0 state UP mode DEFAULT group 7
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff link-netnsid 3
    veth
    bridge_slave state forwarding priority 32 cost 2 hairpin on guard off root_block off fastleave off learning off flood off
    inet 10.0.0.1 peer 10.0.0.2/32 scope global secondary v0`, `{"name":"v0","index":5,"kind":"veth","mtu":1400,"mac":"02:00:00:00:00:01","flags":["BROADCAST","UP"],"operState":"UP","addrs":[{"prefix":"10.0.0.1/32","peer":"10.0.0.2/32","scope":"global","flags":["secondary"],"label":"v0"}],"link":2,"linkNSID":3,"port":{"state":"forwarding","hairpin":true,"noLearning":true,"noFlood":true},"group":7}`},
		{`7: vx: <UP> mtu 1450 qdisc noqueue state UNKNOWN
    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff promiscuity 0
    vxlan id 1 local 10.0.0.1 dev if2 srcport 0 0 dstport 8472 nolearning ttl auto ageing 300 udpcsum noudp6zerocsumtx`, `{"name":"vx","index":7,"kind":"vxlan","mtu":1450,"mac":"02:00:00:00:00:01","flags":["UP"],"operState":"UNKNOWN","vxlan":{"id":1,"local":"10.0.0.1","link":2,"port":8472,"noLearning":true,"udpCsum":true,"df":"unset"}}`},
		{``, `error: 1: no interface, and each namespace has one`},
	}, func(data []byte) ([]nodedump.Interface, []bad, error) {
		list, bads, err := parseLinks(data)
		return resolveLinks(list, nil), bads, err
	})
}

func TestMergeAndResolveLinks(t *testing.T) {
	links, _, err := parseLinks([]byte(`[{"ifindex":1,"ifname":"br0","linkinfo":{"info_kind":"bridge"}},{"ifindex":2,"ifname":"v0","master":"br0","linkinfo":{"info_kind":"veth"}},{"ifindex":4,"ifname":"v0.5","link":"v0","linkinfo":{"info_kind":"vlan","info_data":{"id":5}}}]`))
	require.NoError(t, err)
	addrs, _, err := parseLinks([]byte(`[{"ifindex":1,"ifname":"br0","addr_info":[{"local":"10.0.0.1","prefixlen":24}]},{"ifindex":3,"ifname":"new"}]`))
	require.NoError(t, err)
	ports, _, err := parseBridgeLinks([]byte(`[{"ifindex":2,"ifname":"v0","master":"br0","state":"blocking","hairpin":true}]`))
	require.NoError(t, err)
	got := resolveLinks(mergeLinks(links, addrs), ports)
	require.Equal(t, []string{"br0", "v0", "new", "v0.5"}, []string{got[0].Name, got[1].Name, got[2].Name, got[3].Name})
	require.Equal(t, "10.0.0.1/24", got[0].Addrs[0].Prefix)
	require.Equal(t, "bridge", got[0].Kind)
	require.Equal(t, 1, got[1].Master)
	require.Equal(t, &nodedump.Port{State: "blocking", Hairpin: true}, got[1].Port)
	require.Equal(t, 2, got[3].Link)
	require.Nil(t, got[3].LinkNSID)
}

func TestRoutes(t *testing.T) {
	check(t, []row{
		{`[{"dst":"default","gateway":"10.1.0.9","dev":"br0","table":"200","prefsrc":"10.1.0.1","flags":["onlink"]}]`, `{"family":4,"table":200,"dst":"0.0.0.0/0","dev":"br0","via":"10.1.0.9","src":"10.1.0.1","flags":["onlink"]}`},
		{`[{"dst":"10.0.0.2","dev":"v1","protocol":"kernel","scope":"link","flags":[]}]`, `{"family":4,"table":254,"dst":"10.0.0.2/32","dev":"v1","scope":"link","protocol":"kernel"}`},
		{`[{"type":"unicast","dst":"10.0.0.0/8","dev":"v1","scope":"global","protocol":"static","metric":100,"flags":["linkdown"]}]`, `{"family":4,"table":254,"dst":"10.0.0.0/8","dev":"v1","protocol":"static","metric":100,"flags":["linkdown"]}`},
		{`[{"dst":"10.5.0.0/16","flags":[],"nexthops":[{"gateway":"10.1.0.5","dev":"br0","weight":2,"flags":[]},{"via":{"family":"inet6","host":"fe80::1"},"dev":"br1","flags":["dead"]}]}]`, `{"family":4,"table":254,"dst":"10.5.0.0/16","nexthops":[{"dev":"br0","via":"10.1.0.5","weight":2},{"dev":"br1","via":"fe80::1","weight":1,"flags":["dead"]}]}`},
		{"10.5.0.0/16 proto static metric 7\n\tnexthop via 10.1.0.5 dev br0 weight 2\n\tnexthop via inet6 fe80::1 dev br1 weight 1 dead linkdown", `{"family":4,"table":254,"dst":"10.5.0.0/16","protocol":"static","metric":7,"nexthops":[{"dev":"br0","via":"10.1.0.5","weight":2},{"dev":"br1","via":"fe80::1","weight":1,"flags":["dead","linkdown"]}]}`},
		{"default via 10.1.0.9 dev br0 table 200 src 10.1.0.1 mtu lock 1400 onlink", `{"family":4,"table":200,"dst":"0.0.0.0/0","dev":"br0","via":"10.1.0.9","src":"10.1.0.1","mtu":1400,"flags":["onlink"]}`},
		{"local 10.0.0.1 dev v1 table local proto kernel scope host src 10.0.0.1", `{"family":4,"table":255,"type":"local","dst":"10.0.0.1/32","dev":"v1","src":"10.0.0.1","scope":"host","protocol":"kernel"}`},
		{`[{"dst":"10.5.0.0/16","nhid":7,"gateway":"10.1.0.5","dev":"br0","flags":[],"metrics":[{"mtu":1400,"hoplimit":5}]}]`, `{"family":4,"table":254,"dst":"10.5.0.0/16","dev":"br0","via":"10.1.0.5","mtu":1400,"hopLimit":5,"nhid":7}`},
		{`[{"dst":"fd05::/64","gateway":"fe80::1","dev":"br0","flags":[],"pref":"low","encap":"mpls"}]`, `{"family":6,"table":254,"dst":"fd05::/64","dev":"br0","via":"fe80::1","encap":"mpls","pref":"low"}`},
		{"10.5.0.0/16 nhid 7 proto static hoplimit 5\n\tnexthop encap mpls 100 via 10.1.0.5 dev br0 weight 2", `{"family":4,"table":254,"dst":"10.5.0.0/16","protocol":"static","nexthops":[{"dev":"br0","via":"10.1.0.5","weight":2,"encap":"mpls"}],"hopLimit":5,"nhid":7}`},
		{"unreachable 10.6.0.0/16 metric 5", `{"family":4,"table":254,"type":"unreachable","dst":"10.6.0.0/16","metric":5}`},
		{"10.8.0.0/16 tos 0x10 encap ip id 7 dev vx", `{"family":4,"table":254,"dst":"10.8.0.0/16","dev":"vx","tos":16,"encap":"ip"}`},
		{"10.8.0.0/16 via", `bad: nothing behind "via"`},
		{"blackhole", `bad: nothing behind "blackhole"`},
		{`[{"type":"blackhole","dst":"10.6.0.0/16","metric":5}]`, `{"family":4,"table":254,"type":"blackhole","dst":"10.6.0.0/16","metric":5}`},
		{`[{"dst":"10.7.0.0/16","via":{"family":"inet6","host":"fe80::1"},"dev":"br0","metrics":[{"mtu":1400}]}]`, `{"family":4,"table":254,"dst":"10.7.0.0/16","dev":"br0","via":"fe80::1","mtu":1400}`},
		{`[{"type":"local","dst":"10.0.0.1","dev":"v1","table":"local","scope":"host"}]`, `{"family":4,"table":255,"type":"local","dst":"10.0.0.1/32","dev":"v1","scope":"host"}`},
		{`[{"dst":"10.0.0.1","table":"default"}]`, `{"family":4,"table":253,"dst":"10.0.0.1/32"}`},
		{`[{"dst":"10.8.0.0/16","encap":"ip","dev":"vx"}]`, `{"family":4,"table":254,"dst":"10.8.0.0/16","dev":"vx","encap":"ip"}`},
		{`[{"dst":"10.8.0.0/16","tos":"0x10"}]`, `{"family":4,"table":254,"dst":"10.8.0.0/16","tos":16}`},
		{`[ ]`, ``},
		{``, ``},
		{`[{"dst":"10.0.0.1","table":"blue"}]`, `{"family":4,"table":1580649140,"dst":"10.0.0.1/32"}`},
		{`[{"dst":"10.0.0.1","from":"10.0.0.0/8"}]`, `bad: route to 10.0.0.1: it depends on the source, 10.0.0.0/8`},
		{`[{"dst":"2001:db8::1"}]`, `{"family":6,"table":254,"dst":"2001:db8::1/128"}`},
		{"default via fe80::1 dev eth0 metric 1024 pref medium", `{"family":6,"table":254,"dst":"::/0","dev":"eth0","via":"fe80::1","metric":1024}`},
		{"unreachable default dev lo metric 4294967295 error -101 pref medium", `{"family":6,"table":254,"type":"unreachable","dst":"::/0","dev":"lo","metric":4294967295}`},
		{`[{"dst":"here"}]`, `bad: route to here: "here" is no IPv4 prefix`},
		{`[{"dst":"10.0.0.0/8","gateway":"gw"}]`, `bad: route to 10.0.0.0/8: "gw" is no address`},
		{`[{"dev":"x"}]`, `bad: a route without dst`},
	}, in(4, parseRoutes))
	check(t, []row{
		{`[{"dst":"default","gateway":"fe80::1","dev":"eth0","metric":1024,"pref":"medium"}]`, `{"family":6,"table":254,"dst":"::/0","dev":"eth0","via":"fe80::1","metric":1024}`},
		{`[{"type":"multicast","dst":"ff00::/8","dev":"v1","table":"local","metric":256}]`, `{"family":6,"table":255,"type":"multicast","dst":"ff00::/8","dev":"v1","metric":256}`},
		{`[{"type":"unreachable","dst":"default","dev":"lo","metric":4294967295}]`, `{"family":6,"table":254,"type":"unreachable","dst":"::/0","dev":"lo","metric":4294967295}`},
	}, in(6, parseRoutes))
}

func TestRules(t *testing.T) {
	check(t, []row{
		{`[{"priority":0,"src":"all","table":"local"}]`, `{"family":4,"priority":0,"table":255}`},
		{`[{"priority":5,"not":null,"src":"10.0.0.0","srclen":8,"fwmark":"0x1","fwmask":"0xff","iif":"br0","table":"100"}]`, `{"family":4,"priority":5,"not":true,"from":"10.0.0.0/8","iif":"br0","mark":1,"mask":255,"table":100}`},
		{`[{"priority":5,"src":"all","fwmark":"0x10","table":"100"}]`, `{"family":4,"priority":5,"mark":16,"mask":4294967295,"table":100}`},
		{`[{"priority":5,"src":"all","tun_id":"7","dscp":"10","table":"100"}]`, `{"family":4,"priority":5,"dscp":10,"table":100,"unread":"tun_id"}`},
		{`[{"priority":5,"src":"all","dscp":"AF11","sport":"53","sport_mask":"0xff","flowlabel":"0x5","table":"100"}]`, `{"family":4,"priority":5,"sport":"53","table":100,"unread":"flowlabel sport-mask dscp"}`},
		{"5: from all dscp 10 lookup 100", `{"family":4,"priority":5,"dscp":10,"table":100}`},
		{"5: from all flowlabel 0x5/0xff lookup 100", `{"family":4,"priority":5,"table":100,"unread":"flowlabel"}`},
		{`[{"priority":5,"src":"all","fwmark":"0x10/0xf0","table":"100"}]`, `{"family":4,"priority":5,"mark":16,"mask":240,"table":100}`},
		{`[{"priority":5,"src":"10.0.0.1","dst":"10.9.0.0","dstlen":16,"table":"main"}]`, `{"family":4,"priority":5,"from":"10.0.0.1/32","to":"10.9.0.0/16","table":254}`},
		{`[{"priority":1,"src":"all","tos":"0x10","oif":"v1","table":"7"}]`, `{"family":4,"priority":1,"oif":"v1","tos":16,"table":7}`},
		{`[{"priority":2,"src":"all","uid_start":1,"uid_end":5,"action":"unreachable"}]`, `{"family":4,"priority":2,"uidrange":"1-5","action":"unreachable"}`},
		{`[{"priority":3,"src":"all","ipproto":"udp","sport_start":1,"sport_end":5,"dport":5,"table":"main","suppress_prefixlen":0}]`, `{"family":4,"priority":3,"ipproto":"udp","sport":"1-5","dport":"5","table":254,"suppressPrefixLen":0}`},
		{`[{"priority":3,"src":"all","table":"main","suppress_prefixlength":8,"suppress_ifgroup":"default"}]`, `{"family":4,"priority":3,"table":254,"suppressPrefixLen":8,"suppressIfGroup":0}`},
		{`[{"priority":4,"src":"all","to":"blackhole"}]`, `{"family":4,"priority":4,"action":"blackhole"}`},
		{`[{"priority":90,"src":"all","goto":100}]`, `{"family":4,"priority":90,"action":"goto","goto":100}`},
		{`[{"priority":90,"src":"all","goto":"none","unresolved":null}]`, `{"family":4,"priority":90,"action":"goto"}`},
		{`[{"priority":100,"src":"all","nop":null}]`, `{"family":4,"priority":100,"action":"nop"}`},
		{`[{"priority":1000,"src":"all","l3mdev":null}]`, `{"family":4,"priority":1000,"l3mdev":true}`},
		{"0:\tfrom all lookup local", `{"family":4,"priority":0,"table":255}`},
		{"5:\tnot from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x1/0xff iif br0 [detached] lookup 100 suppress_prefixlength 0", `{"family":4,"priority":5,"not":true,"from":"10.0.0.0/8","to":"10.9.0.0/16","iif":"br0","mark":1,"mask":255,"table":100,"suppressPrefixLen":0}`},
		{"6:\tfrom all tos 0x10 oif v1 uidrange 1-5 ipproto udp sport 1-5 dport 5 unreachable proto static", `{"family":4,"priority":6,"oif":"v1","tos":16,"ipproto":"udp","sport":"1-5","dport":"5","uidrange":"1-5","action":"unreachable"}`},
		{"90:\tfrom all goto 100", `{"family":4,"priority":90,"action":"goto","goto":100}`},
		{"100:\tfrom all nop", `{"family":4,"priority":100,"action":"nop"}`},
		{"1000:\tfrom all lookup [l3mdev-table]", `{"family":4,"priority":1000,"l3mdev":true}`},
		{"7:\tfrom all frob 5 lookup main", `bad: unknown word "frob"`},
		{"frob", `bad: "frob" does not begin with a priority`},
		{`[{"priority":7,"src":"all"}]`, `bad: rule 7: neither table nor action`},
		{`[{"priority":7,"src":"me","table":"main"}]`, `bad: rule 7: "me" is no IPv4 prefix`},
		{`[{"priority":7,"src":"all","fwmark":"x","table":"main"}]`, `bad: rule 7: "x" is no mark`},
		{``, `error: 1: the file is empty`},
	}, in(4, parseRules))
	check(t, []row{
		{`[{"priority":5,"src":"2001:db8::","srclen":32,"table":"main"}]`, `{"family":6,"priority":5,"from":"2001:db8::/32","table":254}`},
	}, in(6, parseRules))
}

func TestNeighbours(t *testing.T) {
	check(t, []row{
		{`[{"dst":"10.1.0.7","dev":"br0","lladdr":"02:00:00:00:00:01","state":["PERMANENT"]}]`, `{"ip":"10.1.0.7","dev":"br0","mac":"02:00:00:00:00:01","state":"PERMANENT"}`},
		{`[{"dst":"fe80::1","dev":"br0","router":null,"state":["FAILED"]}]`, `{"ip":"fe80::1","dev":"br0","state":"FAILED"}`},
		{`[]` + "\n" + `[{"dst":"10.1.0.8","dev":"br0","proxy":null}]`, `{"ip":"10.1.0.8","dev":"br0","state":"","proxy":true}`},
		{"10.1.0.7 dev br0 lladdr 02:00:00:00:00:01 PERMANENT", `{"ip":"10.1.0.7","dev":"br0","mac":"02:00:00:00:00:01","state":"PERMANENT"}`},
		{"fe80::1 dev br0 router FAILED", `{"ip":"fe80::1","dev":"br0","state":"FAILED"}`},
		{"10.1.0.8 dev br0 proxy", `{"ip":"10.1.0.8","dev":"br0","state":"","proxy":true}`},
		{`[{"dst":"10.1.0.8"}]`, `bad: a neighbour without dst or dev`},
	}, parseNeighbours)
}

func TestFDB(t *testing.T) {
	check(t, []row{
		{`[{"mac":"33:33:00:00:00:01","ifname":"v1","flags":["self"],"state":"permanent"}]`, `{"mac":"33:33:00:00:00:01","dev":"v1","state":"permanent","flags":["self"]}`},
		{`[{"mac":"56:14:7b:df:78:81","ifname":"v0","vlan":1,"flags":[],"master":"br0","state":""}]`, `{"mac":"56:14:7b:df:78:81","dev":"v0","master":"br0","vlan":1}`},
		{`[{"mac":"02:00:00:00:00:02","ifname":"vx","dst":"1.2.3.4","port":99,"vni":7,"viaIf":"eth0","flags":["self"],"state":"static"}]`, `{"mac":"02:00:00:00:00:02","dev":"vx","dst":"1.2.3.4","port":99,"vni":7,"via":"eth0","state":"static","flags":["self"]}`},
		{"33:33:00:00:00:01 dev v1 self permanent", `{"mac":"33:33:00:00:00:01","dev":"v1","state":"permanent","flags":["self"]}`},
		{"56:14:7b:df:78:81 dev v0 vlan 1 master br0 ", `{"mac":"56:14:7b:df:78:81","dev":"v0","master":"br0","vlan":1}`},
		{"02:00:00:00:00:02 dev vx dst 1.2.3.4 port 99 vni 7 via eth0 self static", `{"mac":"02:00:00:00:00:02","dev":"vx","dst":"1.2.3.4","port":99,"vni":7,"via":"eth0","state":"static","flags":["self"]}`},
		{`[{"mac":"02:00:00:00:00:02","dev":"vx"}]`, `{"mac":"02:00:00:00:00:02","dev":"vx"}`},
		{`[{"ifname":"vx"}]`, `bad: an FDB entry without mac or ifname`},
		{`[{"mac":"02:00:00:00:00:02","ifname":"vx","dst":"there"}]`, `bad: "there" is no address`},
	}, parseFDB)
}

func TestSockets(t *testing.T) {
	check(t, []row{
		{`udp UNCONN 0      0      0.0.0.0%br0:68  0.0.0.0:*`, `{"protocol":"udp","local":"0.0.0.0:68","dev":"br0"}`},
		{`tcp LISTEN 0      128              *:81        *:*`, `{"protocol":"tcp","local":"[::]:81"}`},
		{`tcp LISTEN 0      128           [::]:80     [::]:*`, `{"protocol":"tcp","local":"[::]:80","v6only":true}`},
		{`tcp LISTEN 0      128            :::80        :::*`, `{"protocol":"tcp","local":"[::]:80"}`},
		{`tcp LISTEN 0 128 127.0.0.1:10248 0.0.0.0:* users:(("kubelet",pid=1,fd=6))`, `{"protocol":"tcp","local":"127.0.0.1:10248","process":"kubelet"}`},
		{`LISTEN 0      128       *:81    *:*`, `{"protocol":"tcp","local":"[::]:81"}`},
		{`UNCONN 0      0   [fe80::1]%eth0:546    [::]:*`, `{"protocol":"udp","local":"[fe80::1]:546","dev":"eth0"}`},
		{`sctp LISTEN 0 5 10.0.0.1:36412 0.0.0.0:*`, `{"protocol":"sctp","local":"10.0.0.1:36412"}`},
		{`Netid State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess`, ``},
		{`nl UNCONN 0 0 rtnl:kernel *`, ``},
		{`tcp ESTAB 0 0 10.0.0.1:22 10.0.0.2:4000`, ``},
		{`tcp LISTEN 0 128 nowhere`, `bad: "nowhere" has no port`},
		{`tcp LISTEN 0 128 nowhere:80`, `bad: "nowhere:80" has no address`},
		{`tcp LISTEN 0 128 10.0.0.1:http`, `bad: "10.0.0.1:http" has no port`},
		{`tcp LISTEN`, `bad: a socket without a local address`},
	}, parseSockets)
}

func TestConntrack(t *testing.T) {
	check(t, []row{
		{`tcp      6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 src=10.0.0.3 dst=10.0.0.1 sport=2 dport=1 [ASSURED] mark=0 use=1`, `{"family":4,"protocol":"tcp","src":"10.0.0.1:1","dst":"10.0.0.2:2","replySrc":"10.0.0.3:2","replyDst":"10.0.0.1:1","state":"ESTABLISHED","status":["ASSURED"]}`},
		{`udp      17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=53 dport=1 mark=16384 zone=3 use=1`, `{"family":4,"protocol":"udp","src":"10.0.0.1:1","dst":"10.0.0.2:53","replySrc":"10.0.0.2:53","replyDst":"10.0.0.1:1","status":["UNREPLIED"],"mark":16384,"zone":3}`},
		{`ipv6     10 tcp      6 9 TIME_WAIT src=2001:db8::1 dst=2001:db8::2 sport=1 dport=2 packets=5 bytes=300 src=2001:db8::2 dst=2001:db8::1 sport=2 dport=1 packets=1 bytes=3 mark=0 zone=0 use=2`, `{"family":6,"protocol":"tcp","src":"[2001:db8::1]:1","dst":"[2001:db8::2]:2","replySrc":"[2001:db8::2]:2","replyDst":"[2001:db8::1]:1","state":"TIME_WAIT"}`},
		{`icmp     1 29 src=10.0.0.1 dst=10.0.0.2 type=8 code=0 id=77 src=10.0.0.2 dst=10.0.0.1 type=0 code=0 id=77 mark=0 use=1`, `{"family":4,"protocol":"icmp","src":"10.0.0.1:77","dst":"10.0.0.2:0","replySrc":"10.0.0.2:0","replyDst":"10.0.0.1:77"}`},
		{`conntrack v1.4.7 (conntrack-tools): 12 flow entries have been shown.`, ``},
		{`tcp 6 9 NONE src=10.0.0.1 dst=10.0.0.2`, `bad: a connection with 1 directions`},
		{`tcp 6 9 NONE src=a dst=10.0.0.2 src=b dst=c`, `bad: "a" is no address`},
		{`tcp`, `bad: a connection without addresses`},
	}, parseConntrack)
}

func TestSysctls(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []sysctl
	}{
		{"net.ipv4.ip_forward = 1\n", []sysctl{{"net.ipv4.ip_forward", "1", 1}}},
		{"net.ipv4.conf.eth0/100.rp_filter=0", []sysctl{{"net.ipv4.conf.eth0/100.rp_filter", "0", 1}}},
		{"sysctl: reading key \"net.ipv6.conf.all.stable_secret\" a=b\nnet.a = \n", []sysctl{{"net.a", "", 2}}},
		{"net.ipv4.tcp_rmem = 4096\t131072\t6291456", []sysctl{{"net.ipv4.tcp_rmem", "4096\t131072\t6291456", 1}}},
	} {
		got, bads, err := parseSysctls([]byte(c.in))
		require.NoError(t, err)
		require.Empty(t, bads)
		require.Equal(t, c.want, got)
	}
	_, _, err := parseSysctls([]byte("permission denied\n"))
	require.EqualError(t, err, "1: no line has the form key = value")
}

func TestTextConverters(t *testing.T) {
	for _, c := range []struct {
		convert func([]byte) ([]byte, []bad, error)
		in      string
		want    string
		err     string
	}{
		{convertTables, "", "", ""},
		{convertTables, "iptables-save: command not found\n", "", `1: "iptables-save: command not found" does not begin a table`},
		{convertTables, "# Warning: x\n*nat\nCOMMIT\n", "# Warning: x\n*nat\nCOMMIT\n", ""},
		{convertNFT, " \n", "", ""},
		{convertNFT, "[]", "", "1: json: cannot unmarshal array into Go value of type snapshot.nftRuleset"},
		{convertIPSet, "ipset v7.17: Kernel error", "", `1: "ipset v7.17: Kernel error" begins with none of ["create " "add "], and no other entry`},
		{convertIPSet, "", "", ""},
		{convertIPVS, "", "", ""},
		{convertIPVS, "-A -t 10.0.0.1:80 -s rr\n\n", "{\n\"rules\": [\n\"-A -t 10.0.0.1:80 -s rr\"\n]\n}\n", ""},
	} {
		got, _, err := c.convert([]byte(c.in))
		require.Equal(t, c.want, string(got), c.in)
		if c.err != "" {
			require.EqualError(t, err, c.err)
		}
	}
}

func TestPlural(t *testing.T) {
	for _, r := range []row{
		{"ippool", "ippools"}, {"globalnetworkpolicy", "globalnetworkpolicies"}, {"ciliumidentity", "ciliumidentities"}, {"blockaffinity", "blockaffinities"},
		{"podnetworking", "podnetworkings"}, {"felixconfiguration", "felixconfigurations"}, {"ipclass", "ipclasses"},
	} {
		require.Equal(t, r.want, plural(r.in))
	}
}

func TestVLANs(t *testing.T) {
	rows := []struct{ in, want string }{
		{`[{"ifname":"v0","vlans":[{"vlan":1,"flags":["PVID","Egress Untagged"]},{"vlan":10,"vlanEnd":20}]}]`, `[{"id":1,"pvid":true,"untagged":true},{"id":10,"last":20}]`},
		{`[{"ifname":"v0","vlans":[]}]`, `null`},
		{`[{"ifname":"v0","vlans":[{"vlan":5000}]}]`, `bad: no VLAN: 5000`},
		{`[{"vlans":[]}]`, `bad: VLANs without ifname`},
	}
	for _, r := range rows {
		list, bads, err := parseVLANs([]byte(r.in))
		require.NoError(t, err)
		if len(bads) > 0 {
			require.Equal(t, r.want, "bad: "+bads[0].err.Error())
			continue
		}
		got, err := json.Marshal(list[0].vlans)
		require.NoError(t, err)
		require.Equal(t, r.want, string(got))
	}
}

// The keys of "wg show all dump" are read by nobody.
func TestWireGuardPeers(t *testing.T) {
	text := "wg0\tSECRET\tpublic\t51820\toff\n" +
		"wg0\tpeer\tSHARED\t192.0.2.1:51820\t10.0.1.0/24,fd00::/64\t0\t0\t0\toff\n" +
		"wg0\tpeer2\t(none)\t(none)\t(none)\t0\t0\t0\toff\n" +
		"wg0\tpeer3\tSHARED\tSECRET\n"
	devices, bads := parseWireGuard(text)
	got, err := json.Marshal(devices)
	require.NoError(t, err)
	require.JSONEq(t, `{"wg0":{"port":51820,"peers":[{"endpoint":"192.0.2.1:51820","allowedIPs":["10.0.1.0/24","fd00::/64"]},{}]}}`, string(got))
	require.Len(t, bads, 1)
	require.Equal(t, 4, bads[0].line)
	require.NotContains(t, bads[0].err.Error(), "SECRET")
}

// TestFiles holds that every file a reader asks for is one of Files.
func TestFiles(t *testing.T) {
	var asked []string
	n := ReadNetNS("host", func(name string) ([]byte, error) {
		if !slices.Contains(asked, name) {
			asked = append(asked, name)
		}
		return nil, fs.ErrNotExist
	}, func(name string) string { return name })
	require.ElementsMatch(t, Files(), asked)
	require.NoError(t, n.Failed())
}
