package nftables_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
)

// A way is a chain, of a type at a hook, and what it says; %d in it is a
// priority that nothing else has.
type way struct{ family, chain, rules string }

// ways are chains that send packets elsewhere, or change or end them.
func ways() []way {
	const (
		out  = "type filter hook output priority 0;"
		dst  = "type nat hook output priority -100;"
		src  = "type nat hook postrouting priority 100;"
		udp  = "meta l4proto udp "
		both = "meta l4proto { tcp, udp } "
	)
	return []way{
		{"ip", dst, "dnat to 10.0.0.9"}, {"inet", dst, "dnat ip to 10.0.0.9"}, {"inet", dst, "dnat ip6 to fd00::9"},
		{"ip", dst, udp + "dnat to 10.0.0.9:5353"}, {"ip", dst, both + "dnat to :5353"}, {"ip", dst, both + "dnat to 10.0.0.9:5353-5353"},
		{"ip", dst, "dnat to 10.0.0.8-10.0.0.9"}, {"ip", dst, "dnat to 10.0.0.9 persistent"},
		{"ip", dst, "dnat to th dport map { 53 : 10.0.0.8, 80 : 10.0.0.7 }"}, {"ip", dst, "dnat to th dport map { 54 : 10.0.0.8 }"},
		{"ip", dst, both + "dnat to th dport map @dests"}, {"ip", dst, both + "dnat to th dport map { 53 : 10.0.0.8 . 5354, 80-90 : 10.0.0.7 . 81 }"},
		{"ip", dst, both + "dnat to numgen random mod 2 map { 0 : 10.0.0.8 . 1, 1 : 10.0.0.9 . 2 }"}, {"ip", dst, both + "dnat to jhash ip saddr mod 3 map { 0 : 10.0.0.8 . 1, 1 : 10.0.0.9 . 2, 2 : 10.0.0.7 . 3 }"},
		{"ip", dst, "dnat prefix to ip daddr map { 10.0.0.0/28 : 10.0.0.32/28 }"},
		{"ip", dst, "redirect"}, {"inet", dst, both + "redirect to :5353"}, {"ip", dst, "accept"}, {"ip", dst, "return\ndnat to 10.0.0.9"}, {"ip", dst, "ct state invalid accept\ndrop"},
		{"ip", dst, "th dport 53 dnat to 10.0.0.8\nip protocol tcp dnat to 10.0.0.9"},
		{"ip", src, "snat to 10.0.0.77"}, {"ip", src, "snat to 10.0.0.0-10.0.0.3"}, {"ip", src, udp + "snat to 10.0.0.77:99"}, {"inet", src, "snat ip to 10.0.0.77"},
		{"ip", src, "masquerade"}, {"ip", src, both + "masquerade to :99-99"}, {"inet", src, "ip daddr 10.0.0.2 masquerade"}, {"ip", src, "oifname \"tx0\" snat to 10.0.0.76\nsnat to 10.0.0.77"},
		{"ip", src, "meta mark 0x1 snat to 10.0.0.76"}, {"ip", src, "snat to ip daddr map { 10.0.0.2 : 10.0.0.76 }"}, {"ip", src, "snat prefix to ip saddr map { 10.0.0.0/28 : 10.0.0.32/28 }"},
		{"ip", out, "meta mark set 0x7"}, {"ip", out, "meta mark set meta mark | 0x10\nmeta mark set meta mark ^ 0x1"}, {"ip", out, "meta mark set (meta mark & 0xf0) | 0x3"},
		{"ip", out, "ct mark set 0x9\nmeta mark set ct mark"}, {"ip", out, "meta mark set th dport map { 53 : 0x35, 80 : 0x80 }"}, {"ip", out, "meta mark set numgen inc mod 4 offset 8"},
		{"ip", out, "ip dscp set ef"}, {"ip", out, "ip dscp set cs1\nip dscp cs1 meta mark set 0x1"}, {"ip", out, "ip daddr set 10.0.0.66"}, {"ip", out, "udp dport set 66"}, {"ip", out, "tcp dport set 66"}, {"ip", out, "th sport set 66"},
		{"ip", out, "drop"}, {"ip", out, "reject"}, {"inet", out, "meta l4proto tcp reject with tcp reset"}, {"inet", out, "reject with icmp host-unreachable"}, {"inet", out, "reject with icmpv6 no-route"},
		{"ip", out, "jump sub\nmeta mark set 0x1"}, {"ip", out, "goto sub\nmeta mark set 0x1"}, {"ip", out, "jump marker\nmeta mark set meta mark | 0x2"}, {"ip", out, "goto marker\nmeta mark set meta mark | 0x2"},
		{"ip", out, "jump deep\nmeta mark set meta mark | 0x2"}, {"ip", out, "th dport vmap { 53 : jump marker, 80 : goto marker }\nmeta mark set meta mark | 0x2"},
		{"ip", out, "th dport vmap @ways\nmeta mark set 0x1"}, {"ip", out, "ip saddr . th dport vmap { 10.0.0.1 . 53 : drop, 10.0.0.0/8 . 80 : jump marker }"},
		{"ip", out, "meta l4proto vmap { tcp : return, udp : continue }\nmeta mark set 0x1"}, {"ip", out, "numgen inc mod 2 vmap { 0 : jump marker, 1 : drop }"},
		{"ip", out, "numgen random mod 100 < 50 meta mark set 0x1"}, {"ip", out, "symhash mod 2 0 drop"}, {"ip", out, "limit rate 1/hour burst 1 packets meta mark set 0x1"},
		{"ip", out, "add @seen { ip saddr }\nip saddr @seen meta mark set 0x1"}, {"ip", out, "add @seen { ip saddr } ip daddr @seen meta mark set 0x1"},
		{"ip", out, "delete @seen { ip saddr }\nip saddr @seen meta mark set 0x1"}, {"ip", out, "update @seen { ip daddr }\nip saddr @seen meta mark set 0x1\nip daddr @seen meta mark set 0x2"},
		{"ip", out, "ip daddr vmap @rest\nmeta mark set 0x1"}, {"ip", out, "ip daddr set 10.1.0.7\nip daddr vmap @rest\nmeta mark set 0x1"}, {"ip", out, "ip saddr @every meta mark set 0x1"},
		{"ip", out, "ip daddr set 10.3.0.7\nip daddr vmap @rest\nmeta mark set 0x1"}, {"ip", out, "th dport vmap { 80 : accept, * : jump marker }"},
		{"ip", out, "ip saddr 10.0.0.1 counter accept\nmeta mark set 0x1"}, {"ip", out, "continue\nmeta mark set 0x1"}, {"ip", out, "ct state new meta mark set 0x1"}, {"ip", out, "log prefix \"x\" meta mark set 0x1"},
		{"ip", "type filter hook output priority -300;", "notrack\nct state untracked meta mark set 0x1"}, {"ip", "type filter hook output priority 10;", "notrack\nct state untracked meta mark set 0x1"},
		{"ip", "type filter hook output priority -300;", "ct state invalid meta mark set 0x1"}, {"ip", out, "fib daddr type unicast meta mark set 0x1"}, {"ip", out, "fib saddr type local meta mark set 0x1"},
		{"ip", out + " policy drop;", "th dport 53 accept"}, {"ip", out + " policy drop;", "jump marker"},
	}
}

const (
	waySets = sets + `
	chain marker { meta mark set meta mark | 0x1; }
	chain deep { jump marker; return; drop; }
`
	// witness notes what leaves: addresses, ports, mark and DSCP.
	witness = `table ip witness {
	set left { type ipv4_addr . ipv4_addr . inet_service . inet_service . mark; flags dynamic; size 64; }
	set dscps { type dscp; flags dynamic; size 64; }
	chain post { type filter hook postrouting priority 500; tcp flags & rst == rst accept; meta l4proto { tcp, udp } add @left { ip saddr . ip daddr . th sport . th dport . meta mark } add @dscps { ip dscp }; }
}
`
)

// TestKernelWays sends packets through chains in the kernel, and compares what
// leaves with what Run makes of them: on one branch at least it must be the same.
func TestKernelWays(t *testing.T) {
	inNetns(t, func() {
		if !devices(t) {
			return
		}
		port, compared, open := 2000, 0, 0
		for _, w := range ways() {
			for mark, proto := range []string{"udp", "tcp"} {
				port++
				n := compareWay(t, w, proto, port, mark)
				compared, open = compared+min(n, 1), open+max(n-1, 0)/max(n-1, 1)
			}
		}
		t.Logf("%d chains: %d packets left as they do in the kernel, %d of them on one of several branches", len(ways()), compared, open)
	})
}

// compareWay sends one packet, and returns on how many branches it may go; 0 if
// nothing was compared.
func compareWay(t *testing.T, w way, proto string, port, mark int) int {
	text := fmt.Sprintf("flush ruleset\n%stable %s t {%s\nchain base { %s\n%s\n}\n}\n", witness, w.family, waySets, w.chain, w.rules)
	if _, err := sh(text, "nft", "-f", "-"); err != nil {
		t.Logf("skipped: %s: %v", w.rules, err)
		return 0
	}
	dump, err := sh("", "nft", "-j", "list", "table", w.family, "t")
	if err != nil {
		t.Error(err)
		return 0
	}
	to := map[string]string{"udp": "10.0.0.2:53", "tcp": "10.0.0.2:80"}[proto]
	sendFrom(proto, port, mark, to)
	got := left(t)
	f := frame(fmt.Sprintf("%s 10.0.0.1:%d > %s hook=OUTPUT out=tx0 mark=%d", proto, port, to, mark))
	f.Env = sender{}
	if strings.Contains(w.chain, "postrouting") {
		f.Hook = netfilter.Postrouting
	}
	if strings.Contains(w.chain, "-300") {
		f.Ct.State = netfilter.CtNone
	}
	rs, errs := nftables.Parse(part(dump))
	if len(errs) > 0 {
		t.Errorf("%s: %v", w.rules, errs)
	}
	var may []string
	for _, b := range run(rs, f) {
		may = append(may, leaving(b))
	}
	if !slices.Contains(may, got) {
		t.Errorf("%s %s %s, %s mark %d: in the kernel %q leaves, not %q", w.family, w.chain, w.rules, proto, mark, got, may)
		return 0
	}
	return len(may)
}

func leaving(b branch) string {
	if b.verdict != netfilter.Accept {
		return ""
	}
	p := b.Packet
	return fmt.Sprintf("%s %s mark=%#x dscp=%s", p.Src, p.Dst, p.Mark, map[uint8]string{0: "cs0", 8: "cs1", 46: "ef"}[p.TOS>>2])
}

func sendFrom(proto string, port, mark int, to string) {
	if proto == "udp" {
		d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}, Control: options(mark, 0)}
		if c, err := d.Dial("udp4", to); err == nil {
			_, _ = c.Write([]byte("x"))
			c.Close()
		}
		return
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}, Timeout: 15 * time.Millisecond, Control: options(mark, 0)}
	if c, err := d.Dial("tcp4", to); err == nil {
		c.Close()
	}
}

// TestKernelOrder: of two chains of one priority the kernel calls first the one
// that was made last, which a dump shows below (nf_hook_entries_grow).
func TestKernelOrder(t *testing.T) {
	inNetns(t, func() {
		if !devices(t) {
			return
		}
		const pair = "table ip t {\nchain a { type filter hook output priority 0; meta mark 0x7 drop;\n}\nchain b { type filter hook output priority 0; meta mark set 0x7;\n}\n}\n"
		if _, err := sh(witness+pair, "nft", "-f", "-"); err != nil {
			t.Log("skipped: ", err)
			return
		}
		sendFrom("udp", 2000, 0, "10.0.0.2:53")
		if got := left(t); got != "" {
			t.Errorf("%s leaves: the chain that was made first was called first", got)
		}
		out, _ := sh("", "nft", "list", "table", "ip", "t")
		if strings.Index(out, "chain a") > strings.Index(out, "chain b") {
			t.Error("the dump shows them the other way round")
		}
	})
}

// left returns the first packet that the witness saw, "" if none.
func left(t *testing.T) string {
	packet, dscp := "", ""
	for _, raw := range list(t, "table", "ip", "witness") {
		var o struct {
			Set struct {
				Name string
				Elem []json.RawMessage
			}
		}
		_ = json.Unmarshal(raw, &o)
		if len(o.Set.Elem) == 0 {
			continue
		}
		if o.Set.Name == "dscps" {
			_ = json.Unmarshal(o.Set.Elem[0], &dscp)
			continue
		}
		var c struct{ Concat []any }
		_ = json.Unmarshal(o.Set.Elem[0], &c)
		if len(c.Concat) != 5 {
			t.Errorf("the witness saw %s", o.Set.Elem[0])
			continue
		}
		mark, _ := c.Concat[4].(float64)
		packet = fmt.Sprintf("%v:%v %v:%v mark=%#x", c.Concat[0], c.Concat[2], c.Concat[1], c.Concat[3], int(mark))
	}
	if packet == "" {
		return ""
	}
	return packet + " dscp=" + dscp
}

// TestKernelKubeProxy loads kube-proxy's table into the kernel and sends packets
// to its Services: they leave as Run says, and what nft prints of it reads as the
// same rules.
func TestKernelKubeProxy(t *testing.T) {
	inNetns(t, func() {
		if !devices(t) {
			return
		}
		// nft 1.0.6 prints the flag "dynamic", and does not read it.
		text := strings.ReplaceAll(kubeProxy(6, 3), `"flags": ["timeout", "dynamic"]`, `"flags": ["timeout"]`)
		if _, err := sh(chainsFirst(text), "nft", "-j", "-f", "-"); err != nil {
			t.Error(err)
			return
		}
		dump, err := sh("", "nft", "-j", "list", "ruleset")
		if err != nil {
			t.Error(err)
			return
		}
		rs, errs := nftables.Parse(part(dump))
		own, _ := nftables.Parse(part(text))
		if len(errs) > 0 || nftables.Print(rs) != nftables.Print(own) {
			t.Errorf("read anew: %v\n%s\nwas\n%s", errs, nftables.Print(rs), nftables.Print(own))
		}
		seen := map[string]bool{}
		for n, to := range slices.Repeat([]string{"10.96.0.1:80", "10.96.0.2:80", "10.96.0.3:80", "10.96.0.6:80", "10.96.0.2:81", "10.96.9.9:80", "10.0.0.1:30080", "10.0.0.2:30080", "10.0.0.9:80"}, 4) {
			_, _ = sh("", "nft", "destroy", "table", "ip", "witness")
			_, _ = sh("table ip witness\nflush table ip witness\ndelete table ip witness\n"+witness, "nft", "-f", "-")
			sendFrom("tcp", 3000+n, 0, to)
			got := anyPort(left(t))
			may := through(rs, frame(fmt.Sprintf("tcp 10.0.0.1:%d > %s hook=OUTPUT out=tx0", 3000+n, to)))
			if !slices.Contains(may, got) {
				t.Errorf("to %s: in the kernel %q leaves, not %q", to, got, may)
			}
			seen[got[strings.Index(got, " ")+1:]] = true
		}
		t.Logf("9 destinations, 4 packets to each: %d different ends", len(seen))
	})
}

// chainsFirst puts the chains of a table before the maps that speak of them, as
// nft needs it.
func chainsFirst(text string) string {
	entries := strings.Split(strings.TrimSuffix(strings.TrimPrefix(text, `{"nftables": [`+"\n"), "\n]}\n"), ",\n")
	rank := func(entry string) int {
		return slices.IndexFunc([]string{`{"metainfo`, `{"table`, `{"chain`, `{"`}, func(p string) bool { return strings.HasPrefix(entry, p) })
	}
	slices.SortStableFunc(entries, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return `{"nftables": [` + strings.Join(entries, ",\n") + "]}"
}

// through runs a frame through OUTPUT and POSTROUTING.
func through(rs *nftables.Ruleset, f netfilter.Frame) (may []string) {
	f.Env = sender{}
	for _, b := range run(rs, f) {
		if b.verdict != netfilter.Accept {
			may = append(may, "")
			continue
		}
		after := b.Frame
		after.Hook, after.Bound = netfilter.Postrouting, false
		for _, b := range run(rs, after) {
			may = append(may, anyPort(leaving(b)))
		}
	}
	return may
}

// anyPort forgets the source port of a packet, which "masquerade fully-random"
// leaves to chance.
func anyPort(packet string) string {
	if src, rest, ok := strings.Cut(packet, " "); ok {
		return src[:strings.LastIndex(src, ":")] + " " + rest
	}
	return packet
}
