package service

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// DetectProxyMode returns the mode of kube-proxy and how it was found: its
// configuration, or else the rules of the first node that has some. The mode is
// "" if nothing tells; why then says what was looked for.
func DetectProxyMode(snap *snapshot.Snapshot) (mode, why string) {
	c, err := ReadConfig(snap)
	if c.Mode != "" {
		return c.Mode, c.From
	}
	nodes := 0
	for _, name := range snap.NodeNames() {
		info, err := snap.NetNS(name, nodedump.HostNetns)
		if err != nil {
			continue
		}
		nodes++
		if mode, why := modeOfRules(info); mode != "" {
			return mode, fmt.Sprintf("node %s: %s", name, why)
		}
	}
	why = fmt.Sprintf("no ConfigMap has a KubeProxyConfiguration, no DaemonSet kube-proxy has --proxy-mode, "+
		"and of %d nodes none has a device kube-ipvs0, an nftables table kube-proxy or an iptables chain KUBE-SERVICES", nodes)
	if err != nil {
		why += ": " + err.Error()
	}
	return "", why
}

// modeOfRules tells the mode by what kube-proxy leaves in the host's namespace.
// In the mode ipvs it has a chain KUBE-SERVICES, too.
func modeOfRules(info *nodedump.NetNSInfo) (mode, why string) {
	if slices.ContainsFunc(info.Interfaces, func(i nodedump.Interface) bool { return i.Name == "kube-ipvs0" }) {
		return ModeIPVS, "device kube-ipvs0"
	}
	if hasNFTable(info.NFT.Data) {
		return ModeNFTables, "table kube-proxy in " + info.NFT.File
	}
	for _, part := range []nodedump.Part{info.IPTables, info.IPTablesLegacy, info.IP6Tables, info.IP6TablesLegacy} {
		if line := chainLine(part.Data, "KUBE-SERVICES"); line > 0 {
			return ModeIPTables, fmt.Sprintf("chain KUBE-SERVICES in %s:%d", part.File, line)
		}
	}
	return "", ""
}

// hasNFTable reports whether "nft -j list ruleset" shows a table kube-proxy.
func hasNFTable(data []byte) bool {
	if !bytes.Contains(data, []byte("kube-proxy")) {
		return false
	}
	var ruleset struct {
		NFTables []struct {
			Table *struct{ Name string } `json:"table"`
		} `json:"nftables"`
	}
	if json.Unmarshal(data, &ruleset) != nil {
		return false
	}
	for _, object := range ruleset.NFTables {
		if object.Table != nil && object.Table.Name == "kube-proxy" {
			return true
		}
	}
	return false
}

// chainLine returns the line of iptables-save output in table nat that
// declares chain, 0 if there is none.
func chainLine(data []byte, chain string) int {
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	table := ""
	for n := 1; lines.Scan(); n++ {
		text := lines.Text()
		if strings.HasPrefix(text, "*") {
			table = text[1:]
		}
		if table == "nat" && strings.HasPrefix(text, ":"+chain+" ") {
			return n
		}
	}
	return 0
}

// cidrsOfRules returns the range of pods that kube-proxy's rules use to tell
// pods from others: "! -s RANGE ... -j KUBE-MARK-MASQ" in the chain of a
// Service. The first node that has such rules counts.
func cidrsOfRules(snap *snapshot.Snapshot) (out []netip.Prefix) {
	for _, name := range snap.NodeNames() {
		info, err := snap.NetNS(name, nodedump.HostNetns)
		if err != nil {
			continue
		}
		for _, part := range []nodedump.Part{info.IPTables, info.IPTablesLegacy, info.IP6Tables, info.IP6TablesLegacy} {
			if p, ok := maskedRange(part.Data); ok {
				out = append(out, p)
			}
		}
		if len(out) > 0 {
			return out
		}
	}
	return nil
}

// maskedRange finds the range in iptables-save output.
func maskedRange(data []byte) (netip.Prefix, bool) {
	for line := range bytes.Lines(data) {
		text := string(line)
		if !strings.HasPrefix(text, "-A KUBE-SVC-") || !strings.Contains(text, "-j KUBE-MARK-MASQ") {
			continue
		}
		_, after, found := strings.Cut(text, " ! -s ")
		word, _, _ := strings.Cut(after, " ")
		if p, err := netip.ParsePrefix(word); found && err == nil {
			return p.Masked(), true
		}
	}
	return netip.Prefix{}, false
}
