package report

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// hairpin asks its own Service and is its endpoint.
func hairpin() *Diagnosis {
	d := question()
	d.Outcome = model.OutcomeTimeout
	at := translating()
	at.OIf, at.Out = "", model.Packet{}
	at.Steps = append(at.Steps[:4:4], steps(
		"nat/KUBE-SEP-A | -A KUBE-SEP-A -p tcp -j DNAT --to-destination 10.244.0.5:8080 | dnat to 10.244.0.5:8080 | "+n1+"iptables-save.txt:50",
		"route | 10.244.0.0/24 dev cni0 | bridged on after dnat | "+n1+"netns.json:118",
		"bridge cni0 | | out by port veth0a1b2c3d | "+n1+"netns.json:131",
		"end | | dropped: hairpin mode is off | "+n1+"netns.json:131")...)
	why := "the frame must leave cni0 by port veth0a1b2c3d, where it came in, and hairpin mode is off"
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeTimeout, Request: Direction{
		Disposition: model.Dropped, At: node("node1"), Reason: why, Evidence: n1 + "netns.json:131", Hops: []Hop{client(), at}}}}
	d.Suspicions = []model.Suspicion{{Level: model.SuspicionLevelFatal, Code: "bridge/hairpin", On: node("node1"), Message: why,
		Evidence: n1 + "netns.json:131", Remedy: "bridge link set dev veth0a1b2c3d hairpin on"}}
	d.Path = &model.PacketPath{Links: []*model.Link{{Intended: true, Source: &model.NetNode{Hop: node("node1")}, Destination: &model.NetNode{Hop: pod("demo/a")},
		SourceAttribute: model.LinkAttribute{Interface: "veth0a1b2c3d"}}}}
	return d
}

// outside leaves the cluster behind its node's address.
func outside() *Diagnosis {
	d := question()
	d.Outcome, d.Protocol = model.OutcomeReached, model.UDP
	d.Destination = model.Endpoint{Type: model.EndpointTypeExternal, IP: netip.MustParseAddr("198.51.100.7"), Port: 53}
	p, masked := pkt("udp 10.244.0.5:40000 > 198.51.100.7:53"), pkt("udp 172.18.0.2:40000 > 198.51.100.7:53")
	src := client()
	src.In, src.Out = p, p
	d.Branches = []Branch{{Share: 1, Outcome: model.OutcomeReached, Request: Direction{Disposition: model.ExitsCluster, At: node("node1"),
		Reason: "nobody in the bundle owns 198.51.100.7",
		Hops: []Hop{src, {At: node("node1"), IIf: "veth0a1b2c3d", OIf: "eth0", In: p, Out: masked, Steps: steps(
			"bridge cni0 | | in by port veth0a1b2c3d | ",
			"route | default via 172.18.0.1 dev eth0 | unicast dev eth0 via 172.18.0.1 | "+n1+"netns.json:100",
			"nat/FLANNEL-POSTRTG | -A FLANNEL-POSTRTG -s 10.244.0.0/16 ! -d 224.0.0.0/4 -j MASQUERADE --random-fully | masquerade to 172.18.0.2:40000 | "+n1+"iptables-save.txt:66",
			"nat/POSTROUTING | | snat 10.244.0.5:40000 -> 172.18.0.2:40000 | ")}}}}}
	return d
}

// crowd has many endpoints, of which one is dead.
func crowd() *Diagnosis {
	d := mixed()
	good, bad := d.Branches[1], d.Branches[2]
	d.Branches = nil
	for i := range 40 {
		b := good
		hops := append([]Hop(nil), b.Request.Hops...)
		id := fmt.Sprintf("demo/web-%02d", i)
		hops[2].At = pod(id)
		b.Request.Hops, b.Request.At, b.Share = hops, pod(id), 1.0/41
		d.Branches = append(d.Branches, b)
	}
	bad.Share = 1.0 / 41
	d.Branches = append(d.Branches, bad)
	return d
}

// hostile has names that no cluster would give, as a forged bundle may.
func hostile() *Diagnosis {
	d := dropped()
	evil := "<b>\"x\\\"]; \x00\x1b[31m\xff\n&amp;</table>" + strings.Repeat("w", 3000)
	d.Source.Name = evil
	d.Suspicions[0].Message = evil
	d.Suspicions[1].Message, d.Suspicions[1].Code, d.Suspicions[1].Remedy = "", "", "<"
	for i := range d.Branches[0].Request.Hops {
		h := &d.Branches[0].Request.Hops[i]
		h.At.ID, h.OIf = evil+h.At.ID, "<dev>\""+h.OIf
		for j := range h.Steps {
			h.Steps[j].Action, h.Steps[j].Where = h.Steps[j].Action+evil, h.Steps[j].Where+"\n"
		}
	}
	d.Branches[0].Request.Reason = evil
	return d
}
