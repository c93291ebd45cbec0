package rawimport

import (
	"encoding/binary"
	"net/netip"
	"strconv"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A rawTunnelData is the part of info_data that tunnels print, VXLAN among
// them.
type rawTunnelData struct {
	TOS       word     `json:"tos"`
	RSC       flag     `json:"rsc"`
	GBP       flag     `json:"gbp"`
	GPE       flag     `json:"gpe"`
	VNIFilter flag     `json:"vnifilter"`
	Bypass    flag     `json:"localbypass"`
	NoCsum6Tx flag     `json:"udp_zero_csum6_tx"`
	NoCsum6Rx flag     `json:"udp_zero_csum6_rx"`
	Proto     string   `json:"proto"`
	IgnoreDF  flag     `json:"ignore_df"`
	IKey      word     `json:"ikey"`
	OKey      word     `json:"okey"`
	ISeq      flag     `json:"iseq"`
	OSeq      flag     `json:"oseq"`
	ICsum     flag     `json:"icsum"`
	OCsum     flag     `json:"ocsum"`
	FWMark    word     `json:"fwmark"`
	NoLimit   flag     `json:"ip6_tnl_f_ign_encap_limit"`
	Encap     rawEncap `json:"encap"`
	Prefix    string   `json:"prefix"` // of 6rd
	PrefixLen number   `json:"prefixlen"`
}

// A rawEncap is what ip prints about a UDP header around a tunnel.
type rawEncap struct {
	Type string `json:"type"`
}

// convertVXLAN reads the info_data of a VXLAN device.
func convertVXLAN(d *rawLinkData) *nodedump.VXLAN {
	v := &nodedump.VXLAN{
		ID: int(d.ID), Local: d.Local, Local6: d.Local6, Port: int(d.Port), TTL: ttl(d.TTL),
		NoLearning: !d.Learning.orElse(!d.NoLearning.on), Proxy: d.Proxy.on, L2Miss: d.L2Miss.on, L3Miss: d.L3Miss.on,
		External: d.External.on, UDPCsum: d.UDPCsum.on, DF: d.DF, TTLInherit: d.TTL == "inherit", TOS: tos(d.TOS), RSC: d.RSC.on,
		GBP: d.GBP.on, GPE: d.GPE.on, VNIFilter: d.VNIFilter.on, NoBypass: !d.Bypass.orElse(true), NoCsum6Tx: d.NoCsum6Tx.on, NoCsum6Rx: d.NoCsum6Rx.on,
	}
	for _, group := range []string{d.Group, d.Group6, d.Remote, d.Remote6} {
		if v.Group == "" {
			v.Group = group
		}
	}
	if v.Port == 0 {
		v.Port = int(d.DstPort)
	}
	return v
}

// convertTunnel reads the info_data of any other tunnel.
func convertTunnel(d *rawLinkData) *nodedump.Tunnel {
	t := &nodedump.Tunnel{
		Local: d.Local, Remote: d.Remote, TTL: ttl(d.TTL), External: d.External.on,
		NoPMTU: !d.PMTUDisc.orElse(!d.NoPMTUDisc.on),
		Proto:  d.Proto, TOS: tos(d.TOS), IgnoreDF: d.IgnoreDF.on, IKey: key(d.IKey), OKey: key(d.OKey), ISeq: d.ISeq.on, OSeq: d.OSeq.on,
		ICsum: d.ICsum.on, OCsum: d.OCsum.on, NoLimit: d.NoLimit.on, Encap: d.Encap.Type, ID: int(d.ID), Port: int(d.Port), DF: d.DF,
	}
	if t.Remote == "" {
		t.Remote = d.Remote6
	}
	if mark, err := strconv.ParseUint(string(d.FWMark), 0, 32); err == nil {
		t.FWMark = uint32(mark)
	}
	if d.Prefix != "" {
		t.Relay = d.Prefix + "/" + strconv.Itoa(int(d.PrefixLen))
	}
	for _, s := range []*string{&t.Local, &t.Remote} {
		if *s == "any" || *s == "0.0.0.0" || *s == "::" {
			*s = ""
		}
	}
	return t
}

// ttl is 0 for "inherit" and "auto".
func ttl(w word) int {
	n, err := strconv.ParseUint(string(w), 10, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

// tos reads a number in hex or decimal; "inherit" is 1.
func tos(w word) int {
	if w == "inherit" {
		return 1
	}
	n, err := strconv.ParseUint(string(w), 0, 8)
	if err != nil {
		return 0
	}
	return int(n)
}

// key reads a GRE key, which is printed as an IPv4 address; nil if there is
// none.
func key(w word) *uint32 {
	if w == "" {
		return nil
	}
	var k uint32
	if a, err := netip.ParseAddr(string(w)); err == nil && a.Is4() {
		k = binary.BigEndian.Uint32(a.AsSlice())
		return &k
	}
	n, err := strconv.ParseUint(string(w), 0, 32)
	if err != nil {
		return nil
	}
	k = uint32(n)
	return &k
}
