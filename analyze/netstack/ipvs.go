package netstack

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// virtual ends the journey of a packet that IPVS takes between INPUT and the
// socket, to send it on to one of its real servers (ip_vs_in_hook at LOCAL_IN):
// which, and how, is not modelled.
func (r *run) virtual() bool {
	p, part := r.f.Packet, r.ns.Info.IPVS
	if p.Kind != model.KindOpen || p.Encap != nil {
		return false
	}
	if !part.Status.Known() {
		dev, ok := r.ns.FIB.DeviceOwning(p.Dst.Addr())
		if !ok || dev.Name != proxyDevice {
			return false
		}
		r.unknown("where IPVS sends the packet: ipvs is "+statusText(part), part.File)
		return true
	}
	n := 0
	for line := range strings.Lines(string(part.Data)) {
		n++
		if serves(strings.Fields(strings.Trim(strings.TrimSpace(line), `",`)), p) {
			r.unknown("where IPVS sends the packet: its servers are not modelled", fmt.Sprintf("%s:%d", part.File, n))
			return true
		}
	}
	return false
}

// proxyDevice is where kube-proxy puts the addresses that IPVS serves.
const proxyDevice = "kube-ipvs0"

// serves reports whether a line of ipvsadm-save adds the virtual server that a
// packet goes to: "-A -t 10.96.0.1:443 -s rr". Port 0 is every port, and "-f"
// names a mark (ip_vs_service_find).
func serves(words []string, p model.Packet) bool {
	if len(words) < 3 || words[0] != "-A" {
		return false
	}
	if words[1] == "-f" {
		mark, err := strconv.ParseUint(words[2], 10, 32)
		return err == nil && uint32(mark) == p.Mark
	}
	proto := map[string]model.Protocol{"-t": model.TCP, "-u": model.UDP, "--sctp-service": model.SCTP}[words[1]]
	at, err := netip.ParseAddrPort(words[2])
	return err == nil && proto == p.Protocol && at.Addr() == p.Dst.Addr() && (at.Port() == 0 || at.Port() == p.Dst.Port())
}
