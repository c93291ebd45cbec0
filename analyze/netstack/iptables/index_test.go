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
type gen struct{ *rand.Rand }

func (g gen) one(of ...string) string { return of[g.IntN(len(of))] }

// some returns text in n of 10 cases, at times with a "!" before it.
func (g gen) some(n int, text string) string {
	if g.IntN(10) >= n {
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
	switch g.IntN(12) {
	case 0:
		return "0.0.0.0/0"
	case 1:
		return g.addr() + "/255.0.255.3"
	case 2:
		return g.addr6() + g.one("", "/64", "/112", "/127", "/0", "/::ffff")
	}
	return g.addr() + g.one("", "/32", "/32", "/32", "/31", "/30", "/25", "/24", "/23", "/16", "/8")
}

// rule returns what a rule asks for and what it does. Few rules decide, so that
// a packet meets many.
func (g gen) rule(chains []string) string {
	r := g.some(4, " -s "+g.net()) + g.some(6, " -d "+g.net()) + g.some(2, " -i "+g.one("eth0", "eth1", "eth+")) + g.some(2, " -o "+g.one("eth0", "eth1", "eth+"))
	if proto := g.one("tcp", "udp", "", "icmp", "6"); proto != "" {
		r += g.some(10, " -p "+proto)
		if !strings.Contains(r, "! -p") && (proto == "tcp" || proto == "udp") {
			r += " -m " + proto + g.some(6, " --dport "+g.one("80", "80", "53", "79:80", "0:65535")) + g.some(2, " --sport "+g.one("1000", "1001", "1:1000"))
		}
	}
	r += g.one("", "", "", "", "", " -m mark --mark 0x1/0x1", " -m mark ! --mark 0x2/0x2", " -m limit --limit 1/s", " -m quantum --foo",
		" -m statistic --mode random --probability 0.5", " -m set --match-set hosts src", " -m comment --comment \"a -d b\"", " -s 10.0.0.1")
	return r + g.target(chains)
}

func (g gen) target(chains []string) string {
	switch n := g.IntN(40); {
	case n < 18:
		return " -j MARK --set-xmark " + g.one("0x1/0x1", "0x0/0x1", "0x2/0x2", "0x0/0x3", "0x10/0xf0")
	case n < 30 && len(chains) > 0:
		return g.one(" -j ", " -j ", " -g ") + g.one(chains...)
	case n < 33:
		return " -j RETURN"
	case n < 35:
		return " -j " + g.one("ACCEPT", "DROP", "REJECT", "FOO", "MISSING")
	case n < 37:
		return ""
	}
	return " -j LOG"
}

// ruleset returns a table of a long chain and of chains that it leads to.
func (g gen) ruleset(longest int) string {
	chains := []string{"A", "B", "C", "D"}
	text := "*mangle\n:FORWARD " + g.one("ACCEPT", "DROP") + " [0:0]\n:A -\n:B -\n:C -\n:D -\n"
	for i, name := range append([]string{"FORWARD"}, chains...) {
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
	return fmt.Sprintf("%s %s:%d > %s:%s in=eth%d out=eth%d mark=%d", proto, src, 999+g.IntN(3), dst, g.one("80", "80", "53", "79"), g.IntN(3), g.IntN(3), g.IntN(4))
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
		g := gen{rand.New(rand.NewPCG(seed, uint64(n)))}
		text := g.ruleset(60)
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
