package aliyun

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A town is a cluster of two nodes: n1 with 192.168.0.1 and pods of 10.1.0.0/24,
// n2 with 192.168.1.2 and pods of 10.2.0.0/24.
type town struct{}

func (town) GetNodeFromName(string) (*corev1.Node, bool) { return nil, false }

func (town) GetNodeIPs(node string) []netip.Addr {
	return map[string][]netip.Addr{"n1": {netip.MustParseAddr("192.168.0.1")}, "n2": {netip.MustParseAddr("192.168.1.2")}}[node]
}

func (town) GetNodePodCIDRs(node string) []netip.Prefix {
	return map[string][]netip.Prefix{"n1": {netip.MustParsePrefix("10.1.0.0/24")}, "n2": {netip.MustParsePrefix("10.2.0.0/24")}}[node]
}

func (town) GetPodFromIP(ip netip.Addr) (*corev1.Pod, bool) {
	for _, node := range []string{"n1", "n2"} {
		if (town{}).GetNodePodCIDRs(node)[0].Contains(ip) {
			return &corev1.Pod{Spec: corev1.PodSpec{NodeName: node}}, true
		}
	}
	return nil, false
}

const nodes = `items:
- {metadata: {name: n1}, spec: {providerID: cn-hangzhou.i-1}}
- {metadata: {name: n2}, spec: {providerID: "alicloud://cn-hangzhou.i-2"}}
`

// The parts of a VPC that has all it takes.
const (
	enis = `{"NetworkInterfaceSets": {"NetworkInterfaceSet": [
{"NetworkInterfaceId": "eni-1", "Type": "Primary", "InstanceId": "i-1", "VpcId": "vpc-1", "VSwitchId": "vsw-1", "MacAddress": "00:16:3E:00:00:01", "PrivateIpAddress": "192.168.0.1", "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]}, "SourceDestCheck": false},
{"NetworkInterfaceId": "eni-1b", "Type": "Secondary", "InstanceId": "i-1", "VSwitchId": "vsw-1", "MacAddress": "00:16:3e:00:00:1b", "PrivateIpSets": {"PrivateIpSet": [{"PrivateIpAddress": "192.168.0.11", "Primary": true}, {"PrivateIpAddress": "192.168.0.12", "AssociatedPublicIp": {"PublicIpAddress": "47.0.0.1"}}]}, "Ipv6Sets": {"Ipv6Set": [{"Ipv6Address": "2001:db8::1"}]}, "Ipv4PrefixSets": {"Ipv4PrefixSet": [{"Ipv4Prefix": "192.168.0.64/28"}]}, "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]}, "SourceDestCheck": true},
{"NetworkInterfaceId": "eni-2", "Type": "Primary", "Attachment": {"InstanceId": "i-2"}, "VSwitchId": "vsw-2", "MacAddress": "00:16:3e:00:00:02", "PrivateIpAddress": "192.168.1.2", "SecurityGroupIds": {"SecurityGroupId": ["sg-1"]}, "SourceDestCheck": false},
{"NetworkInterfaceId": "eni-9", "Type": "Primary", "InstanceId": "i-9", "VSwitchId": "vsw-2", "MacAddress": "00:16:3e:00:00:09", "PrivateIpAddress": "192.168.1.9", "SecurityGroupIds": {"SecurityGroupId": ["sg-9"]}, "SourceDestCheck": false}
]}}
`
	routes = `{"RouteEntrys": {"RouteEntry": [
{"RouteTableId": "vtb-1", "DestinationCidrBlock": "10.1.0.0/24", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "Instance", "NextHopId": "i-1"}]}},
{"RouteTableId": "vtb-1", "DestinationCidrBlock": "10.2.0.0/24", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "Instance", "NextHopId": "i-2"}]}},
{"RouteTableId": "vtb-1", "DestinationCidrBlock": "0.0.0.0/0", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "NatGateway", "NextHopId": "ngw-1"}]}}
]}}
`
	vswitches = `{"VSwitches": {"VSwitch": [
{"VSwitchId": "vsw-1", "VpcId": "vpc-1", "CidrBlock": "192.168.0.0/24", "RouteTable": {"RouteTableId": "vtb-1"}},
{"VSwitchId": "vsw-2", "VpcId": "vpc-1", "CidrBlock": "192.168.1.0/24", "NetworkAclId": "", "RouteTable": {"RouteTableId": "vtb-1"}}
]}}
`
)

// rules is a group with rules, and which type it is.
func rules(kind, inner string, list ...string) string {
	return fmt.Sprintf(`{"SecurityGroups": {"SecurityGroup": [{"SecurityGroupId": "sg-1", "SecurityGroupType": %q}]}}
{"SecurityGroupId": "sg-1", "InnerAccessPolicy": %q, "Permissions": {"Permission": [%s]}}
{"SecurityGroupId": "sg-9", "InnerAccessPolicy": "Accept", "Permissions": {"Permission": []}}
`, kind, inner, strings.Join(list, ","))
}

// rule is "Accept in TCP 80/80 10.0.0.0/8 1".
func rule(text string) string {
	w := strings.Fields(text)
	direction, end := "ingress", "SourceCidrIp"
	if w[1] == "out" {
		direction, end = "egress", "DestCidrIp"
	}
	switch {
	case strings.HasPrefix(w[4], "pl-"):
		end = strings.Replace(end, "CidrIp", "PrefixListId", 1)
	case strings.HasPrefix(w[4], "sg-"):
		end = strings.Replace(end, "CidrIp", "GroupId", 1)
	}
	return fmt.Sprintf(`{"Policy": %q, "Direction": %q, "IpProtocol": %q, "PortRange": %q, %q: %q, "Priority": %s}`, w[0], direction, w[2], w[3], end, w[4], w[5])
}

const all = "Accept in ALL -1/-1 0.0.0.0/0 1"

func made(t *testing.T, files ...string) *vpc {
	w := snapshot.NewWriter(snapshot.Meta{})
	require.NoError(t, w.Add("cluster/nodes.yaml", []byte(nodes)))
	for i, text := range files {
		require.NoError(t, w.Add(fmt.Sprintf("infra/aliyun/%d.json", i), []byte(text)))
	}
	s, err := w.Snapshot()
	require.NoError(t, err)
	u, _, problems := create(infra.Env{Snapshot: s, Cluster: town{}})
	for _, problem := range problems {
		require.ErrorContains(t, problem, "another page of ")
	}
	v, ok := u.(*vpc)
	require.True(t, ok)
	return v
}

// pkt is "tcp 10.1.0.5 > 10.2.0.5:80".
func pkt(text string) model.Packet {
	w := strings.Fields(text)
	p := model.Packet{Protocol: model.Protocol(w[0])}
	end := func(s string, port uint16) netip.AddrPort {
		if a, err := netip.ParseAddrPort(s); err == nil {
			return a
		}
		return netip.AddrPortFrom(netip.MustParseAddr(s), port)
	}
	p.Src, p.Dst = end(w[1], 0), end(w[3], 0)
	if p.Protocol.HasPorts() {
		p.Src = end(w[1], 40000)
	}
	if p.Protocol == model.ICMP {
		p.ICMPType = 8
	}
	return p
}

// told is what verdicts come to: "pass", "drop CODE", "maybe TEXT", "to n2".
func told(list []infra.Verdict) string {
	var out []string
	for _, v := range list {
		switch {
		case v.Disposition == model.Forwarded && v.Diverted:
			out = append(out, v.Code+" to "+v.To.Node)
		case v.Disposition == model.Forwarded && v.Outside:
			out = append(out, "out")
		case v.Disposition == model.Forwarded:
			out = append(out, "pass "+v.To.Node)
		case len(v.Doubts) > 0:
			out = append(out, "maybe "+v.Doubts[len(v.Doubts)-1].What)
		default:
			out = append(out, strings.TrimSpace(v.Disposition.String()+" "+v.Code))
		}
	}
	return strings.TrimSpace(strings.Join(out, "; "))
}

var (
	n1 = infra.Machine{Node: "n1", MAC: "00:16:3e:00:00:01"}
	n2 = infra.Machine{Node: "n2"}
)

// Whose an address is, and in which network.
func TestOwnerOf(t *testing.T) {
	v := made(t, enis, vswitches)
	for ip, want := range map[string]string{
		"192.168.0.1":  "00:16:3e:00:00:01 192.168.0.0/24",
		"192.168.0.12": "00:16:3e:00:00:1b 192.168.0.0/24",
		"192.168.0.70": "00:16:3e:00:00:1b 192.168.0.0/24", // of a prefix
		"2001:db8::1":  "00:16:3e:00:00:1b invalid Prefix",
		"192.168.1.9":  "00:16:3e:00:00:09 192.168.1.0/24",
		"192.168.9.9":  "",
	} {
		o, ok := v.OwnerOf(netip.MustParseAddr(ip))
		require.Equal(t, want != "", ok, ip)
		if ok {
			require.Equal(t, want, o.MAC+" "+o.Network.String(), ip)
			require.Contains(t, o.Evidence, ".json:", ip)
		}
	}
	o, _ := made(t, enis).OwnerOf(netip.MustParseAddr("192.168.0.1"))
	require.False(t, o.Network.IsValid(), "without vSwitches")
}

func TestRoutes(t *testing.T) {
	open := rules("normal", "Accept", rule(all))
	without := func(text string) string {
		var left []string
		for line := range strings.Lines(routes) {
			if !strings.Contains(line, text) {
				left = append(left, line)
			}
		}
		return strings.ReplaceAll(strings.Join(left, ""), ",\n]", "\n]")
	}
	for _, tt := range []struct {
		name   string
		routes string
		p      string
		to     infra.Machine
		want   string
	}{
		{"a pod of the other node", routes, "tcp 10.1.0.5 > 10.2.0.5:80", n2, "pass n2"},
		{"the sender's node names no node, the VPC knows better", routes, "tcp 10.1.0.5 > 10.2.0.5:80", infra.Machine{}, "pass n2"},
		{"the other node", routes, "tcp 192.168.0.1 > 192.168.1.2:80", n2, "pass n2"},
		{"the entry is missing, the default one leads to the Internet", without("10.2.0.0/24"), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "no-route infra/route-missing"},
		{"there is no default one either", strings.ReplaceAll(without("10.2.0.0/24"), "0.0.0.0/0", "203.0.113.0/24"), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "no-route infra/route-missing"},
		{"the longest prefix counts", strings.Replace(routes, "0.0.0.0/0", "10.2.0.0/28", 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "no-route infra/route-wrong"},
		{"to the sender itself", strings.Replace(routes, `"i-2"`, `"i-1"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "infra/route-wrong to n1"},
		{"to an instance that is no node", strings.Replace(routes, `"i-2"`, `"i-9"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "unknown infra/route-wrong"},
		{"to an instance that nobody knows", strings.Replace(routes, `"i-2"`, `"i-7"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "unknown infra/route-wrong"},
		{"to an interface", strings.Replace(routes, `"Instance", "NextHopId": "i-2"`, `"NetworkInterface", "NextHopId": "eni-2"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "pass n2"},
		{"to an interface that nobody knows", strings.Replace(routes, `"Instance", "NextHopId": "i-2"`, `"NetworkInterface", "NextHopId": "eni-7"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "unknown infra/route-wrong"},
		{"to a gateway of which nobody knows where it leads", strings.Replace(routes, `"Instance", "NextHopId": "i-2"`, `"Attachment", "NextHopId": "tr-1"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "unknown infra/route-wrong"},
		{"to an address that instances share", strings.Replace(routes, `"Instance", "NextHopId": "i-2"`, `"HaVip", "NextHopId": "hv-1"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "maybe which instance has the HaVip hv-1; pass n2"},
		{"not in force yet", strings.Replace(routes, `"10.2.0.0/24", "Status": "Available"`, `"10.2.0.0/24", "Status": "Pending"`, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "maybe whether the entry 10.2.0.0/24 of vtb-1 is in force: it is Pending; pass n2"},
		{"a page is missing", strings.Replace(without("10.2.0.0/24"), "{", `{"NextToken": "x", `, 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "maybe whether an entry of vtb-1 that is not in the bundle is for 10.2.0.5; pass n2"},
		{"another table", strings.ReplaceAll(routes, "vtb-1", "vtb-2"), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "maybe the entries of the route table of vSwitch vsw-1; pass n2"},
		{"no entries were asked for", "", "tcp 10.1.0.5 > 10.2.0.5:80", n2, "pass n2"},
		{"the Internet by a NAT gateway", routes, "tcp 192.168.0.1 > 198.51.100.1:80", infra.Machine{}, "out"},
		{"the Internet with no way out", without("0.0.0.0/0"), "tcp 192.168.0.1 > 198.51.100.1:80", infra.Machine{}, "no-route infra/route-missing"},
		{"an address in a vSwitch that its node's interfaces do not have", routes, "tcp 192.168.0.1 > 192.168.1.77:80", n2, "maybe whether 192.168.1.77 is a HaVip that leads to node n2; pass n2"},
		{"the same, no default route", without("0.0.0.0/0"), "tcp 192.168.0.1 > 192.168.1.77:80", n2, "maybe whether 192.168.1.77 is a HaVip that leads to node n2; pass n2"},
		{"to a prefix list that has the pods", strings.Replace(routes, "10.2.0.0/24", "pl-1", 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "pass n2"},
		{"to a prefix list that was not read", strings.Replace(routes, "10.2.0.0/24", "pl-2", 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "maybe whether the entry of vtb-1 whose destination is not in the bundle is about 10.2.0.5; pass n2"},
		{"which the other entries do not depend on", strings.Replace(routes, "10.1.0.0/24", "pl-2", 1), "tcp 10.1.0.5 > 10.2.0.5:80", n2, "pass n2"},
		{"the same, nobody expects it at a node", without("0.0.0.0/0"), "tcp 192.168.0.1 > 192.168.1.77:80", infra.Machine{}, "pass"},
	} {
		files := []string{enis, vswitches, open + `{"PrefixListId": "pl-1", "Entries": {"Entry": [{"Cidr": "10.2.0.0/16"}]}}`, tt.routes}
		if tt.routes == "" {
			files = files[:3]
		}
		v := made(t, files...)
		got := v.Cross(infra.Crossing{Packet: pkt(tt.p), From: n1, To: tt.to})
		require.Equal(t, tt.want, told(got), tt.name)
		for _, one := range got {
			if one.Code != "" {
				require.Contains(t, one.Evidence, "infra/aliyun/", tt.name)
				require.NotEmpty(t, one.Reason)
			}
		}
	}
}

func TestAddresses(t *testing.T) {
	open := rules("normal", "Accept", rule(all))
	on := strings.ReplaceAll(enis, `"SourceDestCheck": false`, `"SourceDestCheck": true`)
	untold := strings.ReplaceAll(enis, `, "SourceDestCheck": false`, "")
	second := infra.Machine{Node: "n1", MAC: "00:16:3e:00:00:1b"}
	for _, tt := range []struct {
		name, enis string
		from       infra.Machine
		p, want    string
		instances  string
	}{
		{"its own primary address", on, n1, "tcp 192.168.0.1 > 192.168.1.2:80", "pass n2", ""},
		{"a pod behind it", on, n1, "tcp 10.1.0.5 > 192.168.1.2:80", "dropped infra/address-not-owned", ""},
		{"a pod behind the other one", on, n1, "tcp 192.168.0.1 > 10.2.0.5:80", "dropped infra/address-not-owned", ""},
		{"the check is off", enis, n1, "tcp 10.1.0.5 > 10.2.0.5:80", "pass n2", ""},
		{"the check is not told, and does not matter", untold, n1, "tcp 192.168.0.1 > 192.168.1.2:80", "pass n2", ""},
		{"the check is not told", untold, n1, "tcp 10.1.0.5 > 192.168.1.2:80", "maybe whether eni-1 checks addresses (SourceDestCheck), of which 10.1.0.5 is none of its own; pass n2", ""},
		{"a secondary address", enis, second, "tcp 192.168.0.12 > 192.168.1.2:80", "pass n2", ""},
		{"an address of an assigned prefix", enis, second, "tcp 192.168.0.70 > 192.168.1.2:80", "pass n2", ""},
		{"the address of the other interface of the instance", enis, second, "tcp 192.168.0.1 > 192.168.1.2:80", "dropped infra/address-not-owned", ""},
		{"the device's address tells the interface, in any case", enis, infra.Machine{Node: "n1", MAC: "00:16:3e:00:00:01"}, "tcp 192.168.0.11 > 192.168.1.2:80", "pass n2", ""},
		{"no device: the interface that has the address", enis, infra.Machine{Node: "n1"}, "tcp 192.168.0.11 > 192.168.1.2:80", "pass n2", ""},
		{"no device, and nobody has the address", enis, infra.Machine{Node: "n1"}, "tcp 10.1.0.5 > 192.168.1.2:80", "maybe which ENI of instance i-1 node n1 sends from; pass n2", ""},
		{"a tunnel has the nodes' addresses", on, n1, "udp 192.168.0.1 > 192.168.1.2:8472", "pass n2", ""},
		{"a public address needs no route", enis, second, "tcp 192.168.0.12 > 198.51.100.1:80", "pass", ""},
		{"the other addresses have none", enis, second, "tcp 192.168.0.11 > 198.51.100.1:80", "no-route infra/route-missing", ""},
		{"that of an instance", enis, n1, "tcp 192.168.0.1 > 198.51.100.1:80", "pass", `{"Instances": {"Instance": [{"InstanceId": "i-1", "EipAddress": {"IpAddress": "47.0.0.2"}, "VpcAttributes": {"PrivateIpAddress": {"IpAddress": ["192.168.0.1"]}}}]}}`},
		{"an instance without one", enis, n1, "tcp 192.168.0.1 > 198.51.100.1:80", "no-route infra/route-missing", `{"Instances": {"Instance": [{"InstanceId": "i-1", "EipAddress": {"IpAddress": ""}, "VpcAttributes": {"PrivateIpAddress": {"IpAddress": ["192.168.0.1"]}}}]}}`},
	} {
		rt := strings.ReplaceAll(routes, "0.0.0.0/0", "203.0.113.0/24") + tt.instances
		got := made(t, tt.enis, vswitches, open, rt).Cross(infra.Crossing{Packet: pkt(tt.p), From: tt.from})
		require.Equal(t, tt.want, told(got), tt.name)
	}
}

// The rows of security groups are packets from n1 to n2, which both are members
// of sg-1.
func TestSecurityGroups(t *testing.T) {
	const node, pod = "tcp 192.168.0.1 > 192.168.1.2:80", "tcp 10.1.0.5 > 10.2.0.5:80"
	const refused, member = "dropped infra/security-group", "maybe whether 10.1.0.5 counts as a member of security group sg-1"
	for _, tt := range []struct {
		name, kind, inner, p, want string
		rules                      []string
	}{
		{"members reach each other", "normal", "Accept", node, "pass n2", nil},
		{"whatever the rules say", "normal", "Accept", node, "pass n2", []string{"Drop in ALL -1/-1 0.0.0.0/0 1", "Drop out ALL -1/-1 0.0.0.0/0 1"}},
		{"unless they are kept apart", "normal", "Drop", node, refused, nil},
		{"then rules may join them", "normal", "Drop", node, "pass n2", []string{"Accept in TCP 80/80 192.168.0.1 1"}},
		{"a pod only lies behind a member", "normal", "Accept", pod, strings.ReplaceAll(member, "10.1.0.5", "10.2.0.5") + "; " + member + "; pass n2", []string{"Drop out ALL -1/-1 10.2.0.0/24 1"}},
		{"which does not matter if a rule lets it in", "normal", "Accept", pod, "pass n2", []string{"Accept in ALL -1/-1 10.0.0.0/8 50"}},
		{"the smaller priority counts", "normal", "Drop", node, "pass n2", []string{"Drop in ALL -1/-1 0.0.0.0/0 2", "Accept in TCP 80/80 0.0.0.0/0 1"}},
		{"of equal ones the one that drops", "normal", "Drop", node, refused, []string{"Accept in TCP 80/80 0.0.0.0/0 1", "Drop in ALL -1/-1 0.0.0.0/0 1"}},
		{"another port", "normal", "Drop", node, refused, []string{"Accept in TCP 81/443 0.0.0.0/0 1"}},
		{"several ranges", "normal", "Drop", node, "pass n2", []string{"Accept in TCP 22/22,79/81 0.0.0.0/0 1"}},
		{"another protocol", "normal", "Drop", node, refused, []string{"Accept in UDP 80/80 0.0.0.0/0 1"}},
		{"lower case", "normal", "Drop", node, "pass n2", []string{"accept in tcp 80/80 0.0.0.0/0 1"}},
		{"another source", "normal", "Drop", node, refused, []string{"Accept in TCP 80/80 192.168.1.0/24 1"}},
		{"a group as source", "normal", "Drop", node, "pass n2", []string{"Accept in TCP 80/80 sg-1 1"}},
		{"another group as source", "normal", "Drop", node, refused, []string{"Accept in TCP 80/80 sg-9 1"}},
		{"a prefix list", "normal", "Drop", node, "pass n2", []string{"Accept in TCP 80/80 pl-1 1"}},
		{"a prefix list without the source", "normal", "Drop", pod, refused, []string{"Accept in TCP 80/80 pl-1 1"}},
		{"a prefix list that was not read", "normal", "Drop", node, "maybe whether the rule Accept TCP 80/80 from pl-2, priority 1 of security group sg-1 is about tcp 192.168.0.1:40000 > 192.168.1.2:80; pass n2", []string{"Accept in TCP 80/80 pl-2 1"}},
		{"a rule that may match does not matter before one that does the same", "normal", "Drop", node, "pass n2", []string{"Accept in TCP 80/80 pl-2 1", "Accept in ALL -1/-1 0.0.0.0/0 2"}},
		{"an echo request", "normal", "Drop", "icmp 192.168.0.1 > 192.168.1.2", "pass n2", []string{"Accept in ICMP -1/-1 0.0.0.0/0 1"}},
		{"IP-in-IP is neither TCP nor UDP", "normal", "Drop", "ipencap 192.168.0.1 > 192.168.1.2", refused, []string{"Accept in TCP 1/65535 0.0.0.0/0 1", "Accept in UDP 1/65535 0.0.0.0/0 1", "Accept in GRE -1/-1 0.0.0.0/0 1", "Accept in ICMP -1/-1 0.0.0.0/0 1"}},
		{"IP-in-IP is all", "normal", "Drop", "ipencap 192.168.0.1 > 192.168.1.2", "pass n2", []string{"Accept in ALL -1/-1 192.168.0.0/16 1"}},
		{"a basic group lets out what no rule names", "normal", "Drop", node, "pass n2", []string{all}},
		{"but not what a rule keeps in", "normal", "Drop", node, refused, []string{all, "Drop out TCP 80/80 192.168.1.0/24 1"}},
		{"an advanced group keeps it in", "enterprise", "Drop", node, refused, []string{all}},
		{"unless a rule lets it out", "enterprise", "Drop", node, "pass n2", []string{all, "Accept out TCP 80/80 192.168.1.0/24 1"}},
		{"basic or advanced is not known", "", "Drop", node, "maybe whether security group sg-1 is basic or advanced (DescribeSecurityGroups); pass n2", []string{all}},
	} {
		var text []string
		for _, r := range tt.rules {
			text = append(text, rule(r))
		}
		lists := `{"PrefixListId": "pl-1", "Entries": {"Entry": [{"Cidr": "192.168.0.0/24"}]}}`
		got := made(t, enis, vswitches, routes, rules(tt.kind, tt.inner, text...)+lists).Cross(infra.Crossing{Packet: pkt(tt.p), From: n1, To: n2})
		require.Equal(t, tt.want, told(got), tt.name)
		for _, v := range got {
			if v.Code != "" {
				require.Contains(t, v.Remedy, "aliyun ecs ", tt.name)
			}
		}
	}
}

// What began may go on, in both directions, and nothing else.
func TestSessions(t *testing.T) {
	v := made(t, enis, vswitches, routes, rules("normal", "Drop", rule("Accept in TCP 80/80 0.0.0.0/0 1"), rule("Accept in ALL 0/0 192.168.0.1 1"), rule("Drop out ALL -1/-1 192.168.0.0/24 1"), rule("Accept in UDP 8472/8472 192.168.0.0/24 1")))
	for _, tt := range []struct{ name, request, reply, want string }{
		{"the answer", "tcp 192.168.0.1 > 192.168.1.2:80", "tcp 192.168.1.2:80 > 192.168.0.1:40000", "pass n1"},
		{"another port", "tcp 192.168.0.1 > 192.168.1.2:80", "tcp 192.168.1.2:81 > 192.168.0.1:40000", "dropped infra/security-group"},
		{"a tunnel's answer is a session of its own", "udp 192.168.0.1:50000 > 192.168.1.2:8472", "udp 192.168.1.2:50000 > 192.168.0.1:8472", "dropped infra/security-group"},
		{"what has no ports: nobody says", "ipencap 192.168.0.1 > 192.168.1.2", "ipencap 192.168.1.2 > 192.168.0.1", "maybe whether the session that eni-2 let begin covers ipencap 192.168.1.2 > 192.168.0.1; maybe whether the session that eni-1 let begin covers ipencap 192.168.1.2 > 192.168.0.1; pass n1"},
	} {
		there := v.Cross(infra.Crossing{Packet: pkt(tt.request), From: n1, To: n2})
		require.Equal(t, "pass n2", told(there), tt.name)
		back := v.Cross(infra.Crossing{Packet: pkt(tt.reply), From: infra.Machine{Node: "n2"}, To: infra.Machine{Node: "n1"}, Flow: there[0].Flow})
		require.Equal(t, tt.want, told(back), tt.name)
	}
}

// From outside only what takes the packet has a say.
func TestFromOutside(t *testing.T) {
	v := made(t, enis, vswitches, routes, rules("normal", "Accept", rule("Accept in TCP 443/443 0.0.0.0/0 1")))
	for p, want := range map[string]string{
		"tcp 198.51.100.1 > 192.168.1.2:443": "pass n2",
		"tcp 198.51.100.1 > 192.168.1.2:80":  "dropped infra/security-group",
		"tcp 192.168.1.9 > 192.168.1.2:80":   "dropped infra/security-group",
		"tcp 192.168.1.77 > 192.168.1.2:80":  "maybe whether 192.168.1.77 counts as a member of security group sg-1; pass n2",
	} {
		require.Equal(t, want, told(v.Cross(infra.Crossing{Packet: pkt(p), To: n2})), p)
	}
}

// Answers about a region tell of VPCs that have the same addresses: they are nobody's here.
func TestOtherVPCs(t *testing.T) {
	const other = `{"NetworkInterfaceSets": {"NetworkInterfaceSet": [{"NetworkInterfaceId": "eni-x", "Type": "Primary", "InstanceId": "i-x", "VpcId": "vpc-x", "VSwitchId": "vsw-x", "PrivateIpAddress": "192.168.1.2", "SecurityGroupIds": {"SecurityGroupId": ["sg-x"]}}]}}
{"SecurityGroupId": "sg-x", "InnerAccessPolicy": "Drop", "Permissions": {"Permission": []}}
{"VSwitches": {"VSwitch": [{"VSwitchId": "vsw-x", "VpcId": "vpc-x", "CidrBlock": "10.2.0.0/25", "RouteTable": {"RouteTableId": "vtb-x"}}]}}
{"Instances": {"Instance": [{"InstanceId": "i-x", "EipAddress": {"IpAddress": "47.0.0.2"}, "VpcAttributes": {"PrivateIpAddress": {"IpAddress": ["192.168.0.1"]}}}]}}
`
	v := made(t, other, enis, vswitches, routes, rules("normal", "Accept", rule(all)))
	for p, want := range map[string]string{"tcp 192.168.0.1 > 192.168.1.2:80": "pass n2", "tcp 10.1.0.5 > 10.2.0.5:80": "pass n2"} {
		require.Equal(t, want, told(v.Cross(infra.Crossing{Packet: pkt(p), From: n1, To: n2})), p)
	}
	require.Empty(t, v.byID("eni-1").public)
	require.Equal(t, "vpc-1", v.Name())
}

// An interface that is attached to nothing takes no packets.
func TestDetached(t *testing.T) {
	enis := strings.Replace(enis, `"Type": "Primary", "Attachment": {"InstanceId": "i-2"}`, `"Type": "Secondary", "Status": "Available", "InstanceId": ""`, 1)
	v := made(t, enis, vswitches, routes, rules("normal", "Accept", rule(all)))
	require.Equal(t, "dropped infra/address-not-owned", told(v.Cross(infra.Crossing{Packet: pkt("tcp 192.168.0.1 > 192.168.1.2:80"), From: n1, To: n2})))
}

// An object that cannot be read may be the one that matters.
func TestUnreadable(t *testing.T) {
	ask := func(p string, files ...string) string {
		w := snapshot.NewWriter(snapshot.Meta{})
		require.NoError(t, w.Add("cluster/nodes.yaml", []byte(nodes)))
		require.NoError(t, w.Add("infra/aliyun/all.json", []byte(strings.Join(files, "\n"))))
		s, err := w.Snapshot()
		require.NoError(t, err)
		u, _, problems := create(infra.Env{Snapshot: s, Cluster: town{}})
		require.Len(t, problems, 1)
		return told(u.Cross(infra.Crossing{Packet: pkt(p), From: n1, To: n2}))
	}
	open := rules("normal", "Accept", rule(all))
	bad := strings.Replace(routes, `"DestinationCidrBlock": "10.2.0.0/24"`, `"DestinationCidrBlock": 10`, 1)
	require.Equal(t, "maybe whether an entry of vtb-1 that is not in the bundle is for 10.2.0.5; pass n2", ask("tcp 10.1.0.5 > 10.2.0.5:80", enis, vswitches, bad, open))
	closed := strings.Replace(rules("normal", "Drop", rule(all)), `"Priority": 1`, `"Priority": "high"`, 1)
	require.Equal(t, "maybe the rules of security group sg-1 of eni-1; maybe the rules of security group sg-1 of eni-2; pass n2", ask("tcp 192.168.0.1 > 192.168.1.2:80", enis, vswitches, routes, closed))
}

// Where only the first page of what is numbered is there, nothing follows from what is not on it.
func TestFirstPage(t *testing.T) {
	first := strings.Replace(enis, "{", `{"PageNumber": 1, "PageSize": 10, "TotalCount": 25, `, 1)
	v := made(t, first, vswitches, routes, rules("normal", "Accept", rule(all)))
	pod := func(ip string) string {
		return told(v.Cross(infra.Crossing{Packet: pkt("tcp 192.168.0.1 > " + ip + ":80"), From: n1, To: n2}))
	}
	require.Equal(t, "maybe whether an ENI that is not in the bundle has 192.168.1.77; pass n2", pod("192.168.1.77"))
	lines := strings.SplitAfter(first, "\n")
	v = made(t, strings.Join(slices.Delete(lines, 3, 4), ""), vswitches, routes, rules("normal", "Drop"))
	require.Equal(t, "maybe which ENI of instance i-2 of node n2 takes packets to 192.168.1.2; pass n2", pod("192.168.1.2"))
}

func TestACL(t *testing.T) {
	acl := strings.Replace(vswitches, `"NetworkAclId": ""`, `"NetworkAclId": "nacl-1"`, 1)
	v := made(t, enis, acl, routes, rules("normal", "Accept", rule(all)))
	require.Equal(t, "maybe what the network ACL nacl-1 of vSwitch vsw-2 does; pass n2", told(v.Cross(infra.Crossing{Packet: pkt("tcp 192.168.0.1 > 192.168.1.2:80"), From: n1, To: n2})))
	require.Equal(t, "pass n1", told(v.Cross(infra.Crossing{Packet: pkt("tcp 192.168.0.1 > 192.168.0.12:80"), From: n1})), "within one vSwitch it does not act")
}

func TestInstanceOf(t *testing.T) {
	for id, want := range map[string]string{
		"cn-hangzhou.i-bp1": "i-bp1", "alicloud://cn-hangzhou.i-bp1": "i-bp1", "us-west-1.i-1": "i-1",
		"aws:///us-east-1a/i-0abc": "", "gce://project/zone/name": "", "azure:///subscriptions/x": "", "kind://docker/kind/node": "", "": "",
		"cn-hangzhou.eni-1": "", "host.i-1": "", "aws://us-east-1.i-1": "", "cn-hangzhou.i-1.more": "",
	} {
		got, ok := InstanceOf(id)
		require.Equal(t, want, got, id)
		require.Equal(t, want != "", ok, id)
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name, file, text string
		found            bool
		saw              string
	}{
		{"providerID", "cluster/nodes.yaml", nodes, true, "providerID cn-hangzhou.i-1 of node n1"},
		{"files", "infra/aliyun/a.json", "{}", true, "infra/aliyun/a.json"},
		{"the first node is elsewhere", "cluster/nodes.yaml", strings.Replace(nodes, "cn-hangzhou.", "aws:///us-east-1a/", 1), true, "of node n2"},
		{"nowhere", "cluster/nodes.yaml", "items: [{metadata: {name: n1}, spec: {providerID: kind://docker/kind/n1}}]", false, "no providerID like"},
		{"nothing", "cluster/pods.yaml", "items: []", false, "no nodes to look at"},
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		require.NoError(t, w.Add(tt.file, []byte(tt.text)))
		s, err := w.Snapshot()
		require.NoError(t, err)
		found, saw := Descriptor().Detect(s)
		require.Equal(t, tt.found, found, tt.name)
		require.Contains(t, saw, tt.saw, tt.name)
	}
}

// What the bundle does not hold is said: files that are broken, pages that are
// missing, kinds of answers that were not asked for.
func TestNotes(t *testing.T) {
	for _, tt := range []struct {
		name     string
		files    []string
		checked  bool
		notes    string
		problems string
	}{
		{"no file", nil, false, "nothing in infra/aliyun/ tells of the VPC", ""},
		{"all of them", []string{enis, vswitches, routes, rules("normal", "Accept")}, true, "", ""},
		{"one kind", []string{routes}, true, "whose addresses ENIs may send from (no DescribeNetworkInterfaces); the rules of the security groups (no DescribeSecurityGroupAttribute)", ""},
		{"nothing that is needed", []string{vswitches}, false, "nothing in infra/aliyun/ tells of the VPC", ""},
		{"a broken file", []string{"{", routes + enis + rules("normal", "Accept")}, true, "", "infra/aliyun/0.json:1: unexpected EOF"},
		{"a missing page", []string{strings.Replace(routes, "{", `{"NextToken": "x", `, 1) + enis + rules("normal", "Accept")}, true, "", "infra/aliyun/0.json:1: another page of DescribeRouteEntryList of vtb-1 follows, and the bundle does not have it"},
		{"a prefix that is none", []string{strings.Replace(routes, "10.1.0.0/24", "10.1.0.0/240", 1) + enis + rules("normal", "Accept")}, true, "", "infra/aliyun/0.json:2: netip.ParsePrefix"},
		{"an address that is none", []string{strings.Replace(enis, "192.168.1.9", "here", 1) + routes + rules("normal", "Accept")}, true, "", `infra/aliyun/0.json:5: ParseAddr("here")`},
	} {
		w := snapshot.NewWriter(snapshot.Meta{})
		for i, text := range tt.files {
			require.NoError(t, w.Add(fmt.Sprintf("infra/aliyun/%d.json", i), []byte(text)))
		}
		s, err := w.Snapshot()
		require.NoError(t, err)
		u, notes, problems := create(infra.Env{Snapshot: s, Cluster: town{}})
		require.Equal(t, tt.checked, u != nil, tt.name)
		require.Equal(t, tt.notes, strings.Join(notes, "; "), tt.name)
		if tt.problems == "" {
			require.Empty(t, problems, tt.name)
			continue
		}
		require.Len(t, problems, 1, tt.name)
		require.ErrorContains(t, problems[0], tt.problems, tt.name)
	}
}

// What is to be pasted puts the right entry in the place of the wrong one, or
// beside a larger one.
func TestRemedies(t *testing.T) {
	const right = "aliyun vpc CreateRouteEntry --RouteTableId vtb-1 --DestinationCidrBlock 10.2.0.0/24 --NextHopType Instance --NextHopId i-2"
	for _, tt := range []struct{ old, with, want string }{
		{`"i-2"`, `"i-9"`, "aliyun vpc DeleteRouteEntry --RouteTableId vtb-1 --DestinationCidrBlock 10.2.0.0/24 --NextHopId i-9 && " + right},
		{`"10.2.0.0/24"`, `"10.9.0.0/24"`, right},
		{`"10.2.0.0/24", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "Instance", "NextHopId": "i-2"}]}}`,
			`"10.0.0.0/8", "Status": "Available", "NextHops": {"NextHop": [{"NextHopType": "Instance", "NextHopId": "i-9"}]}}`, right},
	} {
		require.Contains(t, routes, tt.old)
		v := made(t, enis, vswitches, rules("normal", "Accept", rule(all)), strings.Replace(routes, tt.old, tt.with, 1))
		got := v.Cross(infra.Crossing{Packet: pkt("tcp 10.1.0.5 > 10.2.0.5:80"), From: n1, To: n2})
		require.Equal(t, tt.want, got[0].Remedy, tt.with)
	}
}
