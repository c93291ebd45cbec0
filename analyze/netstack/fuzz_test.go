package netstack

import (
	"encoding/json"
	"testing"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Whatever netns.json, iptables-save.txt and conntrack.json hold, a namespace can be made of it,
// and packets end in it somehow.
func FuzzNew(f *testing.F) {
	const entries = `{"count": 1, "max": 9, "entries": [
{"family":4,"protocol":"udp","src":"10.0.0.9:4","dst":"10.244.2.9:53","replySrc":"10.244.2.8:53","replyDst":"10.0.0.9:4","status":["CONFIRMED","DST_NAT"],"mark":7}
]}`
	for _, lines := range []string{router, node + remote} {
		ns := world(&testing.T{}, lines, "")
		text, err := json.Marshal(ns.Info)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -d 10.96.0.1/32 -p tcp -j DNAT --to-destination 10.244.1.8:80\nCOMMIT\n", entries)
	}
	f.Fuzz(func(t *testing.T, text []byte, rules, conntrack string) {
		var info nodedump.NetNSInfo
		if json.Unmarshal(text, &info) != nil || len(info.Interfaces) > 64 {
			return
		}
		info.File = "n/netns/host/netns.json"
		info.IPTables = part("iptables-save.txt", rules)
		info.Conntrack = part("conntrack.json", conntrack)
		ns, _ := New(&info)
		for _, p := range []string{"tcp 10.244.1.8:4 > 10.96.0.1:80", "udp 10.0.0.9:4 > 10.244.2.9:53", "icmp 10.0.0.9 > 10.0.0.1"} {
			for i := range info.Interfaces {
				ns.Input(pkt(p), info.Interfaces[i].Name, everybody())
			}
			ns.Output(pkt(p), "", Call{})
		}
	})
}
