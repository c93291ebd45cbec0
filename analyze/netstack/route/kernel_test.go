package route

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// TestKernel makes random namespaces, asks the kernel for random routes
// (ip route get) and compares. ROUTE_SEED repeats one world, ROUTE_WORLDS
// says how many there are.
func TestKernel(t *testing.T) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("needs root on Linux: the kernel was not asked")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs iproute2: the kernel was not asked")
	}
	worlds, first := 16, uint64(time.Now().UnixNano())
	if s := os.Getenv("ROUTE_WORLDS"); s != "" {
		worlds, _ = strconv.Atoi(s)
	}
	if s := os.Getenv("ROUTE_SEED"); s != "" {
		first, _ = strconv.ParseUint(s, 10, 64)
		worlds = 1
	}
	asked, start := 0, time.Now()
	for i := range worlds {
		if os.Getenv("ROUTE_WORLDS") == "" && time.Since(start) > 12*time.Second {
			worlds = i
			break
		}
		w := newWorld(t, first+uint64(i))
		for _, family := range []int{4, 6} {
			asked += w.compare(t, family, 250)
		}
	}
	t.Logf("%d queries in %d namespaces", asked, worlds)
}

// A world is one random namespace.
type world struct {
	netns string
	seed  uint64
	*rand.Rand
	custom bool        // has policy rules
	down   bool        // a device goes down in the end: no gateway must depend on it
	script [7][]string // by family: 0 is any
	own    [7][]string // addresses
}

const devicesPerWorld = 5

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{netns: fmt.Sprintf("route-test-%d", os.Getpid()), seed: seed, Rand: rand.New(rand.NewPCG(seed, 1))}
	exec.Command("ip", "netns", "del", w.netns).Run()
	run(t, "ip", "netns", "add", w.netns)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", w.netns).Run() })
	w.sysctl("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0")
	w.add("link set lo up")
	for i := range devicesPerWorld {
		w.add("link add d%d type veth peer name p%d", i, i)
		w.add("link set p%d up", i)
		w.add("link set d%d up", i)
	}
	w.add("link set d1 group 7")
	w.addresses()
	w.batch(t)
	w.sysctls()
	w.custom = w.IntN(3) > 0
	if w.custom {
		for range 8 {
			w.addTo(4, "rule add %s", w.rule(4))
			w.addTo(6, "rule add %s", w.rule(6))
		}
	}
	w.down = w.IntN(3) == 0
	for i := range 60 {
		w.addTo(4, "route append %s", w.route4(i > 40))
		w.addTo(6, "route append %s", w.route6())
	}
	w.batch(t)
	if w.IntN(2) == 0 {
		w.add("link set p%d down", devicesPerWorld-1) // no carrier
	}
	if w.down {
		w.add("link set d%d down", devicesPerWorld-2)
	}
	w.batch(t)
	time.Sleep(50 * time.Millisecond) // carrier, linkwatch
	return w
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %v: %s", name, args, out)
}

func (w *world) sysctl(settings ...string) {
	exec.Command("ip", append([]string{"netns", "exec", w.netns, "sysctl", "-qw"}, settings...)...).Run()
}

func (w *world) add(format string, args ...any) { w.addTo(0, format, args...) }

func (w *world) addTo(family int, format string, args ...any) {
	w.script[family] = append(w.script[family], fmt.Sprintf(format, args...))
}

// source is mostly an address of the namespace.
func (w *world) source(family int) string {
	if own := w.own[family]; len(own) > 0 && w.IntN(6) > 0 {
		return own[w.IntN(len(own))]
	}
	if family == 6 {
		return w.ip6()
	}
	return w.ip4()
}

func (w *world) newAddress(family int) string {
	for {
		a := w.ip4()
		if family == 6 {
			a = w.ip6()
		}
		if !slices.Contains(w.own[family], a) {
			w.own[family] = append(w.own[family], a)
			return a
		}
	}
}

// batch runs the scripts; the kernel refuses some of what is random.
func (w *world) batch(t *testing.T) {
	t.Helper()
	for family, script := range w.script {
		if len(script) == 0 {
			continue
		}
		file := filepath.Join(t.TempDir(), "batch")
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(script, "\n")+"\n"), 0o600))
		out, _ := exec.Command("ip", "-n", w.netns, "-f", []string{0: "inet", 4: "inet", 6: "inet6"}[family], "-force", "-batch", file).CombinedOutput()
		require.NotContains(t, string(out), "Usage")
		if os.Getenv("ROUTE_SEED") != "" {
			for _, m := range regexp.MustCompile(`(?m)^(.*)\nCommand failed .*:(\d+)$`).FindAllStringSubmatch(string(out), -1) {
				n, _ := strconv.Atoi(m[2])
				t.Logf("refused: ip %s: %s", script[n-1], m[1])
			}
		}
		w.script[family] = nil
	}
}

func (w *world) sysctls() {
	var s []string
	for _, dev := range []string{"all", "d0", "d1", "d2", "d3", "d4"} {
		for _, key := range []string{"route_localnet", "accept_local", "src_valid_mark", "send_redirects"} {
			s = append(s, fmt.Sprintf("net.ipv4.conf.%s.%s=%d", dev, key, w.one(4)))
		}
		rp := w.IntN(3)
		if dev == "all" {
			rp *= w.one(3)
		}
		s = append(s, fmt.Sprintf("net.ipv4.conf.%s.rp_filter=%d", dev, rp))
		s = append(s, fmt.Sprintf("net.ipv4.conf.%s.ignore_routes_with_linkdown=%d", dev, w.one(3)))
		s = append(s, fmt.Sprintf("net.ipv6.conf.%s.ignore_routes_with_linkdown=%d", dev, w.one(3)))
	}
	s = append([]string{fmt.Sprintf("net.ipv4.ip_forward=%d", 1-w.one(5)),
		fmt.Sprintf("net.ipv6.conf.all.forwarding=%d", w.one(2))}, s...)
	if w.one(4) == 1 {
		s = append(s, "net.ipv4.conf.d2.forwarding=0")
	}
	w.sysctl(s...)
}

// one returns 1 in one of n cases, else 0.
func (w *world) one(n int) int {
	if w.IntN(n) == 0 {
		return 1
	}
	return 0
}

func (w *world) pick(words ...string) string { return words[w.IntN(len(words))] }

func (w *world) dev() string { return fmt.Sprintf("d%d", w.IntN(devicesPerWorld)) }

// ip4 draws from a small space, so that things meet.
func (w *world) ip4() string {
	return fmt.Sprintf("10.%d.%d.%d", w.IntN(3), w.IntN(3), w.pick4())
}

func (w *world) pick4() int { return []int{0, 1, 2, 3, 4, 127, 128, 200, 255}[w.IntN(9)] }

func (w *world) ip6() string {
	return fmt.Sprintf("fd0%d:%d::%x:%x", w.IntN(3), w.IntN(3), w.IntN(3), w.pick4())
}

func (w *world) addresses() {
	for i := range devicesPerWorld {
		if i == 0 && w.IntN(3) == 0 {
			continue
		}
		for range 1 + w.IntN(3) {
			scope := w.pick("", "", "", "", " scope link", " scope host")
			switch w.IntN(5) {
			case 0:
				w.add("addr add %s peer %s/%s dev d%d%s", w.newAddress(4), w.ip4(), w.pick("32", "24"), i, scope)
			default:
				w.add("addr add %s/%s brd + dev d%d%s", w.newAddress(4), w.pick("8", "16", "24", "25", "30", "31", "32"), i, scope)
			}
			w.addTo(6, "addr add %s/%s dev d%d nodad", w.newAddress(6), w.pick("32", "64", "112", "128"), i)
		}
	}
	if w.IntN(2) == 0 {
		w.add("addr add %s/32 dev lo", w.ip4())
		w.addTo(6, "addr add %s/128 dev lo", w.ip6())
	}
}

func (w *world) prefix4() string {
	if w.IntN(12) == 0 {
		return "default"
	}
	p := netip.PrefixFrom(netip.MustParseAddr(w.ip4()), []int{8, 15, 16, 23, 24, 25, 28, 31, 32}[w.IntN(9)])
	if w.IntN(20) == 0 {
		p = netip.MustParsePrefix(w.pick("127.0.0.8/29", "224.0.0.0/4", "239.1.0.0/16", "0.0.0.0/1"))
	}
	return p.Masked().String()
}

func (w *world) table() string {
	return w.pick("main", "main", "main", "100", "101", "102", "default", "local")
}

// route4 returns routes through gateways, or others: the kernel resolves
// gateways once, when the route is added.
func (w *world) route4(gateway bool) string {
	tail := " table " + w.table()
	if w.IntN(3) == 0 {
		tail += fmt.Sprintf(" metric %d", w.IntN(3)*10)
	}
	tos := ""
	if w.IntN(6) == 0 {
		tos = " tos " + w.pick("0x04", "0x08", "0x10", "0x1c", "0x20")
	}
	dst := w.prefix4() + tos
	if w.IntN(6) == 0 {
		tail += " src " + w.source(4)
	}
	if !gateway && w.IntN(8) == 0 {
		tail += " scope " + w.pick("link", "host", "site")
	}
	switch w.IntN(6) {
	case 0:
		if gateway {
			return dst + " via inet6 fe80::1 dev " + w.dev() + tail
		}
		return w.pick("blackhole", "unreachable", "prohibit", "throw", "throw") + " " + dst + tail
	case 1:
		if gateway {
			return dst + tail + " nexthop via " + w.ip4() + " dev " + w.dev() + " onlink weight 3 nexthop via " + w.ip4() + " dev " + w.dev() + " onlink"
		}
		return w.pick("local", "broadcast", "multicast") + " " + dst + " dev " + w.pick("lo", w.dev()) + tail
	case 2, 3:
		if gateway && !w.down {
			return dst + " via " + w.ip4() + tail
		}
	case 4:
		if gateway {
			return dst + " via " + w.ip4() + " dev " + w.dev() + tail + " onlink"
		}
	}
	return dst + " dev " + w.dev() + tail
}

func (w *world) route6() string {
	dst := "default"
	if w.IntN(12) > 0 {
		dst = netip.PrefixFrom(netip.MustParseAddr(w.ip6()), []int{8, 16, 32, 48, 64, 112, 127, 128}[w.IntN(8)]).Masked().String()
	}
	tail := " table " + w.pick("main", "main", "main", "100", "101", "102", "local")
	plain, metric := tail, 10+w.IntN(3)*10
	if w.IntN(3) == 0 {
		plain += fmt.Sprintf(" metric %d", metric)
	}
	// A route without gateway between two that make one multipath is not dumped (fib6_dump_node).
	tail += fmt.Sprintf(" metric %d", metric+1)
	if w.IntN(6) == 0 {
		tail += " src " + w.source(6) // of one of several next hops no dump shows it
	}
	switch w.IntN(9) {
	case 0:
		return w.pick("blackhole", "unreachable", "prohibit", "throw", "throw") + " " + dst + tail
	case 1:
		return "local " + dst + " dev " + w.pick("lo", w.dev()) + tail
	case 2:
		return dst + plain + " nexthop via fe80::1 dev " + w.dev() + " weight 2 nexthop via fe80::2 dev " + w.dev()
	case 3, 4:
		return dst + " via " + w.ip6() + plain
	case 5, 6:
		return dst + " via fe80::7 dev " + w.dev() + plain
	}
	return dst + " dev " + w.dev() + tail
}

func (w *world) rule(family int) string {
	addr, bits := w.ip4, []string{"8", "16", "24", "32"}
	if family == 6 {
		addr, bits = w.ip6, []string{"16", "32", "64", "128"}
	}
	priority := 1 + w.IntN(40)
	s := fmt.Sprintf("pref %d", priority)
	words := map[string]func() string{
		"from":    func() string { return addr() + "/" + w.pick(bits...) },
		"to":      func() string { return addr() + "/" + w.pick(bits...) },
		"iif":     func() string { return w.pick("lo", "d0", "d1", "d2", "gone") },
		"oif":     func() string { return w.pick("lo", "d0", "d1", "gone") },
		"fwmark":  func() string { return w.pick("1", "2", "0x10/0xf0", "0/0xff", "0x3/0x2") },
		"tos":     func() string { return w.pick("0x04", "0x10") },
		"ipproto": func() string { return w.pick("tcp", "udp", "icmp") },
		"sport":   func() string { return w.pick("1000", "1000-2000") },
		"dport":   func() string { return w.pick("80", "50-100") },
	}
	names := []string{"from", "to", "iif", "oif", "fwmark", "tos", "ipproto", "sport", "dport"}
	if w.IntN(5) == 0 {
		s = "not " + s
	}
	for range w.IntN(3) {
		n := w.IntN(len(names))
		s += " " + names[n] + " " + words[names[n]]()
		names = slices.Delete(names, n, n+1)
	}
	switch w.IntN(10) {
	case 0:
		return s + " " + w.pick("blackhole", "unreachable", "prohibit")
	case 1:
		return s + " nop"
	case 2:
		return s + fmt.Sprintf(" goto %d", priority+1+w.IntN(20))
	case 3:
		return s + " lookup main suppress_prefixlength " + w.pick("0", "8", "16", "32")
	case 4:
		return s + " lookup 100 suppress_ifgroup " + w.pick("0", "7")
	case 5:
		return s + " lookup local"
	}
	return s + " lookup " + w.pick("100", "101", "102", "main", "103")
}

func (w *world) query(family int) Query {
	addr := w.ip4
	if family == 6 {
		addr = w.ip6
	}
	q := Query{Dst: netip.MustParseAddr(addr()), Protocol: model.TCP, SPort: uint16(999 + w.IntN(3)*500), DPort: uint16(79 + w.IntN(3))}
	if family == 4 && w.IntN(15) == 0 {
		q.Dst = netip.MustParseAddr(w.pick("127.0.0.1", "127.0.0.9", "127.255.255.255", "255.255.255.255", "0.0.0.5"))
		// No multicast: the kernel caches its type where unicast finds it.
	}
	if family == 6 && w.IntN(15) == 0 {
		q.Dst = netip.MustParseAddr(w.pick("::1", "fe80::1", "2001:db8::1", "2002::1"))
	}
	switch w.IntN(10) {
	case 0, 1, 2, 3:
		q.Src, q.IIf = netip.MustParseAddr(addr()), w.dev()
		if family == 4 && w.IntN(15) == 0 {
			q.Src = netip.MustParseAddr(w.pick("127.0.0.1", "224.0.0.1", "255.255.255.255"))
		}
	case 4, 5:
		q.Src = netip.MustParseAddr(w.source(family))
	case 6:
		q.OIf = w.dev()
	}
	if w.IntN(3) == 0 {
		q.Mark = []uint32{1, 2, 3, 0x10, 0x13}[w.IntN(5)]
	}
	if w.IntN(4) == 0 {
		q.TOS = []uint8{4, 8, 0x10, 0x1c, 0x20, 0x24}[w.IntN(6)]
	}
	if w.IntN(4) == 0 {
		q.Protocol = model.UDP
	}
	return q
}

func (q Query) args() string {
	s := "route get " + q.Dst.String()
	if q.Src.IsValid() {
		s += " from " + q.Src.String()
	}
	if q.IIf != "" {
		s += " iif " + q.IIf
	}
	if q.OIf != "" {
		s += " oif " + q.OIf
	}
	return s + fmt.Sprintf(" mark %d tos %#x ipproto %s sport %d dport %d", q.Mark, q.TOS, q.Protocol, q.SPort, q.DPort)
}

// ask asks the kernel: one answer per query.
func (w *world) ask(t *testing.T, family int, queries []Query) []string {
	t.Helper()
	var script strings.Builder
	for _, q := range queries {
		script.WriteString(q.args() + "\n")
	}
	file := filepath.Join(t.TempDir(), "queries")
	require.NoError(t, os.WriteFile(file, []byte(script.String()), 0o600))
	cmd := exec.Command("ip", "-n", w.netns, "-j", "-d", "-"+strconv.Itoa(family), "-force", "-batch", file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, _ := cmd.Output()
	failed := map[int]string{}
	for _, m := range regexp.MustCompile(`(?m)^(?:RTNETLINK answers|Error): (.*)\nCommand failed .*:(\d+)$`).FindAllStringSubmatch(stderr.String(), -1) {
		n, _ := strconv.Atoi(m[2])
		failed[n] = strings.TrimSuffix(m[1], ".")
	}
	lines := strings.Split(strings.TrimSpace(string(stdout)), "\n")
	var answers []string
	for i := range queries {
		if why, ok := failed[i+1]; ok {
			answers = append(answers, why)
			continue
		}
		require.NotEmpty(t, lines, "fewer answers than queries: %s", stderr.String())
		answers = append(answers, lines[0])
		lines = lines[1:]
	}
	return answers
}

// compare asks n queries of both and returns how many were compared.
func (w *world) compare(t *testing.T, family, n int) int {
	t.Helper()
	info := dumpNetns(t, w.netns)
	f, errs := New(info)
	require.Empty(t, errs)
	var queries []Query
	for range n {
		queries = append(queries, w.query(family))
	}
	bad := 0
	for i, answer := range w.ask(t, family, queries) {
		want := w.kernelSays(t, answer, queries[i])
		got := f.weSay(queries[i])
		if !slices.Contains(got, want) && bad < 5 {
			bad++
			t.Errorf("seed %d IPv%d %s\nkernel %s\nwe     %s\n%+v", w.seed, family, queries[i].args(), want,
				strings.Join(got, "\n       "), f.Lookup(queries[i], nil))
		}
	}
	if bad > 0 && os.Getenv("ROUTE_SEED") != "" {
		for _, args := range [][]string{{"addr"}, {"rule"}, {"route", "show", "table", "all"}} {
			out, _ := exec.Command("ip", append([]string{"-n", w.netns, "-" + strconv.Itoa(family)}, args...)...).CombinedOutput()
			t.Logf("%v\n%s", args, out)
		}
	}
	return n
}

func (w *world) kernelSays(t *testing.T, answer string, q Query) string {
	if !strings.HasPrefix(answer, "[") {
		if answer == "Invalid cross-device link" {
			return "Invalid argument"
		}
		return answer
	}
	var list []object
	require.NoError(t, json.Unmarshal([]byte(answer), &list), answer)
	o := list[0]
	s := fmt.Sprintf("%s dev %s via %s", text(o, "type"), text(o, "dev"), via(o))
	if q.IIf == "" && !q.Src.IsValid() {
		s += " src " + text(o, "prefsrc")
	}
	if w.custom && text(o, "table") != "" || q.Dst.Is6() {
		s += " table " + text(o, "table")
	}
	return s
}

// weSay returns every way in which our answer may come out.
func (f *FIB) weSay(q Query) (all []string) {
	for c := netfilter.NewChoices(); c.Next(); {
		r := f.Lookup(q, c)
		checked := q
		if checked.IIf != "" {
			checked.OIf = r.Dev
		}
		if f.Validate(checked) != nil && q.Dst.Is4() { // ip route get does not run ip6_rcv
			all = append(all, "Invalid argument") // also of the reverse path filter, since Linux 6.14
			continue
		}
		all = append(all, f.say(q, r))
	}
	return all
}

func (f *FIB) say(q Query, r Result) string {
	on, _, _ := f.Forwarding(q.IIf, false)
	off := q.IIf != "" && !on && q.Dst.Is4()
	switch r.Type {
	case TypeLocal, TypeBroadcast:
	case TypeBlackhole:
		if off {
			return "No route to host"
		}
		return "Invalid argument"
	case TypeUnreachable:
		if r.Prefix.IsValid() || off {
			return "No route to host"
		}
		return "Network is unreachable"
	case TypeProhibit:
		if off {
			return "No route to host"
		}
		return "Permission denied"
	case TypeNone:
		if off {
			return "No route to host"
		}
		if strings.Contains(r.Rule, "may not leave by") {
			return "Invalid argument"
		}
		return "Network is unreachable"
	default:
		if off {
			return "No route to host"
		}
	}
	s := fmt.Sprintf("%s dev %s via %s", r.Type, r.Dev, addrText(r.Via))
	if q.IIf == "" && !q.Src.IsValid() {
		s += " src " + addrText(r.Src)
	}
	if !f.merged && r.Table != 0 || q.Dst.Is6() {
		s += " table " + tableName(r.Table)
	}
	return s
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
