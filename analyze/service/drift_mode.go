package service

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A reading is what one text, or several, show of kube-proxy in one mode.
type reading struct {
	mode   string
	name   string            // "mode iptables (legacy)"
	at     kuberules.At      // the text as a whole
	v4, v6 *kuberules.Family // nil if there is none of it
	server *kuberules.Server // of the mode ipvs
	size   int               // how many frontends there are
}

// readings returns what a node shows of kube-proxy, the most telling first.
func (r *Drifter) readings(info *nodedump.NetNSInfo) (list []reading) {
	for _, r := range []reading{
		r.iptables(info.IPTables, info.IP6Tables, kuberules.IPTables, "mode iptables"),
		r.iptables(info.IPTablesLegacy, info.IP6TablesLegacy, kuberules.IPTablesLegacy, "mode iptables, in iptables-legacy,"),
		nftables(info),
		r.k.virtual(info),
	} {
		if r.v4 != nil || r.v6 != nil {
			list = append(list, r)
		}
	}
	return list
}

func (r *Drifter) iptables(v4, v6 nodedump.Part, text kuberules.Text, name string) reading {
	out := reading{mode: ModeIPTables, name: name, at: kuberules.At{Text: text}, v4: r.read(v4.Data, text), v6: r.read(v6.Data, text+2)}
	out.size = size(out.v4) + size(out.v6)
	return out
}

// read reads the output of iptables-save, unless it is one of the last that
// were read.
func (r *Drifter) read(data []byte, text kuberules.Text) *kuberules.Family {
	if len(data) == 0 {
		return nil
	}
	for _, before := range r.last {
		if before.text == text && bytes.Equal(before.data, data) {
			return before.family
		}
	}
	family, _ := kuberules.ReadIPTables(data, text)
	r.last[r.next] = readText{text, data, family}
	r.next = (r.next + 1) % len(r.last)
	return family
}

func nftables(info *nodedump.NetNSInfo) reading {
	r := reading{mode: ModeNFTables, name: "mode nftables", at: kuberules.At{Text: kuberules.NFT}}
	r.v4, _ = kuberules.ReadNFTables(info.NFT.Data, "ip")
	r.v6, _ = kuberules.ReadNFTables(info.NFT.Data, "ip6")
	r.size = size(r.v4) + size(r.v6)
	return r
}

// virtual reads what the mode ipvs has made. Virtual servers may be another
// program's, unless the device of kube-proxy or its configuration tells.
func (k *KubeProxyServiceProcessor) virtual(info *nodedump.NetNSInfo) reading {
	r := reading{mode: ModeIPVS, name: "mode ipvs", at: kuberules.At{Text: kuberules.IPVS}}
	v4, v6, server, ok := kuberules.ReadIPVS(info, k.config.From != "" && k.config.Mode == ModeIPVS)
	if !ok {
		return r
	}
	r.server, r.size = server, size(v4)+size(v6)
	if size(v4) > 0 {
		r.v4 = v4
	}
	if size(v6) > 0 {
		r.v6 = v6
	}
	return r
}

func size(f *kuberules.Family) int {
	if f == nil {
		return 0
	}
	return len(f.Entries)
}

// run finds out which proxy the node runs, and compares.
func (d *drift) run() {
	list := d.reader.readings(d.info)
	d.userspace()
	if len(list) == 0 {
		d.nothing()
		return
	}
	r := d.current(list)
	d.text, d.server = r.at, r.server
	d.health()
	for _, f := range []struct {
		have *kuberules.Family
		ipv4 bool
		part nodedump.Part
	}{{r.v4, true, d.part(r, true)}, {r.v6, false, d.part(r, false)}} {
		switch {
		case f.have == nil && len(d.k.wishes(d.node, f.ipv4)) == 0:
		case !f.part.Status.Known():
			d.notChecked(fmt.Sprintf("those for %s: %s", familyName(f.ipv4), f.part.StatusText()), f.part.File)
		case f.have != nil && f.have.Cut:
			d.notChecked(fmt.Sprintf("the text of those for %s is cut off, or not understood", familyName(f.ipv4)), f.part.File)
		case f.have != nil:
			d.compare(f.have, f.ipv4)
		default:
			d.none(fmt.Sprintf("node %s has none of kube-proxy's rules for %s, and Services have such addresses", d.node, familyName(f.ipv4)), f.part.File)
		}
	}
}

func familyName(ipv4 bool) string {
	if ipv4 {
		return "IPv4"
	}
	return "IPv6"
}

// part returns the text that has the rules of a mode for one address family.
func (d *drift) part(r reading, ipv4 bool) nodedump.Part {
	switch {
	case r.mode == ModeNFTables:
		return d.info.NFT
	case r.mode == ModeIPVS:
		return d.info.IPVS
	case r.at.Text == kuberules.IPTablesLegacy && ipv4:
		return d.info.IPTablesLegacy
	case r.at.Text == kuberules.IPTablesLegacy:
		return d.info.IP6TablesLegacy
	case ipv4:
		return d.info.IPTables
	}
	return d.info.IP6Tables
}

// current returns the reading of the proxy that runs: that of the configured
// mode, of several the one that knows the most Services. The others are left
// over, and told.
func (d *drift) current(list []reading) reading {
	best := 0
	for i, r := range list {
		if a, b := d.rank(r), d.rank(list[best]); a > b {
			best = i
		}
	}
	r := list[best]
	if c := d.k.config; c.From != "" && c.Mode != "" && r.mode != c.Mode {
		d.report(difference{
			level: model.SuspicionLevelCritical, code: "service/other-proxy-mode", at: r.at, remedy: d.restart(),
			message: fmt.Sprintf("node %s has rules of kube-proxy's %s, and %s says %s", d.node, r.name, c.From, c.Mode),
		}, r.name)
	}
	for i, other := range list {
		if i != best {
			d.leftOver(other.name, r.name, other.at)
		}
	}
	return r
}

func (d *drift) rank(r reading) int {
	n := r.size
	if d.k.config.From != "" && r.mode == d.k.config.Mode {
		n += 1 << 30
	}
	return n
}

func (d *drift) leftOver(name, current string, at kuberules.At) {
	d.report(difference{
		level: model.SuspicionLevelCritical, code: "service/other-proxy-mode", at: at,
		message: fmt.Sprintf("node %s has rules of kube-proxy's %s beside those of its %s: nobody keeps them up to date, and packets meet both", d.node, name, strings.TrimSuffix(current, ",")),
		remedy:  fmt.Sprintf("Run kube-proxy --cleanup on node %s and start it again, or restart the node.", d.node),
	}, name)
}

// userspace reports what the mode userspace has left.
func (d *drift) userspace() {
	for _, p := range []struct {
		part nodedump.Part
		text kuberules.Text
	}{{d.info.IPTables, kuberules.IPTables}, {d.info.IPTablesLegacy, kuberules.IPTablesLegacy}, {d.info.IP6Tables, kuberules.IP6Tables}, {d.info.IP6TablesLegacy, kuberules.IP6TablesLegacy}} {
		if line, ok := kuberules.Userspace(p.part.Data); ok {
			d.leftOver("mode userspace", "present mode", kuberules.At{Text: p.text, Line: line})
		}
	}
}

// nothing says what it means that a node shows nothing of kube-proxy.
func (d *drift) nothing() {
	if dev, who := replacement(d.info); dev != "" {
		d.notChecked(fmt.Sprintf("it has no rules of kube-proxy, and device %s shows %s, which may do its work in eBPF", dev, who), d.info.File)
		return
	}
	for _, part := range d.sources() {
		if !part.Status.Known() {
			d.notChecked(fmt.Sprintf("it shows no rules of kube-proxy, and not all was collected: %s: %s", part.File, part.StatusText()), part.File)
			return
		}
	}
	if d.k.config.From == "" {
		d.notChecked("nothing in the bundle shows kube-proxy", "")
		return
	}
	d.none(fmt.Sprintf("node %s has none of kube-proxy's rules: no Service can be reached by it (%s)", d.node, d.k.config.From), d.sources()[0].File)
}

// sources returns the texts that kube-proxy's rules may be in: those of the
// configured mode, or else of all.
func (d *drift) sources() []nodedump.Part {
	switch d.k.config.Mode {
	case ModeNFTables:
		return []nodedump.Part{d.info.NFT}
	case ModeIPVS:
		return []nodedump.Part{d.info.IPVS}
	case ModeIPTables:
		return []nodedump.Part{d.info.IPTables}
	}
	return []nodedump.Part{d.info.IPTables, d.info.NFT} // IPVS has its device
}

func (d *drift) none(message, evidence string) {
	d.out = append(d.out, model.Suspicion{
		Level: model.SuspicionLevelFatal, Code: "service/rules-missing", On: d.on(), Evidence: evidence, Message: message,
		Remedy: fmt.Sprintf("Start kube-proxy on node %s, and read its log.", d.node),
	})
}

// replacement returns a device of a network that can do without kube-proxy.
func replacement(info *nodedump.NetNSInfo) (dev, who string) {
	for _, known := range []struct{ dev, who string }{
		{"cilium_host", "Cilium"}, {"cilium_net", "Cilium"}, {"bpfin.cali", "Calico's eBPF mode"}, {"bpfout.cali", "Calico's eBPF mode"},
		{"ovn-k8s-mp0", "OVN-Kubernetes"}, {"antrea-gw0", "Antrea"}, {"kube-dummy-if", "kube-router"},
	} {
		if slices.ContainsFunc(info.Interfaces, func(i nodedump.Interface) bool { return i.Name == known.dev }) {
			return known.dev, known.who
		}
	}
	return "", ""
}
