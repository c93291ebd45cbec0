package iptables_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// TestKernelTables gives the kernel random tables of several chains and sends
// packets through them: the same rules must match, as often, and leave the packet
// with the same mark and the same verdict. What is open must be among its ways.
// IPTABLES_TABLES says how many of each family and backend, IPTABLES_SEED where
// to begin.
func TestKernelTables(t *testing.T) {
	tables, seed := worlds("IPTABLES_TABLES", 4), uint64(worlds("IPTABLES_SEED", 1))
	for _, backend := range []string{"", "-legacy"} {
		inNetns(t, func() {
			if err := tableNamespace(); err != nil {
				t.Log("skipped: ", err)
				return
			}
			k := &kernelTables{t: t, backend: backend}
			for n := range 2 * tables {
				k.gen = gen{Rand: rand.New(rand.NewPCG(seed, uint64(n))), hook: "OUTPUT", real: true, ipv6: n%2 == 1}
				k.about = fmt.Sprintf("IPTABLES_SEED=%d table %d", seed, n)
				k.compare()
			}
			t.Logf("iptables%s: %d tables, %d packets, %d rules matched as the kernel counts, %d packets of more ways than one", backend, k.tables, k.packets, k.matched, k.forked)
		})
	}
}

// tableNamespace makes the devices, addresses, routes and sets of the tests.
func tableNamespace() error {
	lines := []string{
		"link add dummy0 type veth peer name peer0", "link set dummy0 addrgenmode none", "link set peer0 addrgenmode none", "link set peer0 up",
		"link set dummy0 arp off up", "link set lo up", "route add 10.0.0.0/15 dev dummy0", "-6 route add fd00::/32 dev dummy0",
	}
	for i := range 4 {
		lines = append(lines, fmt.Sprintf("addr add 10.0.2.%d/32 dev dummy0", i), fmt.Sprintf("addr add fd00::2:%d/128 dev dummy0 nodad", i))
	}
	for _, line := range lines {
		if _, err := sh("", "ip", strings.Fields(line)...); err != nil {
			return err
		}
	}
	_, err := sh(setText, "ipset", "restore")
	return err
}

type kernelTables struct {
	t              *testing.T
	gen            gen
	backend, about string

	tables, packets, matched, forked int
}

// tool returns the program of the family and the backend.
func (k *kernelTables) tool(verb string) string {
	if k.gen.ipv6 {
		return "ip6tables" + k.backend + "-" + verb
	}
	return "iptables" + k.backend + "-" + verb
}

// compare loads one table, and sends packets through it.
func (k *kernelTables) compare() {
	text := k.gen.ruleset("raw", 25)
	if _, err := sh(text+marksTable(), k.tool("restore")); err != nil {
		k.t.Errorf("%s: %v\n%s", k.about, err, text)
		return
	}
	k.tables++
	before, _ := sh("", k.tool("save"), "-c")
	for range 25 {
		f, send := k.gen.output()
		if err := send(); err != nil && !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EPERM) {
			k.t.Errorf("%s: %v: %v", k.about, f.Packet, err)
			continue
		}
		after, err := sh("", k.tool("save"), "-c")
		if err != nil {
			k.t.Errorf("%s: %v", k.about, err)
			return
		}
		k.comparePacket(f, before, after)
		before = after
	}
}

// marksTable counts what comes out of the table raw, by its mark.
func marksTable() string {
	text := "*mangle\n:OUTPUT ACCEPT [0:0]\n"
	for _, m := range marks() {
		text += fmt.Sprintf("-A OUTPUT -m mark --mark %#x\n", m)
	}
	return text + "COMMIT\n"
}

func marks() (list []uint32) {
	for _, high := range []uint32{0, 0x10} {
		for low := range uint32(4) {
			list = append(list, high|low)
		}
	}
	return list
}

// comparePacket compares what the kernel has counted with each way of the packet.
func (k *kernelTables) comparePacket(f netfilter.Frame, before, after string) {
	rs, errs := parseAny(before)
	if len(errs) > 0 {
		k.t.Errorf("%s: %v", k.about, errs)
	}
	counted, mark := counts(before, after)
	var said []string
	ways := 0
	for c := netfilter.NewChoices(); c.Next() && ways < 5000; ways++ {
		g := f
		g.Choices = c
		verdict := rs.Run("raw", &g)
		lines := matchedLines(g.Trace)
		if slices.Equal(lines, counted) && (verdict == netfilter.Accept && mark == int(g.Packet.Mark) || verdict == netfilter.Drop && mark < 0) {
			k.packets++
			k.matched += len(lines)
			if ways > 0 || c.Next() {
				k.forked++
			}
			return
		}
		said = append(said, fmt.Sprintf("%v mark %#x by lines %v", verdict, g.Packet.Mark, lines))
	}
	k.t.Errorf("%s, %s: %v mark=%#x tos=%#x: the kernel counts lines %v and mark %#x, not any of %d:\n%.600s\n%s", k.about, k.tool("save"), f.Packet, f.Packet.Mark,
		f.Packet.TOS, counted, mark, ways, strings.Join(said, "\n"), numbered(before))
}

// counts returns the lines of the table raw that have counted, as often as they
// have, and the mark that came out, -1 if nothing did.
func counts(before, after string) (lines []int, mark int) {
	table, was := "", strings.Split(before, "\n")
	mark = -1
	for i, line := range strings.Split(after, "\n") {
		if strings.HasPrefix(line, "*") {
			table = line
		}
		if !strings.HasPrefix(line, "[") || i >= len(was) {
			continue
		}
		n := packetsOf(line) - packetsOf(was[i])
		switch {
		case table == "*raw":
			for range n {
				lines = append(lines, i+1)
			}
		case table == "*mangle" && n > 0:
			m, _ := strconv.ParseUint(line[strings.LastIndex(line, " ")+1:], 0, 32)
			mark = int(m)
		}
	}
	return lines, mark
}

func packetsOf(line string) int {
	n, _ := strconv.Atoi(line[1:max(1, strings.IndexByte(line, ':'))])
	return n
}

// matchedLines returns the lines of the rules of a trace, sorted.
func matchedLines(trace []model.Step) (lines []int) {
	for _, s := range trace {
		if strings.HasPrefix(s.Rule, ":") {
			continue // policy
		}
		n, _ := strconv.Atoi(s.Evidence[strings.LastIndex(s.Evidence, ":")+1:])
		lines = append(lines, n)
	}
	slices.Sort(lines)
	return lines
}

func numbered(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = fmt.Sprintf("%3d %s", i+1, lines[i])
	}
	return strings.Join(lines, "\n")
}

// output returns a packet that the namespace sends, as raw's OUTPUT sees it, and
// how to send it.
func (g gen) output() (netfilter.Frame, func() error) {
	src, dst := fmt.Sprintf("10.0.2.%d", g.IntN(4)), fmt.Sprintf("10.0.%d.%d", g.IntN(2), g.IntN(4))
	size, header := 29, 20
	if g.ipv6 {
		src, dst = fmt.Sprintf("fd00::2:%d", g.IntN(4)), fmt.Sprintf("fd00::%d:%d", g.IntN(2), g.IntN(4))
		size, header = 49, 40
	}
	proto, sport, dport := g.one("tcp", "udp"), 999+g.IntN(3), []int{80, 80, 53, 79}[g.IntN(4)]
	if proto == "tcp" {
		size = header + 40
	}
	mark, tos := g.IntN(4), []int{0, 0, 0x10, 0x20}[g.IntN(4)]
	from, to := netip.AddrPortFrom(netip.MustParseAddr(src), uint16(sport)), netip.AddrPortFrom(netip.MustParseAddr(dst), uint16(dport))
	f := frame(fmt.Sprintf("%s %s > %s hook=OUTPUT out=dummy0 ct=none ttl=64 size=%d mark=%d tos=%d", proto, from, to, size, mark, tos))
	return f, func() error { return sendPacket(proto, from, to, mark, tos) }
}

// sendPacket sends a SYN, or a datagram of one byte.
func sendPacket(proto string, from, to netip.AddrPort, mark, tos int) error {
	family, kind, level, option := syscall.AF_INET, syscall.SOCK_DGRAM, syscall.IPPROTO_IP, syscall.IP_TOS
	if from.Addr().Is6() {
		family, level, option = syscall.AF_INET6, syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS
	}
	if proto == "tcp" {
		kind = syscall.SOCK_STREAM
	}
	fd, err := syscall.Socket(family, kind|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_MARK, mark)
	_ = syscall.SetsockoptInt(fd, level, option, tos)
	if err := syscall.Bind(fd, sockaddr(from)); err != nil {
		return err
	}
	if err := syscall.Connect(fd, sockaddr(to)); err != nil || proto == "tcp" {
		return err
	}
	_, err = syscall.Write(fd, []byte("x"))
	return err
}

func sockaddr(a netip.AddrPort) syscall.Sockaddr {
	if a.Addr().Is4() {
		return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &syscall.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}
