package iptables_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A gen makes random rules and packets out of few values, so that they meet.
type gen struct {
	*rand.Rand
	hook string // base chain
	real bool   // only what the kernel takes in the table raw, of one family
	ipv6 bool   // which
}

func (g gen) one(of ...string) string { return of[g.IntN(len(of))] }

// some returns text in n of 10 cases, at times with a "!" before it.
func (g gen) some(n int, text string) string {
	if text == "" || g.IntN(10) >= n {
		return ""
	}
	if g.IntN(6) == 0 {
		return " !" + text
	}
	return text
}

func (g gen) addr() string { return fmt.Sprintf("10.0.%d.%d", g.IntN(3), g.IntN(4)) }

func (g gen) addr6() string { return fmt.Sprintf("fd00::%d:%d", g.IntN(3), g.IntN(4)) }

func (g gen) net() string {
	if g.ipv6 || !g.real && g.IntN(12) == 0 {
		return g.addr6() + g.one("", "/128", "/64", "/112", "/127", "/126", "/32", "/::ffff")
	}
	switch n := g.IntN(12); {
	case n == 0 && !g.real: // nobody would write "! 0.0.0.0/0", which the kernel does not take
		return "0.0.0.0/0"
	case n < 2:
		return g.addr() + "/255.0.255.3"
	}
	return g.addr() + g.one("", "/32", "/32", "/32", "/31", "/30", "/25", "/24", "/23", "/16", "/8")
}

// rule returns what a rule asks for and what it does. Few rules decide, so that
// a packet meets many.
func (g gen) rule(chains []string) string {
	r := g.some(4, " -s "+g.net()) + g.some(6, " -d "+g.net()) + g.some(2, " -o "+g.one("dummy0", "eth1", "dum+"))
	if !g.real {
		r += g.some(2, " -i "+g.one("eth0", "eth1", "eth+"))
	}
	proto := g.one("tcp", "udp", "udp", "", g.icmp(), "6")
	if asked := g.some(10, " -p "+proto); proto != "" {
		if r += asked; asked != "" && asked[1] != '!' && (proto == "tcp" || proto == "udp") {
			r += " -m " + proto + g.some(5, " --dport "+g.one("80", "80", "53", "79:80", "0:65534")) + g.some(2, " --sport "+g.one("1000", "1001", "1:1000"))
			r += g.one("", "", "", " -m multiport --dports 53,80", " -m multiport ! --ports 79:80,1000")
		}
	}
	conditions := []string{"", "", "", "", "", " -m mark --mark 0x1/0x1", " -m mark ! --mark 0x2/0x2", " -m limit --limit 1/sec",
		" -m statistic --mode random --probability 0.5", " -m comment --comment \"a -d b\"", " -m length --length 29:60", " -m tos --tos 0x10/0x10"}
	switch {
	case !g.real:
		conditions = append(conditions, " -m quantum --foo", " -s 10.0.0.1", " -m set --match-set hosts src")
	case !g.ipv6:
		conditions = append(conditions, " -m set --match-set hosts src", " -m set ! --match-set pairs dst,dst", " -m ttl --ttl-gt 63", " -m iprange --dst-range 10.0.0.1-10.0.0.2")
	}
	condition := g.one(conditions...)
	return r + condition + g.target(chains, strings.Contains(condition, "limit") || strings.Contains(condition, "statistic"))
}

func (g gen) icmp() string {
	if g.ipv6 {
		return "ipv6-icmp"
	}
	return "icmp"
}

// target returns what a rule does, something if that must show.
func (g gen) target(chains []string, shows bool) string {
	switch n := g.IntN(40); {
	case n < 18 || shows:
		return " -j MARK --set-xmark " + g.one("0x1/0x1", "0x0/0x1", "0x2/0x2", "0x0/0x3", "0x10/0xf0")
	case n < 30 && len(chains) > 0:
		return g.one(" -j ", " -j ", " -g ") + g.one(chains...)
	case n < 33:
		return " -j RETURN"
	case n < 34:
		return " -j " + g.one("ACCEPT", "DROP")
	case n < 36 && !g.real:
		return " -j " + g.one("REJECT", "FOO", "MISSING")
	case n < 38:
		return ""
	}
	return " -j NFLOG"
}

// ruleset returns a table of a long chain and of chains that it leads to.
func (g gen) ruleset(table string, longest int) string {
	chains := []string{"A", "B", "C", "D"}
	text := "*" + table + "\n:" + g.hook + " " + g.one("ACCEPT", "ACCEPT", "DROP") + " [0:0]\n:A - [0:0]\n:B - [0:0]\n:C - [0:0]\n:D - [0:0]\n"
	if g.real && g.ipv6 {
		text += "-A OUTPUT ! -s fd00::/16 -j ACCEPT\n" // what the kernel says of its own
	}
	for i, name := range append([]string{g.hook}, chains...) {
		for range 1 + g.IntN(longest) {
			text += "-A " + name + g.rule(chains[i:]) + "\n"
		}
	}
	return text + "COMMIT\n"
}

func (g gen) frame() string {
	src, dst, proto := g.addr(), g.addr(), g.one("tcp", "tcp", "udp", "icmp")
	if g.IntN(6) == 0 {
		src, dst = "["+g.addr6()+"]", "["+g.addr6()+"]"
	}
	if proto == "icmp" {
		return fmt.Sprintf("icmp %s > %s type=8 in=eth%d out=eth%d", strings.Trim(src, "[]"), strings.Trim(dst, "[]"), g.IntN(3), g.IntN(3))
	}
	return fmt.Sprintf("%s %s:%d > %s:%s in=eth%d out=%s mark=%d size=%d", proto, src, 999+g.IntN(3), dst, g.one("80", "80", "53", "79"), g.IntN(3), g.one("eth1", "dummy0"), g.IntN(4), 28+g.IntN(3))
}

// worlds returns how many random cases there are: few, or as the variable says.
func worlds(name string, few int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return few
}

// A run of at most this many ways is compared: they double with each question.
const maxWays = 24

// ways returns what becomes of a packet, way by way: the verdict, the mark, the
// steps and the questions in the order in which they were asked.
func ways(rs interface {
	Run(string, *netfilter.Frame) netfilter.Verdict
}, f netfilter.Frame) (list []string) {
	for c := netfilter.NewChoices(); c.Next() && len(list) < maxWays; {
		g := f
		g.Choices = c
		v := rs.Run("mangle", &g)
		list = append(list, fmt.Sprint(v, g.Packet.Mark, g.RejectWith, c.Share(), steps(g.Trace), c.Doubts()))
	}
	return list
}

func steps(trace []model.Step) (text []string) {
	for _, s := range trace {
		text = append(text, s.Evidence)
	}
	return text
}

// A chain that is looked up says what it says when each of its rules is looked
// at: the same verdicts by the same rules, the same questions in the same order.
func TestIndexIsExact(t *testing.T) {
	seed := uint64(worlds("IPTABLES_SEED", 1))
	indexed, matched, asked := 0, 0, 0
	for n := range worlds("IPTABLES_WORLDS", 60) {
		g := gen{Rand: rand.New(rand.NewPCG(seed, uint64(n))), hook: "FORWARD"}
		text := g.ruleset("mangle", 60)
		looked, _ := parseAny(text)
		scanned, _ := parseAny(text)
		scanned.Scan()
		indexed += looked.Indexed()
		for range 30 {
			s := g.frame()
			got, want := ways(looked, frame(s)), ways(scanned, frame(s))
			require.Equal(t, want, got, "IPTABLES_SEED=%d world %d: %s\n%s", seed, n, s, text)
			matched += strings.Count(strings.Join(got, ""), "iptables-save.txt:")
			asked += len(got) - 1
		}
	}
	t.Logf("%d chains looked up, %d rules matched, %d questions asked", indexed, matched, asked)
	require.NotZero(t, indexed)
}

// Tables of a chain hold the rules that they are worth it for.
func TestIndexed(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		rules      int
		want       int
	}{
		{"by destination", "-d 10.%d.0.0/16 -j DROP", 20, 1},
		{"by source", "-s 10.%d.0.1 -j DROP", 20, 1},
		{"by port", "-p tcp -m tcp --dport %d -j DROP", 20, 1},
		{"by device", "-i cali%d -j DROP", 20, 1},
		{"by what is no destination", "! -d 10.%d.0.0/16 -j DROP", 20, 0},
		{"by share", "-m statistic --mode nth --every 4 --packet 0 -m comment --comment %d -j DROP", 20, 0},
		{"few", "-d 10.%d.0.0/16 -j DROP", 7, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := "*filter\n"
			for i := range tt.rules {
				text += "-A FORWARD " + fmt.Sprintf(tt.rule, i) + "\n"
			}
			require.Equal(t, tt.want, parse(t, text+"COMMIT\n").Indexed())
		})
	}
}
