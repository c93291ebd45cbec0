package report

import (
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

const (
	n1 = "nodes/node1/netns/host/"
	n2 = "nodes/node2/netns/host/"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func pod(id string) model.Hop  { return model.Hop{Type: model.NetNodeTypePod, ID: id} }
func node(id string) model.Hop { return model.Hop{Type: model.NetNodeTypeNode, ID: id} }

// pkt reads "tcp 10.0.0.1:1 > 10.0.0.2:80".
func pkt(s string) model.Packet {
	f := strings.Fields(s)
	return model.Packet{Protocol: model.Protocol(f[0]), Src: ap(f[1]), Dst: ap(f[3])}
}

func reply(s string) model.Packet {
	p := pkt(s)
	p.Kind = model.KindReply
	return p
}

func vxlan(src, dst string, inner model.Packet) model.Packet {
	return model.Packet{Protocol: model.UDP, Src: ap(src + ":47211"), Dst: ap(dst + ":8472"), VNI: 1, Encap: &inner}
}

// step reads "where | rule | action | evidence".
func step(s string) model.Step {
	f := strings.Split(s, "|")
	for i := range f {
		f[i] = strings.TrimSpace(f[i])
	}
	return model.Step{Where: f[0], Rule: f[1], Action: f[2], Evidence: f[3]}
}

func steps(all ...string) (out []model.Step) {
	for _, s := range all {
		out = append(out, step(s))
	}
	return out
}

func names(a netip.Addr) string {
	return map[string]string{
		"10.244.0.5": "pod demo/a", "10.244.1.7": "pod demo/b", "10.244.1.8": "pod demo/c", "10.244.0.9": "pod demo/d",
		"10.96.10.1": "svc demo/web", "172.18.0.2": "node node1", "172.18.0.3": "node node2",
	}[a.String()]
}

func hosts(h model.Hop) string {
	return map[string]string{"demo/a": "node1", "demo/d": "node1", "demo/b": "node2", "demo/c": "node2",
		longPod: "node1", longServer: "ip-10-0-143-27.eu-central-1.compute.internal"}[h.ID]
}

func question() *Diagnosis {
	return &Diagnosis{
		Source:      model.Endpoint{Type: model.EndpointTypePod, Name: "demo/a", IP: netip.MustParseAddr("10.244.0.5")},
		Destination: model.Endpoint{Type: model.EndpointTypeService, Name: "demo/web", IP: netip.MustParseAddr("10.96.10.1"), Port: 80},
		Protocol:    model.TCP, Plugin: "flannel", Networks: []Network{{Plugin: "flannel", CNI: "flannel", Evidence: "DaemonSet kube-flannel/kube-flannel-ds"}}, ProxyMode: "iptables",
		Names: names, Host: hosts,
	}
}

var (
	asked    = pkt("tcp 10.244.0.5:40000 > 10.96.10.1:80")
	toB      = pkt("tcp 10.244.0.5:40000 > 10.244.1.7:8080")
	answered = reply("tcp 10.244.1.7:8080 > 10.244.0.5:40000")
)

func client() Hop {
	return Hop{At: pod("demo/a"), OIf: "eth0", In: asked, Out: asked, Steps: steps(
		"route | default via 10.244.0.1 dev eth0 | unicast dev eth0 via 10.244.0.1 | nodes/node1/netns/demo_a/netns.json:61",
		"neigh | 10.244.0.1 dev eth0 lladdr 3a:1f:00:00:00:01 REACHABLE | to 3a:1f:00:00:00:01 | nodes/node1/netns/demo_a/netns.json:88")}
}

func translating() Hop {
	return Hop{At: node("node1"), IIf: "veth0a1b2c3d", OIf: "eth0", In: asked, Out: vxlan("172.18.0.2", "172.18.0.3", toB), Steps: steps(
		"bridge cni0 | | in by port veth0a1b2c3d | "+n1+"netns.json:40",
		"nat/PREROUTING | -A PREROUTING -j KUBE-SERVICES | jump KUBE-SERVICES | "+n1+"iptables-save.txt:12",
		"nat/KUBE-SERVICES | -A KUBE-SERVICES -d 10.96.10.1/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB | jump KUBE-SVC-WEB | "+n1+"iptables-save.txt:31",
		"nat/KUBE-SVC-WEB | -A KUBE-SVC-WEB -j KUBE-SEP-B | jump KUBE-SEP-B | "+n1+"iptables-save.txt:44",
		"nat/KUBE-SEP-B | -A KUBE-SEP-B -p tcp -j DNAT --to-destination 10.244.1.7:8080 | dnat to 10.244.1.7:8080 | "+n1+"iptables-save.txt:52",
		"nat/PREROUTING | | dnat 10.96.10.1:80 -> 10.244.1.7:8080 | ",
		"route | 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink | unicast dev flannel.1 via 10.244.1.0 | "+n1+"netns.json:120",
		"filter/FORWARD | -A FORWARD -j FLANNEL-FWD | jump FLANNEL-FWD | "+n1+"iptables-save.txt:80",
		"filter/FLANNEL-FWD | -A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT | accept | "+n1+"iptables-save.txt:84",
		"neigh | 10.244.1.0 dev flannel.1 lladdr 5e:02:00:00:00:02 PERMANENT | to 5e:02:00:00:00:02 | "+n1+"netns.json:150",
		"vxlan flannel.1 | 5e:02:00:00:00:02 dev flannel.1 dst 172.18.0.3 | encapsulate to 172.18.0.3 vni 1 | "+n1+"netns.json:170",
		"route | 172.18.0.0/16 dev eth0 | outer: unicast dev eth0 | "+n1+"netns.json:121",
		"device | | out eth0 | "+n1+"netns.json:12")}
}

func receiving() Hop {
	return Hop{At: node("node2"), IIf: "eth0", OIf: "veth77aa88bb", In: vxlan("172.18.0.2", "172.18.0.3", toB), Out: toB, Steps: steps(
		"route | local 172.18.0.3 dev eth0 table local | local dev eth0 | "+n2+"netns.json:90",
		"vxlan flannel.1 | | decapsulate vni 1 from 172.18.0.2 | "+n2+"netns.json:30",
		"route | 10.244.1.0/24 dev cni0 | unicast dev cni0 | "+n2+"netns.json:99",
		"filter/FORWARD | -A FORWARD -j FLANNEL-FWD | jump FLANNEL-FWD | "+n2+"iptables-save.txt:80",
		"filter/FLANNEL-FWD | -A FLANNEL-FWD -s 10.244.0.0/16 -j ACCEPT | accept | "+n2+"iptables-save.txt:84",
		"bridge cni0 | | out by port veth77aa88bb | "+n2+"netns.json:130")}
}

func server() Hop {
	return Hop{At: pod("demo/b"), IIf: "eth0", In: toB, Steps: steps(
		"route | local 10.244.1.7 dev eth0 table local | local dev eth0 | nodes/node2/netns/demo_b/netns.json:55",
		"socket | tcp *:8080 | delivered to *:8080 | nodes/node2/netns/demo_b/netns.json:70")}
}

func wayBack() Direction {
	translated := reply("tcp 10.96.10.1:80 > 10.244.0.5:40000")
	return Direction{Kind: model.KindReply, Disposition: model.Delivered, At: pod("demo/a"), Hops: []Hop{
		{At: pod("demo/b"), OIf: "eth0", In: answered, Out: answered, Steps: steps("route | default via 10.244.1.1 dev eth0 | unicast dev eth0 via 10.244.1.1 | nodes/node2/netns/demo_b/netns.json:57")},
		{At: node("node2"), IIf: "veth77aa88bb", OIf: "eth0", In: answered, Out: vxlan("172.18.0.3", "172.18.0.2", answered), Steps: steps(
			"bridge cni0 | | in by port veth77aa88bb | "+n2+"netns.json:40",
			"route | 10.244.0.0/24 via 10.244.0.0 dev flannel.1 onlink | unicast dev flannel.1 via 10.244.0.0 | "+n2+"netns.json:98",
			"vxlan flannel.1 | 5e:01:00:00:00:01 dev flannel.1 dst 172.18.0.2 | encapsulate to 172.18.0.2 vni 1 | "+n2+"netns.json:171")},
		{At: node("node1"), IIf: "eth0", OIf: "veth0a1b2c3d", In: vxlan("172.18.0.3", "172.18.0.2", answered), Out: translated, Steps: steps(
			"vxlan flannel.1 | | decapsulate vni 1 from 172.18.0.3 | "+n1+"netns.json:30",
			"nat/PREROUTING | | snat 10.244.1.7:8080 -> 10.96.10.1:80 | ",
			"route | 10.244.0.0/24 dev cni0 | unicast dev cni0 | "+n1+"netns.json:118",
			"bridge cni0 | | out by port veth0a1b2c3d | "+n1+"netns.json:131")},
		{At: pod("demo/a"), IIf: "eth0", In: translated},
	}}
}

func healthy() *Diagnosis {
	d := question()
	d.Outcome = model.OutcomeReached
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeReached,
		Request: Direction{Disposition: model.Delivered, At: pod("demo/b"), Hops: []Hop{client(), translating(), receiving(), server()}},
		Reply:   wayBack()}}
	return d
}

const dropRule = "-A FORWARD -d 10.244.1.0/24 -m comment --comment \"maintenance window\" -j DROP"

// dropped ends in the filter table of node2.
func dropped() *Diagnosis {
	d := question()
	d.Outcome = model.OutcomeTimeout
	at := receiving()
	at.OIf, at.Out = "", model.Packet{}
	at.Steps = append(at.Steps[:3:3], step("filter/FORWARD | "+dropRule+" | drop | "+n2+"iptables-save.txt:79"),
		step("end | | dropped: rule 1 of filter/FORWARD drops the packet | "+n2+"iptables-save.txt:79"))
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeTimeout, Request: Direction{
		Disposition: model.Dropped, At: node("node2"), Reason: "rule 1 of filter/FORWARD drops the packet", Evidence: n2 + "iptables-save.txt:79",
		Hops: []Hop{client(), translating(), at}}}}
	d.Suspicions = []model.Suspicion{
		{Level: model.SuspicionLevelFatal, Code: "netfilter/drop", On: node("node2"), Message: "rule 1 of filter/FORWARD drops the packet",
			Evidence: n2 + "iptables-save.txt:79", Remedy: "iptables -t filter -D FORWARD -d 10.244.1.0/24 -m comment --comment \"maintenance window\" -j DROP"},
		{Level: model.SuspicionLevelWarning, Code: "sysctl/rp-filter", On: node("node1"), Message: "rp_filter of eth0 is strict, and the route back to 10.244.1.0/24 leaves by flannel.1",
			Evidence: n1 + "netns.json:210", Remedy: "sysctl -w net.ipv4.conf.eth0.rp_filter=2"},
	}
	d.Path = &model.PacketPath{Links: []*model.Link{{Intended: true, Source: &model.NetNode{Hop: node("node2")}, Destination: &model.NetNode{Hop: pod("demo/b")},
		SourceAttribute: model.LinkAttribute{Interface: "cni0"}}}}
	return d
}

// mixed has three endpoints: one remote and healthy, one local and healthy,
// one dead.
func mixed() *Diagnosis {
	d := healthy()
	d.Outcome = model.OutcomeMixed
	d.Branches[0].Share = 1.0 / 3
	toD, toC := pkt("tcp 10.244.0.5:40000 > 10.244.0.9:8080"), pkt("tcp 10.244.0.5:40000 > 10.244.1.8:8080")
	local := translating()
	local.OIf, local.Out = "vethdd00", toD
	local.Steps = append(local.Steps[:3:3], steps(
		"nat/KUBE-SVC-WEB | -A KUBE-SVC-WEB -m statistic --mode random --probability 0.5 -j KUBE-SEP-D | jump KUBE-SEP-D | "+n1+"iptables-save.txt:45",
		"nat/KUBE-SEP-D | -A KUBE-SEP-D -p tcp -j DNAT --to-destination 10.244.0.9:8080 | dnat to 10.244.0.9:8080 | "+n1+"iptables-save.txt:55",
		"route | 10.244.0.0/24 dev cni0 | unicast dev cni0 | "+n1+"netns.json:118")...)
	back := reply("tcp 10.244.0.9:8080 > 10.244.0.5:40000")
	un := reply("tcp 10.96.10.1:80 > 10.244.0.5:40000")
	d.Branches = append(d.Branches, Branch{Share: 1.0 / 3, Outcome: model.OutcomeReached,
		Request: Direction{Disposition: model.Delivered, At: pod("demo/d"), Hops: []Hop{client(), local, {At: pod("demo/d"), IIf: "eth0", In: toD}}},
		Reply: Direction{Kind: model.KindReply, Disposition: model.Delivered, At: pod("demo/a"), Hops: []Hop{
			{At: pod("demo/d"), OIf: "eth0", In: back, Out: back},
			{At: node("node1"), IIf: "vethdd00", OIf: "veth0a1b2c3d", In: back, Out: un, Steps: steps("bridge cni0 | | in by port vethdd00 | ", "route | 10.244.0.0/24 dev cni0 | unicast dev cni0 | ", "bridge cni0 | | out by port veth0a1b2c3d | ")},
			{At: pod("demo/a"), IIf: "eth0", In: un}}}})
	dead := translating()
	dead.Out = vxlan("172.18.0.2", "172.18.0.3", toC)
	dead.Steps[5].Action = "dnat 10.96.10.1:80 -> 10.244.1.8:8080"
	dead.Steps[4] = step("nat/KUBE-SEP-C | -A KUBE-SEP-C -p tcp -j DNAT --to-destination 10.244.1.8:8080 | dnat to 10.244.1.8:8080 | " + n1 + "iptables-save.txt:58")
	lost := receiving()
	lost.In, lost.Out, lost.OIf = vxlan("172.18.0.2", "172.18.0.3", toC), model.Packet{}, ""
	lost.Steps[5] = step("neigh | 10.244.1.8 dev cni0 FAILED | failed | " + n2 + "netns.json:140")
	d.Branches = append(d.Branches, Branch{Share: 1.0 / 3, Outcome: model.OutcomeUnreachable, Request: Direction{
		Disposition: model.NeighborUnreachable, At: node("node2"), Reason: "nobody on cni0 answers for 10.244.1.8", Evidence: n2 + "netns.json:140",
		Hops: []Hop{client(), dead, lost}}})
	d.Suspicions = []model.Suspicion{{Level: model.SuspicionLevelCritical, Code: "service/stale-endpoint", On: node("node1"),
		Message: "node1 sends demo/web:80 to 10.244.1.8:8080, which is not an endpoint of it", Evidence: n1 + "iptables-save.txt:58", Remedy: "Restart kube-proxy on node1."}}
	return d
}

// routeless lacks flannel's route to node2 on node1.
func routeless() *Diagnosis {
	d := question()
	d.Outcome = model.OutcomeUnreachable
	at := translating()
	at.OIf, at.Out = "", model.Packet{}
	at.Steps = append(at.Steps[:6:6], step("route | | none | "+n1+"netns.json:110"))
	notice := model.Packet{Protocol: model.ICMP, Kind: model.KindError, ICMPType: 3, Src: ap("10.244.0.1:0"), Dst: ap("10.244.0.5:0"), About: &asked}
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeUnreachable,
		Request: Direction{Disposition: model.NoRoute, At: node("node1"), Reason: "no route to 10.244.1.7", Evidence: n1 + "netns.json:110", Hops: []Hop{client(), at}},
		Reply: Direction{Kind: model.KindError, Disposition: model.Delivered, At: pod("demo/a"), Hops: []Hop{
			{At: node("node1"), OIf: "veth0a1b2c3d", In: notice, Out: notice, Steps: steps("route | 10.244.0.0/24 dev cni0 | unicast dev cni0 | ", "bridge cni0 | | out by port veth0a1b2c3d | ")},
			{At: pod("demo/a"), IIf: "eth0", In: notice}}}}}
	d.Suspicions = []model.Suspicion{{Level: model.SuspicionLevelFatal, Code: "route/missing", On: node("node1"),
		Message:  "flannel's route 10.244.1.0/24 via 10.244.1.0 dev flannel.1 is missing",
		Evidence: n1 + "netns.json:110", Remedy: "ip route add 10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink, or restart kube-flannel on node1"}}
	d.Path = &model.PacketPath{Links: []*model.Link{{Intended: true, Source: &model.NetNode{Hop: node("node1")}, Destination: &model.NetNode{Hop: node("node2")},
		SourceAttribute: model.LinkAttribute{Interface: "flannel.1"}}}}
	return d
}

// unknown meets a rule that is not understood.
func unknown() *Diagnosis {
	d := question()
	d.Outcome = model.OutcomeUnknown
	at := translating()
	at.OIf, at.Out = "", model.Packet{}
	at.Steps = append(at.Steps[:6:6], step("mangle/FORWARD | -A FORWARD -m bpf --object-pinned /sys/fs/bpf/guard -j NFQUEUE | queue to a program | "+n1+"iptables-save.txt:7"))
	doubt := model.Doubt{What: "the program behind NFQUEUE 0 decides about the packet", Evidence: n1 + "iptables-save.txt:7"}
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeUnknown, Doubts: []model.Doubt{doubt}, Request: Direction{
		Disposition: model.Unknown, At: node("node1"), Reason: doubt.What, Evidence: doubt.Evidence, Hops: []Hop{client(), at}}}}
	d.Unknowns = []model.Doubt{doubt, {What: "conntrack was not collected: taken as empty", Evidence: n1 + "conntrack.txt"}}
	return d
}

const (
	longPod    = "payments-production-eu-central/checkout-orchestrator-frontend-7c9f4d7b68-xk2zq"
	longServer = "payments-production-eu-central/ledger-append-only-writer-statefulset-shard-0042-0"
)

// refused has long names, four suspicions at one place, and a reset whose way
// back is lost.
func refused() *Diagnosis {
	d := question()
	far := "ip-10-0-143-27.eu-central-1.compute.internal"
	d.Source.Name, d.Destination = longPod, model.Endpoint{Type: model.EndpointTypePod, Name: longServer, IP: netip.MustParseAddr("10.244.1.7"), Port: 8080}
	d.Outcome = model.OutcomeTimeout
	src, via, in, dst := client(), translating(), receiving(), server()
	src.At, src.In, src.Out = pod(longPod), toB, toB
	via.In, via.Steps = toB, append(via.Steps[:1:1], via.Steps[6:]...)
	in.At, dst.At = node(far), pod(longServer)
	dst.Steps = steps("route | local 10.244.1.7 dev eth0 table local | local dev eth0 | nodes/x/netns.json:1", "socket | | no listener on 10.244.1.7:8080 | nodes/x/netns.json:70")
	rst := answered
	rst.Kind = model.KindReset
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeTimeout,
		Request: Direction{Disposition: model.NoListener, At: pod(longServer), Reason: "nobody listens on tcp port 8080", Evidence: "nodes/x/netns.json:70", Hops: []Hop{src, via, in, dst}},
		Reply: Direction{Kind: model.KindReset, Disposition: model.Dropped, At: node(far), Reason: "rp_filter of veth77aa88bb is strict and the route back to 10.244.1.7 leaves by another device", Evidence: n2 + "netns.json:222",
			Hops: []Hop{{At: pod(longServer), OIf: "eth0", In: rst, Out: rst}, {At: node(far), IIf: "veth77aa88bb", In: rst, Steps: steps("rp_filter | net.ipv4.conf.all.rp_filter=1 | drop | " + n2 + "netns.json:222")}}}}}
	for _, s := range []string{"sysctl/rp-filter", "route/diverted", "mtu/too-small", "fdb/wrong"} {
		d.Suspicions = append(d.Suspicions, model.Suspicion{Level: model.SuspicionLevelFatal, Code: s, On: node(far), Evidence: n2 + "netns.json:222",
			Message: "rp_filter of veth77aa88bb is strict (1) and the route back to 10.244.1.7 leaves by eth0 instead of the device that the packet came in by", Remedy: "sysctl -w net.ipv4.conf.veth77aa88bb.rp_filter=2"})
	}
	return d
}
