package nftables_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/analyze/netstack/nftables"
)

var update = flag.Bool("update", false, "ask nft what it makes of the rules, and write "+recordFile)

// inNetns runs f in a network namespace of its own, or skips the test.
func inNetns(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: asks the kernel")
	}
	for _, tool := range []string{"ip", "nft"} {
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
		err = fmt.Errorf("%s: %w: %s", name, err, exit.Stderr)
	}
	return string(out), err
}

// devices makes the devices that the probes leave by.
func devices(t *testing.T) bool {
	for _, args := range []string{"link add tx0 type veth peer name tx1", "link set tx1 up", "addr add 10.0.0.1/24 dev tx0", "addr add fd00::1/64 dev tx0 nodad", "link set tx0 arp off up", "link set lo up", "route add default dev tx0"} {
		if _, err := sh("", "ip", strings.Fields(args)...); err != nil {
			t.Log("skipped: ", err)
			return false
		}
	}
	return true
}

// An object is what "nft -j list" prints of the things that the tests look at.
type object struct {
	Rule *struct {
		Family, Chain, Comment string
		Expr                   []json.RawMessage
	}
	Chain *struct{ Name string }
	Set   json.RawMessage
	Map   json.RawMessage
}

func list(t *testing.T, args ...string) (all []json.RawMessage) {
	out, err := sh("", "nft", append([]string{"-j", "list"}, args...)...)
	var dump struct{ Nftables []json.RawMessage }
	if err == nil {
		err = json.Unmarshal([]byte(out), &dump)
	}
	if err != nil {
		t.Error(err)
	}
	return dump.Nftables
}

// A kernelRule is a rule of the rows in the chain type that takes it.
type kernelRule struct{ family, rule, chain string }

// kernelRules are the rules of the rows, each once.
func kernelRules() (all []kernelRule) {
	seen := map[kernelRule]bool{}
	add := func(k kernelRule) {
		if !seen[k] && !strings.HasPrefix(k.rule, "[") {
			all = append(all, k)
		}
		seen[k] = true
	}
	for _, r := range matchRows() {
		add(kernelRule{r.family, r.rule, "type filter hook " + strings.ToLower(frame(r.frame).Hook.String()) + " priority -1"})
	}
	for _, r := range statementRows() {
		add(kernelRule{r.family, r.rule, r.kernelChain()})
	}
	return all
}

// TestKernelRecord asks nft what it makes of every rule, and compares it with
// what is recorded.
func TestKernelRecord(t *testing.T) {
	inNetns(t, func() {
		if !devices(t) {
			return
		}
		version, _ := sh("", "nft", "--version")
		version = strings.Fields(version)[1]
		want := record{Version: version, Tables: map[string]json.RawMessage{}, Rules: map[string]map[string]json.RawMessage{}}
		if !*update {
			if want = readRecord(t); want.Version != version {
				t.Log("skipped: recorded with nft ", want.Version, ", this is ", version)
				return
			}
		}
		refused := 0
		for _, k := range kernelRules() {
			got, tables, err := recordRule(t, k)
			switch {
			case err != nil:
				refused++
				if _, recorded := want.Rules[k.family][k.rule]; !recorded {
					t.Logf("refused, and not recorded: %s %s: %v", k.family, k.rule, err)
				}
			case *update:
				if want.Rules[k.family] == nil {
					want.Rules[k.family] = map[string]json.RawMessage{}
				}
				want.Rules[k.family][k.rule], want.Tables[k.family] = got, tables
			case compact(want.Rules[k.family][k.rule]) != compact(got):
				t.Errorf("%s %s: recorded\n%s\nnft says\n%s", k.family, k.rule, want.Rules[k.family][k.rule], got)
			}
		}
		t.Logf("%d rules, %d of them refused by this kernel", len(kernelRules()), refused)
		if *update {
			if err := os.WriteFile(recordFile, want.text(), 0o644); err != nil {
				t.Error(err)
			}
		}
	})
}

// text prints a record, one rule a line.
func (r record) text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "{\"Version\": %q, \"Tables\": {", r.Version)
	for i, family := range slices.Sorted(maps.Keys(r.Tables)) {
		fmt.Fprintf(&b, "%s\n%q: %s", map[bool]string{true: ","}[i > 0], family, r.Tables[family])
	}
	b.WriteString("\n}, \"Rules\": {")
	for i, family := range slices.Sorted(maps.Keys(r.Rules)) {
		fmt.Fprintf(&b, "%s\n%q: {", map[bool]string{true: ","}[i > 0], family)
		for j, rule := range slices.Sorted(maps.Keys(r.Rules[family])) {
			name, _ := json.Marshal(rule)
			fmt.Fprintf(&b, "%s\n  %s: %s", map[bool]string{true: ","}[j > 0], name, compact(r.Rules[family][rule]))
		}
		b.WriteString("}")
	}
	b.WriteString("\n}}\n")
	return []byte(b.String())
}

func compact(m json.RawMessage) string {
	var v any
	_ = json.Unmarshal(m, &v)
	text, _ := json.Marshal(v)
	return string(text)
}

// recordRule loads a rule and returns its expressions, and the entries of its
// table but the chain and the rule.
func recordRule(t *testing.T, k kernelRule) (exprs, tables json.RawMessage, err error) {
	_, _ = sh("", "nft", "flush", "ruleset")
	if _, err = sh(fmt.Sprintf("table %s t {%s\nchain base { %s; \n%s\n}\n}", k.family, sets, k.chain, k.rule), "nft", "-f", "-"); err != nil {
		return nil, nil, err
	}
	var rest []json.RawMessage
	for _, raw := range list(t, "table", k.family, "t") {
		var o object
		_ = json.Unmarshal(raw, &o)
		switch {
		case o.Rule != nil && o.Rule.Chain == "base":
			exprs, err = json.Marshal(o.Rule.Expr)
		case o.Chain != nil && o.Chain.Name == "base":
		case !strings.Contains(string(raw), `"metainfo"`):
			rest = append(rest, raw)
		}
	}
	tables, _ = json.Marshal(rest)
	return exprs, tables, err
}

// A probe is a packet that the kernel sends, and what a rule sees of it.
type probe struct {
	frame string
	send  func() error
}

func probes() []probe {
	me, other := net.ParseIP("10.0.0.1"), net.ParseIP("10.0.0.2")
	me6, other6 := net.ParseIP("fd00::1"), net.ParseIP("fd00::2")
	udp := func(port, mark, tos int, from, to net.IP) func() error {
		return func() error {
			if server, err := net.ListenUDP("udp", &net.UDPAddr{IP: to, Port: 53}); err == nil {
				defer server.Close()
			}
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: from, Port: port}, Control: options(mark, tos)}
			c, err := d.Dial("udp", net.JoinHostPort(to.String(), "53"))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}
	}
	syn := func(from, to net.IP) func() error {
		return func() error {
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: from, Port: 1000}, Timeout: 50 * time.Millisecond}
			if c, err := d.Dial("tcp", net.JoinHostPort(to.String(), "80")); err == nil {
				c.Close()
			}
			return nil
		}
	}
	echo := func(network string, from, to net.IP, typ byte) func() error {
		return func() error {
			c, err := net.ListenIP(network, &net.IPAddr{IP: from})
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.WriteTo([]byte{typ, 0, 0xf7, 0xff, 0, 0, 0, 0}, &net.IPAddr{IP: to})
			return err
		}
	}
	return []probe{
		{"udp 10.0.0.1:1000 > 10.0.0.2:53 hook=OUTPUT out=tx0 ttl=64 size=29", udp(1000, 0, 0, me, other)},
		{"udp 10.0.0.1:1001 > 10.0.0.2:53 hook=OUTPUT out=tx0 ttl=64 size=29 mark=0x4001 tos=0xb8", udp(1001, 0x4001, 0xb8, me, other)},
		{"udp 10.0.0.1:1002 > 10.0.0.2:53 hook=OUTPUT out=tx0 ttl=64 size=29 mark=0x2 tos=0x10", udp(1002, 2, 0x10, me, other)},
		{"tcp 10.0.0.1:1000 > 10.0.0.2:80 hook=OUTPUT out=tx0 ttl=64", syn(me, other)},
		{"icmp 10.0.0.1 > 10.0.0.2 hook=OUTPUT out=tx0 ttl=64 size=28 type=8", echo("ip4:icmp", me, other, 8)},
		{"udp [fd00::1]:1003 > [fd00::2]:53 hook=OUTPUT out=tx0 ttl=64 size=49", udp(1003, 0, 0, me6, other6)},
		{"tcp [fd00::1]:1000 > [fd00::2]:80 hook=OUTPUT out=tx0 ttl=64 size=80", syn(me6, other6)},
		{"ipv6-icmp fd00::1 > fd00::2 hook=OUTPUT out=tx0 ttl=64 size=48 type=128", echo("ip6:ipv6-icmp", me6, other6, 128)},
		{"udp 10.0.0.1:1004 > 10.0.0.1:53 hook=INPUT in=lo ttl=64 size=29", udp(1004, 0, 0, me, me)},
		{"udp 10.0.0.1:1005 > 10.0.0.1:53 hook=INPUT in=lo ttl=64 size=29 mark=0x1 tos=0x20", udp(1005, 1, 0x20, me, me)},
		{"udp [fd00::1]:1006 > [fd00::1]:53 hook=INPUT in=lo ttl=64 size=49", udp(1006, 0, 0, me6, me6)},
	}
}

func options(mark, tos int) func(string, string, syscall.RawConn) error {
	return func(_, address string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_MARK, mark)
			if strings.Contains(address, ".") {
				_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, tos)
			}
		})
	}
}

// sender is the namespace that the probes are sent in.
type sender struct{ world }

func (sender) AddrType(a netip.Addr, dev string) netfilter.AddrType {
	if a.String() == "10.0.0.1" || a.String() == "fd00::1" {
		if dev == "" || dev == "tx0" {
			return netfilter.AddrLocal
		}
		return netfilter.AddrUnicast
	}
	if a.Is6() && dev == "lo" {
		return netfilter.AddrUnreachable
	}
	return world{}.AddrType(a, "none")
}

func (sender) DevGroup(string) (int, bool) { return 0, true }

// TestKernelMatches gives the kernel every rule of the rows with a counter, and
// sends it packets: the counters say which of the rules matched.
func TestKernelMatches(t *testing.T) {
	inNetns(t, func() {
		if !devices(t) {
			return
		}
		loaded := kernelMatches(readRecord(t))
		compared, left := 0, 0
		for _, p := range probes() {
			n, open := compareProbe(t, p, loaded)
			compared, left = compared+n, left+open
		}
		t.Logf("%d rules: %d answers equal the kernel's, %d left open", len(loaded), compared, left)
	})
}

// kernelMatches are the rules of the rows that only match, each once, by family
// and rule.
func kernelMatches(rec record) (rows []matchRow) {
	seen := map[string]bool{}
	for _, r := range matchRows() {
		if id := r.family + " " + r.rule; !seen[id] && rec.Rules[r.family][r.rule] != nil && r.name != "vmap" && !strings.Contains(r.rule, "vmap") {
			seen[id] = true
			rows = append(rows, r)
		}
	}
	return rows
}

// takes reports whether the kernel takes a rule at a hook.
func (r matchRow) takes(h netfilter.Hook) bool {
	switch h {
	case netfilter.Input:
		return !strings.HasPrefix(r.name, "rt")
	case netfilter.Output:
		return !strings.HasPrefix(r.name, "meta sdif") && (r.name != "fib" || strings.Contains(r.rule, "type") && !strings.Contains(r.rule, "iif"))
	}
	return true
}

// compareProbe loads each rule into a chain of its own, sends the packet, and
// compares the counters with what Run says.
func compareProbe(t *testing.T, p probe, rows []matchRow) (compared, open int) {
	f := frame(p.frame)
	f.Env = sender{}
	var text strings.Builder
	text.WriteString("flush ruleset\ntable ip6 quiet { chain out { type filter hook output priority -500; icmpv6 type { 130-143 } drop;\n}\n}\n")
	for _, family := range []string{"ip", "ip6", "inet"} {
		fmt.Fprintf(&text, "table %s t {%s\n", family, sets)
		for i, r := range rows {
			if r.family == family && r.takes(f.Hook) {
				fmt.Fprintf(&text, "chain c%d { type filter hook %s priority %d; %s counter comment \"%d\"\n}\n", i, strings.ToLower(f.Hook.String()), i, r.rule, i)
			}
		}
		text.WriteString("}\n")
	}
	if _, err := sh(text.String(), "nft", "-f", "-"); err != nil {
		t.Error(err)
		return 0, 0
	}
	if err := p.send(); err != nil {
		t.Log("skipped: ", p.frame, err)
		return 0, 0
	}
	rec := readRecord(t)
	for _, raw := range list(t, "ruleset") {
		var o object
		_ = json.Unmarshal(raw, &o)
		if o.Rule == nil || o.Rule.Comment == "" {
			continue
		}
		var i int
		_, _ = fmt.Sscanf(o.Rule.Comment, "%d", &i)
		switch compareRule(t, rec, f, o, p.frame+"\n"+rows[i].family+" "+rows[i].rule) {
		case netfilter.Yes:
			compared++
		case netfilter.Maybe:
			open++
		}
	}
	return compared, open
}

// compareRule compares the counter of a rule with what Run says: Maybe if that
// leaves it open, No if they differ.
func compareRule(t *testing.T, rec record, f netfilter.Frame, o object, name string) netfilter.Answer {
	var c struct{ Counter struct{ Packets int } }
	_ = json.Unmarshal(o.Rule.Expr[len(o.Rule.Expr)-1], &c)
	exprs, _ := json.Marshal(o.Rule.Expr)
	rs, errs := nftables.Parse(part(fmt.Sprintf(`{"nftables": [%s, {"chain": {"family": %q, "table": "t", "name": "base", %s}}, {"rule": {"family": %q, "table": "t", "chain": "base", "expr": %s, {"drop": null}]}}]}`,
		strings.Trim(string(rec.Tables[o.Rule.Family]), "[]\n"), o.Rule.Family, hookChain("filter", f.Hook), o.Rule.Family, strings.TrimSuffix(string(exprs), "]"))))
	if len(errs) > 0 {
		t.Errorf("%s: %v", name, errs)
	}
	want := "accept"
	if c.Counter.Packets > 0 {
		want = "drop"
	}
	switch got := verdicts(run(rs, f)); {
	case strings.Contains(got, ","):
		return netfilter.Maybe
	case got != want:
		t.Errorf("%s: the kernel counts %d, so %s, not %s", name, c.Counter.Packets, want, got)
		return netfilter.No
	}
	return netfilter.Yes
}
