package ipset_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func part(text string) nodedump.Part {
	return nodedump.Part{File: "ipset-save.txt", Status: nodedump.StatusOK, Data: []byte(text)}
}

func end(s string) netip.AddrPort {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a
	}
	return netip.AddrPortFrom(netip.MustParseAddr(s), 0)
}

// query reads "src,dst tcp 10.0.0.1:1000 > 10.0.0.2:80 in=eth0".
func query(s string) ipset.Query {
	w := strings.Fields(s)
	q := ipset.Query{Packet: model.Packet{Protocol: model.Protocol(w[1]), Src: end(w[2]), Dst: end(w[4])}}
	for d := range strings.SplitSeq(w[0], ",") {
		q.Dirs = append(q.Dirs, map[string]ipset.Dir{"src": ipset.Src, "dst": ipset.Dst}[d])
	}
	for _, word := range w[5:] {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.ParseUint(value, 0, 32)
		switch key {
		case "in":
			q.In = value
		case "out":
			q.Out = value
		case "mark":
			q.Packet.Mark = uint32(n)
		case "type":
			q.Packet.ICMPType = uint8(n)
		case "smac":
			q.Packet.SrcMAC = value
		case "nomatch":
			q.ReturnNomatch = true
		case "counters":
			q.Counters = true
		case "physin":
			q.PhysIn = value
		}
	}
	return q
}

const (
	tcp  = " tcp 10.0.0.1:1000 > 10.0.0.2:80"
	udp  = " udp 10.0.0.1:1000 > 10.0.0.2:80"
	tcp6 = " tcp [fd00::1]:1000 > [fd00::2]:80"
	ping = " icmp 10.0.0.1 > 10.0.0.2 type=8"
)

// A row is one set: its type, what it holds, a query and the answer.
type row struct{ typ, options, elements, query, want string }

func rows() []row {
	return []row{
		{"bitmap:ip", "range 10.0.0.0-10.0.0.255", "10.0.0.1", "src" + tcp, "yes"},
		{"bitmap:ip", "range 10.0.0.0-10.0.0.255", "10.0.0.1", "dst" + tcp, "no"},
		{"bitmap:ip", "range 10.0.0.0-10.0.255.255 netmask 24", "10.0.0.0", "dst" + tcp, "yes"},
		{"bitmap:ip,mac", "range 10.0.0.0-10.0.0.255", "10.0.0.1,AA:BB:CC:DD:EE:FF", "src,src" + tcp + " smac=aa:bb:cc:dd:ee:ff", "yes"},
		{"bitmap:ip,mac", "range 10.0.0.0-10.0.0.255", "10.0.0.1,AA:BB:CC:DD:EE:FF", "src,src" + tcp + " smac=aa:bb:cc:dd:ee:00", "no"},
		{"bitmap:ip,mac", "range 10.0.0.0-10.0.0.255", "10.0.0.1", "src,src" + tcp + " smac=aa:bb:cc:dd:ee:00", "yes"},
		{"bitmap:port", "range 0-1024", "80", "dst" + tcp, "yes"},
		{"bitmap:port", "range 0-1024", "80", "dst" + udp, "yes"},
		{"bitmap:port", "range 0-1024", "80", "src" + tcp, "no"},
		{"bitmap:port", "range 0-1024", "80", "dst sctp 10.0.0.1:1000 > 10.0.0.2:80", "no"},
		{"hash:ip", "family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x8c48e8f6", "10.0.0.1 timeout 0", "src" + tcp, "yes"},
		{"hash:ip", "family inet timeout 600", "10.0.0.1 timeout 17 packets 3 bytes 100 comment \"a b\"", "src" + tcp, "yes"},
		{"hash:ip", "family inet netmask 24", "10.0.0.0", "src" + tcp, "yes"},
		{"hash:ip", "family inet bitmask 255.0.0.255", "10.0.0.2", "dst" + tcp, "yes"},
		{"hash:ip", "family inet6", "fd00::1", "src" + tcp6, "yes"},
		{"hash:ip", "family inet6", "fd00::1", "src" + tcp, "no"},
		{"hash:net", "family inet", "10.0.0.0/8", "src" + tcp, "yes"},
		{"hash:net", "family inet", "10.0.0.0/8;10.0.0.0/24 nomatch", "src" + tcp, "no"},
		{"hash:net", "family inet", "10.0.0.0/8;10.0.0.0/24 nomatch", "src" + tcp + " nomatch", "yes"},
		{"hash:net", "family inet", "10.0.0.0/8 nomatch;10.0.0.1", "src" + tcp, "yes"},
		{"hash:net", "family inet6", "fd00::/64", "dst" + tcp6, "yes"},
		{"hash:net", "family inet6", "fd01::/64", "dst" + tcp6, "no"},
		{"hash:ip,port", "family inet", "10.0.0.2,tcp:80", "dst,dst" + tcp, "yes"},
		{"hash:ip,port", "family inet", "10.0.0.2,tcp:80", "dst,dst" + udp, "no"},
		{"hash:ip,port", "family inet", "10.0.0.2,tcp:80", "dst,src" + tcp, "no"},
		{"hash:ip,port", "family inet", "10.0.0.2,tcp:80", "dst" + tcp, "no"},
		{"hash:ip,port", "family inet", "10.0.0.2,tcp:80", "dst,dst,dst" + tcp, "yes"},
		{"hash:ip,port", "family inet", "10.0.0.2,icmp:echo-request", "dst,dst" + ping, "yes"},
		{"hash:ip,port", "family inet", "10.0.0.2,icmp:8/1", "dst,dst" + ping, "no"},
		{"hash:ip,port", "family inet", "10.0.0.2,gre:0", "dst,dst gre 10.0.0.1 > 10.0.0.2", "yes"},
		{"hash:ip,port", "family inet6", "fd00::2,ipv6-icmp:echo-request", "dst,dst ipv6-icmp fd00::1 > fd00::2 type=128", "yes"},
		{"hash:net,port", "family inet", "10.0.0.0/24,tcp:80", "dst,dst" + tcp, "yes"},
		{"hash:net,port", "family inet", "10.0.0.0/24,tcp:80;10.0.0.2,tcp:80 nomatch", "dst,dst" + tcp, "no"},
		{"hash:ip,port,ip", "family inet", "10.0.0.1,tcp:80,10.0.0.2", "src,dst,dst" + tcp, "yes"},
		{"hash:ip,port,ip", "family inet", "10.0.0.1,tcp:80,10.0.0.2", "dst,dst,src" + tcp, "no"},
		{"hash:ip,port,net", "family inet", "10.0.0.1,tcp:80,10.0.0.0/24", "src,dst,dst" + tcp, "yes"},
		{"hash:ip,port,net", "family inet", "10.0.0.1,tcp:80,10.0.1.0/24", "src,dst,dst" + tcp, "no"},
		{"hash:net,net", "family inet", "10.0.0.0/24,10.0.0.0/8", "src,dst" + tcp, "yes"},
		{"hash:net,net", "family inet", "10.0.0.0/8,0.0.0.0/0;10.0.0.0/24,10.0.0.2 nomatch", "src,dst" + tcp, "no"},
		{"hash:net,net", "family inet6", "fd00::/64,::/0", "src,dst" + tcp6, "yes"},
		{"hash:net,port,net", "family inet", "10.0.0.0/24,tcp:80,0.0.0.0/0", "src,dst,dst" + tcp, "yes"},
		{"hash:net,port,net", "family inet", "10.0.0.0/24,udp:80,0.0.0.0/0", "src,dst,dst" + tcp, "no"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth0", "src,src" + tcp + " in=eth0", "yes"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth0", "src,dst" + tcp + " in=eth0 out=eth1", "no"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth0", "src,src" + tcp, "no"},
		{"hash:net,iface", "family inet", "0.0.0.0/0,cali wildcard", "src,src" + tcp + " in=cali12", "yes"},
		{"hash:net,iface", "family inet", "0.0.0.0/0,cali wildcard;10.0.0.0/8,cali12 nomatch", "src,src" + tcp + " in=cali12", "no"},
		{"hash:net,iface", "family inet", "0.0.0.0/0,cali12 nomatch;10.0.0.0/8,cali wildcard", "src,src" + tcp + " in=cali12", "yes"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,cali wildcard;10.0.0.0/8,cali12 nomatch", "src,src" + tcp + " in=cali12", "yes"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,cali12 nomatch;10.0.0.0/8,cali wildcard", "src,src" + tcp + " in=cali12", "no"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth+", "src,src" + tcp + " in=eth0", "no"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth0;10.0.0.0/24,eth1", "src,src" + tcp + " in=eth0", "no"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,eth0;10.0.0.0/24,physdev:eth0", "src,src" + tcp + " in=eth0", "maybe"},
		{"hash:net,iface", "family inet", "10.0.0.0/8,physdev:eth0;10.0.0.0/8,eth1", "src,src" + tcp + " in=br0 physin=eth0", "no"},
		{"hash:net,net", "family inet bitmask 255.255.0.255", "10.0.0.0/24,10.0.0.0/8", "src,dst tcp 10.0.9.1:1 > 10.0.0.2:80", "yes"},
		{"hash:net,net", "family inet bitmask 255.255.0.0", "10.0.0.0/16,10.0.0.0/16", "src,dst tcp 10.0.9.1:1 > 10.0.0.2:80", "yes"},
		{"hash:ip", "family inet", "10.0.0.1", "src" + tcp + " nomatch", "yes"},
		{"hash:ip", "family inet counters", "10.0.0.1 packets 0 bytes 0", "src" + tcp + " counters", "maybe"},
		{"hash:ip", "family inet counters", "10.0.0.1 packets 0 bytes 0", "dst" + tcp + " counters", "no"},
		{"hash:ip", "family inet", "10.0.0.1", "src" + tcp + " counters", "yes"},
		{"list:set", "size 8", "other", "src" + tcp + " counters", "yes"},
		{"list:set", "size 8 counters", "other packets 1 bytes 1", "src" + tcp + " counters", "maybe"},
		{"hash:mac", "", "AA:BB:CC:DD:EE:FF", "src" + tcp + " smac=aa:bb:cc:dd:ee:ff", "yes"},
		{"hash:mac", "", "AA:BB:CC:DD:EE:FF", "src" + tcp, "no"},
		{"hash:ip,mac", "family inet", "10.0.0.1,AA:BB:CC:DD:EE:FF", "src,src" + tcp + " smac=aa:bb:cc:dd:ee:ff", "yes"},
		{"hash:ip,mark", "family inet", "10.0.0.1,0x00000101", "src,src" + tcp + " mark=0x101", "yes"},
		{"hash:ip,mark", "family inet markmask 0x000000ff", "10.0.0.1,0x00000001", "src,src" + tcp + " mark=0x101", "yes"},
		{"hash:ip,mark", "family inet", "10.0.0.1,0x00000101", "src,src" + tcp, "no"},
		{"list:set", "size 8", "other", "src" + tcp, "yes"},
		{"list:set", "size 8", "other", "dst" + tcp, "no"},
	}
}

var answers = map[netfilter.Answer]string{netfilter.No: "no", netfilter.Yes: "yes", netfilter.Maybe: "maybe"}

func (r row) text() string {
	text := "create other hash:ip family inet\nadd other 10.0.0.1\ncreate set " + r.typ + " " + r.options + "\n"
	for e := range strings.SplitSeq(r.elements, ";") {
		text += "add set " + e + "\n"
	}
	return text
}

func TestSets(t *testing.T) {
	for _, tt := range rows() {
		t.Run(tt.typ+"/"+tt.elements+"/"+tt.query, func(t *testing.T) {
			sets, errs := ipset.Parse(part(tt.text()))
			require.Empty(t, errs)
			require.Equal(t, tt.want, answers[sets.Test("set", query(tt.query))])
		})
	}
}

// Every type has a row.
func TestSetsComplete(t *testing.T) {
	known := map[string]bool{}
	for _, r := range rows() {
		known[r.typ] = true
	}
	for _, typ := range ipset.Types() {
		require.True(t, known[typ], "no row for %s", typ)
	}
}

// What is not understood is never a No.
func TestNotUnderstood(t *testing.T) {
	for _, tt := range []struct{ name, text, err, want string }{
		{"unknown set", "create other hash:ip family inet", "", "maybe"},
		{"unknown type", "create set hash:foo\nadd set 1", "ipset-save.txt:1: unsupported ipset line: unknown set type hash:foo: create set hash:foo", "maybe"},
		{"unknown option", "create set hash:ip foo\nadd set 10.0.0.7", "ipset-save.txt:1: unsupported ipset line: unknown value: foo: create set hash:ip foo", "maybe"},
		{"bad element", "create set hash:ip\nadd set x", "ipset-save.txt:2: unsupported ipset line: unknown value: x: add set x", "maybe"},
		{"a good element beside a bad one", "create set hash:ip\nadd set x\nadd set 10.0.0.1", "ipset-save.txt:2: unsupported ipset line: unknown value: x: add set x", "yes"},
		{"wrong number of parts", "create set hash:ip,port\nadd set 10.0.0.1", "ipset-save.txt:2: unsupported ipset line: wrong number of parts: add set 10.0.0.1", "maybe"},
		{"a list with a member that is missing", "create set list:set size 8\nadd set foo", "ipset-save.txt:2: unsupported ipset line: set not created: add set foo", "maybe"},
		{"garbage", "create set hash:ip\nfoo bar baz", "ipset-save.txt:2: unsupported ipset line: unknown value: foo bar baz", "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sets, errs := ipset.Parse(part(tt.text))
			if tt.err == "" {
				require.Empty(t, errs)
			} else {
				require.Len(t, errs, 1)
				require.EqualError(t, errs[0], tt.err)
			}
			require.Equal(t, tt.want, answers[sets.Test("set", query("src,src,src"+tcp))])
		})
	}
}

func TestStatus(t *testing.T) {
	cut := part("create set hash:ip\nadd set 10.0.0.1\n")
	cut.Status, cut.Reason = nodedump.StatusTruncated, "too long"
	sets, _ := ipset.Parse(cut)
	known, file, reason := sets.Status()
	require.False(t, known)
	require.Equal(t, "ipset-save.txt too long", file+" "+reason)
	require.Equal(t, []string{"set"}, sets.Names())
	require.Equal(t, netfilter.Yes, sets.Test("set", query("src"+tcp)))
	require.Equal(t, netfilter.Maybe, sets.Test("set", query("dst"+tcp)))
}

func FuzzParse(f *testing.F) {
	for _, r := range rows() {
		f.Add(r.text())
	}
	f.Fuzz(func(t *testing.T, text string) {
		sets, _ := ipset.Parse(part(text))
		for _, name := range sets.Names() {
			for _, r := range []string{"src,dst,dst" + tcp + " in=eth0 out=eth1 smac=aa:bb:cc:dd:ee:ff", "src,dst,dst" + tcp6, "src" + ping} {
				sets.Test(name, query(r))
			}
		}
	})
}
