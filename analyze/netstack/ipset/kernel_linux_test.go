package ipset_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/ipset"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// TestKernelSets fills the kernel with random sets, asks it for elements and
// sends it packets through rules of them, and compares. IPSET_WORLDS says how
// often, IPSET_SEED where to begin.
func TestKernelSets(t *testing.T) {
	worlds, seed := number("IPSET_WORLDS", 1), uint64(number("IPSET_SEED", 1))
	for n := range worlds {
		inNetns(t, func() {
			w := &world{t: t, gen: gen{rand.New(rand.NewPCG(seed, uint64(n)))}, about: fmt.Sprintf("IPSET_SEED=%d world %d", seed, n)}
			if err := w.build(); err != nil {
				t.Log("skipped: ", err)
				return
			}
			w.compareElements()
			w.comparePackets()
			t.Logf("%s: %d sets, %d elements asked for, %d packets through %d rules: %d answers equal the kernel's, %d left open",
				w.about, len(w.names), w.elements, w.packets, w.ruleCount, w.equal, w.open)
		})
	}
}

func number(name string, few int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return few
}

// inNetns runs f in a network namespace of its own, or skips the test.
func inNetns(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: asks the kernel")
	}
	for _, tool := range []string{"ip", "ipset", "iptables-restore", "ip6tables-restore"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("needs " + tool + ": asks the kernel")
		}
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with its namespace
		defer close(done)
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			done <- err
			return
		}
		f()
	}()
	if err := <-done; err != nil {
		t.Skip("needs a network namespace: ", err)
	}
}

// sh runs a command with an input and returns its output.
func sh(input, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// A world is a namespace with a device that packets come in by, random sets, and
// rules that ask for them.
type world struct {
	t     *testing.T
	gen   gen
	about string
	names []string
	kinds map[string]kind // of the sets, by name
	text  string          // what ipset save says
	sets  *ipset.Sets
	rules [2][]rule // of IPv4 and of IPv6
	fd    int
	tx    int // index of the device that packets are sent by

	elements, packets, ruleCount, equal, open int
}

// A rule asks for a set.
type rule struct {
	set     string
	dirs    []string
	nomatch bool
}

func (r rule) String() string {
	s := "-m set --match-set " + r.set + " " + strings.Join(r.dirs, ",")
	if r.nomatch {
		s += " --return-nomatch"
	}
	return s
}

func (w *world) build() error {
	for _, args := range []string{
		"link add tx0 type veth peer name rx0", "link set rx0 address 02:00:00:00:00:02", "link set tx0 addrgenmode none", "link set tx0 up", "link set rx0 up",
		"addr add 10.9.9.9/24 dev rx0", // so that IP is spoken
	} {
		if _, err := sh("", "ip", strings.Fields(args)...); err != nil {
			return err
		}
	}
	out, err := sh("", "ip", "-o", "link", "show", "tx0")
	if err != nil {
		return err
	}
	w.tx, _ = strconv.Atoi(strings.SplitN(out, ":", 2)[0])
	if w.fd, err = syscall.Socket(syscall.AF_PACKET, syscall.SOCK_RAW, 0); err != nil {
		return err
	}
	w.makeSets()
	w.makeRules()
	return w.save()
}

// save reads the sets that the kernel has.
func (w *world) save() (err error) {
	if w.text, err = sh("", "ipset", "save"); err != nil {
		return err
	}
	sets, errs := ipset.Parse(part(w.text))
	if len(errs) > 0 {
		w.t.Errorf("%s: %v", w.about, errs)
	}
	w.sets = sets
	return nil
}

// makeSets gives the kernel sets of every type that it has.
func (w *world) makeSets() {
	w.kinds = map[string]kind{}
	var missing []string
	for n := range 5 {
		for _, typ := range ipset.Types() {
			if typ == "list:set" && n == 0 {
				continue // they need members
			}
			k := w.gen.kind(typ)
			name := fmt.Sprintf("s%d", len(w.names))
			if _, err := sh("create "+name+" "+typ+k.options+"\n", "ipset", "restore"); err != nil {
				missing = append(missing, typ)
				continue
			}
			members := w.members()
			w.names, w.kinds[name] = append(w.names, name), k
			for range 1 + w.gen.IntN(12) {
				element := w.gen.element(k, members)
				_, _ = sh("add "+name+" "+element+"\n", "ipset", "restore", "-!") // the kernel may refuse one
			}
		}
	}
	slices.Sort(missing)
	if missing = slices.Compact(missing); len(missing) > 0 {
		w.t.Log("not known to this kernel, or refused: ", strings.Join(missing, " "))
	}
}

// members returns the sets that a list may have: not those that a rule changes.
func (w *world) members() (names []string) {
	for _, name := range w.names {
		if w.kinds[name].typ != "bitmap:ip,mac" {
			names = append(names, name)
		}
	}
	return names
}

func (w *world) makeRules() {
	var text [2]string
	for _, name := range w.names {
		rules := 3
		if w.kinds[name].typ == "bitmap:ip,mac" { // a rule may give an address its MAC
			rules = 1
		}
		for range rules {
			r := rule{set: name, dirs: w.gen.dirs(w.kinds[name]), nomatch: w.gen.IntN(4) == 0}
			for family := range 2 {
				if !w.kinds[name].takes(family == 1) {
					continue
				}
				w.rules[family] = append(w.rules[family], r)
				text[family] += "-A PREROUTING -i rx0 " + r.String() + "\n"
			}
		}
	}
	for family, tool := range []string{"iptables-restore", "ip6tables-restore"} {
		if _, err := sh("*raw\n"+text[family]+"-A PREROUTING -i rx0\nCOMMIT\n", tool); err != nil {
			w.t.Errorf("%s: %v", w.about, err)
		}
	}
	w.ruleCount = len(w.rules[0]) + len(w.rules[1])
}

// compareElements asks ipset for elements, each of which is a packet too.
func (w *world) compareElements() {
	var input strings.Builder
	var queries []ipset.Query
	var asked []string
	for _, name := range w.names {
		k := w.kinds[name]
		if k.typ == "list:set" || k.typ == "bitmap:ip,mac" { // asked for members, and for an address of any MAC
			continue
		}
		for range 25 {
			q, element := w.gen.query(k)
			queries, asked = append(queries, q), append(asked, name+" "+element)
			fmt.Fprintf(&input, "test %s %s\n", name, element)
		}
	}
	cmd := exec.Command("ipset", "-")
	cmd.Stdin = strings.NewReader(input.String())
	out, _ := cmd.CombinedOutput()
	answers := regexp.MustCompile(`(?m)(is in set|is NOT in set|ipset>? v[^\n]*: .*)`).FindAllString(string(out), -1)
	if len(answers) != len(asked) {
		w.t.Errorf("%s: %d answers of ipset to %d questions:\n%.2000s", w.about, len(answers), len(asked), out)
		return
	}
	for i, q := range queries {
		name, _, _ := strings.Cut(asked[i], " ")
		w.compare(name, q, strings.Contains(answers[i], "is in set"), "ipset test "+asked[i])
	}
	w.elements = len(asked)
}

// comparePackets sends packets and reads which rules have counted them.
func (w *world) comparePackets() {
	for range 60 {
		family := w.gen.IntN(2)
		p := w.gen.packet(family == 1)
		smac := mac(w.gen.mac())
		if err := w.save(); err != nil {
			w.t.Errorf("%s: %v", w.about, err)
		}
		before := w.counters(family)
		if err := syscall.Sendto(w.fd, frameOf(p, mac("0:2"), smac), 0, &syscall.SockaddrLinklayer{Ifindex: w.tx, Halen: 6}); err != nil {
			w.t.Log("skipped: ", p, err)
			continue
		}
		after := w.counters(family)
		for tries := 0; len(after) > 0 && after[len(after)-1] == before[len(before)-1] && tries < 100; tries++ {
			time.Sleep(time.Millisecond)
			after = w.counters(family)
		}
		if len(after) == 0 || after[len(after)-1] == before[len(before)-1] {
			w.t.Errorf("%s: %v did not arrive", w.about, p)
			continue
		}
		w.packets++
		p.SrcMAC, p.DstMAC = macText(smac), macText(mac("0:2"))
		for i, r := range w.rules[family] {
			q := ipset.Query{Packet: p, In: "rx0", Dirs: r.directions(), ReturnNomatch: r.nomatch}
			w.compare(r.set, q, after[i] > before[i], fmt.Sprintf("%v from %s: %v", p, p.SrcMAC, r))
		}
	}
}

// counters returns how many packets each rule has counted.
func (w *world) counters(family int) (counts []int) {
	save, err := sh("", []string{"iptables-save", "ip6tables-save"}[family], "-c", "-t", "raw")
	if err != nil {
		w.t.Errorf("%s: %v", w.about, err)
	}
	for line := range strings.Lines(save) {
		if strings.HasPrefix(line, "[") {
			n, _ := strconv.Atoi(line[1:strings.IndexByte(line, ':')])
			counts = append(counts, n)
		}
	}
	return counts
}

func (w *world) compare(set string, q ipset.Query, kernel bool, what string) {
	switch w.sets.Test(set, q) {
	case netfilter.Maybe:
		w.open++
	case netfilter.AnswerOf(kernel):
		w.equal++
	default:
		var about []string
		for line := range strings.Lines(w.text) {
			if f := strings.Fields(line); len(f) > 1 && f[1] == set {
				about = append(about, line)
			}
		}
		w.t.Errorf("%s: the kernel says %v, of %s\n%s", w.about, kernel, what, strings.Join(about, ""))
	}
}

func (r rule) directions() (dirs []ipset.Dir) {
	for _, d := range r.dirs {
		dirs = append(dirs, map[string]ipset.Dir{"src": ipset.Src, "dst": ipset.Dst}[d])
	}
	return dirs
}

func macText(b []byte) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5])
}

// A kind is how a set was created.
type kind struct {
	typ, options string
	ipv6         bool
}

// takes reports whether rules of a family may ask for the set.
func (k kind) takes(ipv6 bool) bool {
	return k.typ == "list:set" || k.typ == "bitmap:port" || k.typ == "hash:mac" || k.ipv6 == ipv6
}

// A gen makes random sets and packets out of few values, so that they meet.
type gen struct{ *rand.Rand }

func (g gen) one(of ...string) string { return of[g.IntN(len(of))] }

func (g gen) kind(typ string) kind {
	k := kind{typ: typ}
	switch {
	case strings.HasPrefix(typ, "hash:") && typ != "hash:mac":
		if k.ipv6 = g.IntN(3) == 0; k.ipv6 {
			k.options = " family inet6"
		}
		k.options += g.one("", "", "", " forceadd", " hashsize 64 maxelem 1000")
	case typ == "bitmap:port":
		k.options = " range 0-1024"
	case strings.HasPrefix(typ, "bitmap:"):
		k.options = " range 10.0.0.0-10.0.1.255"
	case typ == "list:set":
		k.options = " size 8"
	}
	switch typ {
	case "hash:ip", "hash:ip,port":
		k.options += g.mask(k.ipv6)
	case "hash:net,net":
		k.options += g.mask(k.ipv6)
	case "bitmap:ip":
		k.options += g.one("", "", " netmask 24", " netmask 30")
	case "hash:ip,mark":
		k.options += g.one("", " markmask 0xff")
	}
	k.options += g.one("", "", " timeout 3000", " timeout 0") + g.one("", " counters") + g.one("", " comment") + g.one("", " skbinfo")
	return k
}

func (g gen) mask(ipv6 bool) string {
	if ipv6 {
		return g.one("", "", " netmask 64", " netmask 126", " bitmask ffff::ffff:1")
	}
	return g.one("", "", " netmask 24", " netmask 30", " bitmask 255.255.0.1", " bitmask 0.0.255.3")
}

func (g gen) addr(ipv6 bool) string {
	if ipv6 {
		return fmt.Sprintf("fd00::%d:%d", g.IntN(2), g.IntN(5))
	}
	return fmt.Sprintf("10.0.%d.%d", g.IntN(2), g.IntN(5))
}

func (g gen) net(ipv6 bool) string {
	if ipv6 {
		return g.addr(true) + g.one("", "/128", "/127", "/126", "/112", "/64", "/16", "/1")
	}
	return g.addr(false) + g.one("", "/32", "/31", "/30", "/24", "/23", "/16", "/8", "/1")
}

func (g gen) mac() string { return g.one("0:3", "0:4", "0:5") }

func (g gen) port() string { return g.one("79", "80", "80", "81") }

func (g gen) portPart(k kind) string {
	switch {
	case k.typ == "bitmap:port":
		return g.port()
	case k.ipv6:
		return g.one("tcp:"+g.port(), "udp:"+g.port(), g.port(), "icmpv6:echo-request", "icmpv6:128/1", "gre:0")
	}
	return g.one("tcp:"+g.port(), "udp:"+g.port(), "sctp:"+g.port(), g.port(), "icmp:echo-request", "icmp:8/1", "icmp:3/1", "gre:0")
}

// element returns a random element of a set, with what may follow it. Members of
// lists are among the sets made before.
func (g gen) element(k kind, sets []string) string {
	if k.typ == "list:set" {
		return g.one(sets...)
	}
	parts, nets := []string{}, false
	for _, dim := range strings.Split(k.typ[strings.IndexByte(k.typ, ':')+1:], ",") {
		switch dim {
		case "ip":
			parts = append(parts, g.addr(k.ipv6))
		case "net":
			parts, nets = append(parts, g.net(k.ipv6)), true
		case "port":
			parts = append(parts, g.portPart(k))
		case "mac":
			parts = append(parts, macText(mac(g.mac())))
		case "iface":
			parts = append(parts, g.one("rx0", "rx0", "rx1", "rx", "physdev:rx0", "rx+"))
		case "mark":
			parts = append(parts, g.one("0x1", "0x101", "0x0"))
		}
	}
	if k.typ == "bitmap:ip,mac" && g.IntN(3) == 0 {
		parts = parts[:1]
	}
	text := strings.Join(parts, ",")
	if nets && g.IntN(3) == 0 {
		text += " nomatch"
	}
	if strings.HasSuffix(k.typ, "iface") && g.IntN(3) == 0 {
		text += " wildcard"
	}
	return text + g.extensions(k)
}

// extensions returns what may follow an element if the set was created for it.
func (g gen) extensions(k kind) (text string) {
	for word, more := range map[string]string{"timeout": " timeout 2000", "counters": " packets 3 bytes 4", "comment": ` comment "a b nomatch"`, "skbinfo": " skbmark 0x1/0xff skbprio 1:2 skbqueue 3"} {
		if strings.Contains(k.options, " "+word) && g.IntN(2) == 0 {
			text += more
		}
	}
	return text
}

// dirs returns as many directions as the set has dimensions; at times one more or
// less.
func (g gen) dirs(k kind) (dirs []string) {
	n := 1 + strings.Count(k.typ, ",")
	if k.typ == "list:set" {
		n = 1 + g.IntN(3)
	}
	n = max(1, n+[]int{0, 0, 0, 0, 1, -1}[g.IntN(6)])
	for range n {
		dirs = append(dirs, g.one("src", "dst"))
	}
	return dirs
}

func (g gen) packet(ipv6 bool) model.Packet {
	src, dst := netip.MustParseAddr(g.addr(ipv6)), netip.MustParseAddr(g.addr(ipv6))
	port := func() uint16 { n, _ := strconv.Atoi(g.port()); return uint16(n) }
	p := model.Packet{Protocol: model.Protocol(g.one("tcp", "tcp", "udp", "udp", "sctp", "gre", "icmp")), Src: netip.AddrPortFrom(src, 0), Dst: netip.AddrPortFrom(dst, 0)}
	switch {
	case p.Protocol.HasPorts():
		p.Src, p.Dst = netip.AddrPortFrom(src, port()), netip.AddrPortFrom(dst, port())
	case p.Protocol == model.ICMP && ipv6:
		p.Protocol, p.ICMPType, p.ICMPCode = model.ICMPv6, 128, uint8(g.IntN(2))
	case p.Protocol == model.ICMP:
		p.ICMPType, p.ICMPCode = 8, uint8(g.IntN(2))
	}
	return p
}

// query returns a packet and the element that it is: its source and the port of
// its destination first.
func (g gen) query(k kind) (q ipset.Query, element string) {
	q.Packet, q.In = g.packet(k.ipv6), g.one("rx0", "rx1", "rx2")
	q.Packet.SrcMAC = macText(mac(g.mac()))
	q.Packet.Mark = uint32(g.IntN(3))
	addrs := 0
	var parts []string
	for _, dim := range strings.Split(k.typ[strings.IndexByte(k.typ, ':')+1:], ",") {
		dir := ipset.Src
		switch dim {
		case "ip", "net":
			if addrs++; addrs > 1 {
				dir = ipset.Dst
			}
			parts = append(parts, []netip.AddrPort{q.Packet.Src, q.Packet.Dst}[dir].Addr().String())
		case "port":
			dir = ipset.Dst
			if k.typ == "bitmap:port" {
				q.Packet.Protocol = model.TCP
			}
			parts = append(parts, portElement(k, &q.Packet))
		case "mac":
			parts = append(parts, q.Packet.SrcMAC)
		case "iface":
			parts = append(parts, q.In)
		case "mark":
			parts = append(parts, strconv.Itoa(int(q.Packet.Mark)))
		}
		q.Dirs = append(q.Dirs, dir)
	}
	return q, strings.Join(parts, ",")
}

func portElement(k kind, p *model.Packet) string {
	switch {
	case k.typ == "bitmap:port":
		return strconv.Itoa(int(p.Dst.Port()))
	case p.Protocol == model.ICMPv6:
		return fmt.Sprintf("icmpv6:%d/%d", p.ICMPType, p.ICMPCode)
	case p.Protocol == model.ICMP:
		return fmt.Sprintf("icmp:%d/%d", p.ICMPType, p.ICMPCode)
	case p.Protocol.HasPorts():
		return fmt.Sprintf("%s:%d", p.Protocol, p.Dst.Port())
	}
	return string(p.Protocol) + ":0"
}
