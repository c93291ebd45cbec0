package iptables_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// Each row is a wrong answer that another analyzer gave.
func TestWrongAnswersOfOthers(t *testing.T) {
	const syn = "tcp 10.0.0.1:1000 > 10.0.0.2:80"
	for _, tt := range []struct{ name, table, rules, frame, want, packet string }{
		{"a: REJECT is not an unsupported target", "filter", "-A FORWARD -j REJECT", syn, "reject", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		{"b: MASQUERADE rewrites the source", "nat", "-A POSTROUTING -j MASQUERADE", syn + " hook=POSTROUTING out=eth1", "accept", "tcp 10.0.1.100:1000 > 10.0.0.2:80"},
		{"c: MARK does not end the table", "filter", "-A FORWARD -j MARK --set-xmark 0x1/0x1\n-A FORWARD -m mark --mark 0x1/0x1 -j DROP", syn, "drop", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		{"d: a nested call returns to its caller", "filter", ":A -\n:B -\n-A FORWARD -j A\n-A A -j B\n-A A -j DROP\n-A B -j RETURN", syn, "drop", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		{"e: goto does not come back", "filter", ":A -\n-A FORWARD -g A\n-A FORWARD -j DROP", syn, "accept", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		{"f: a port range costs no other rule", "filter", "-A FORWARD -p tcp -m tcp --dport 30000:32767 -j ACCEPT\n-A FORWARD -j DROP", syn, "drop", "tcp 10.0.0.1:1000 > 10.0.0.2:80"},
		{"g: DNAT rewrites the destination", "nat", "-A PREROUTING -j DNAT --to-destination 10.244.1.7:8080", syn + " hook=PREROUTING", "accept", "tcp 10.0.0.1:1000 > 10.244.1.7:8080"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(parse(t, "*"+tt.table+"\n"+tt.rules+"\nCOMMIT\n"), tt.table, frame(tt.frame))
			require.Equal(t, tt.want, verdicts(got))
			require.Equal(t, tt.packet, got[0].Packet.String())
		})
	}
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct{ name, rules, want string }{
		{"an empty chain falls to the policy", ":FORWARD ACCEPT", "accept"},
		{"policy drop", ":FORWARD DROP", "drop"},
		{"no base chain accepts", ":INPUT DROP", "accept"},
		{"RETURN in a base chain gives the policy", ":FORWARD DROP\n-A FORWARD -j RETURN\n-A FORWARD -j ACCEPT", "drop"},
		{"the end of a user chain returns", ":A -\n-A FORWARD -j A\n-A FORWARD -j DROP", "drop"},
		{"RETURN ends only the chain that says it", ":A -\n:B -\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -j B\n-A A -j ACCEPT\n-A B -j RETURN\n-A B -j DROP", "accept"},
		{"goto from a called chain returns to the first caller", ":A -\n:B -\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -g B\n-A A -j ACCEPT", "drop"},
		{"RETURN after goto returns to the first caller", ":A -\n:B -\n-A FORWARD -j A\n-A FORWARD -j DROP\n-A A -g B\n-A A -j ACCEPT\n-A B -j RETURN", "drop"},
		{"goto from the base chain ends in its policy", ":FORWARD DROP\n:A -\n-A FORWARD -g A\n-A FORWARD -j ACCEPT\n-A A -j RETURN", "drop"},
		{"an empty chain called twice", ":A -\n-A FORWARD -j A\n-A FORWARD -j A\n-A FORWARD -j DROP", "drop"},
		{"a rule without a target decides nothing", "-A FORWARD\n-A FORWARD -j DROP", "drop"},
		{"what may match forks", "-A FORWARD -m limit --limit 5/min -j DROP", "drop, accept"},
		{"what may match does not fork if it is the same", "-A FORWARD -m limit --limit 5/min -j LOG", "accept"},
		{"a set that was added to", "-A FORWARD -j SET --add-set hosts dst\n-A FORWARD -m set --match-set hosts dst -j DROP", "drop, accept"},
		{"a list of a set that was added to", "-A FORWARD -j SET --del-set pairs dst,dst\n-A FORWARD -m set --match-set lists dst,dst -j DROP", "drop, accept"},
		{"another set than was added to", "-A FORWARD -j SET --add-set nets dst\n-A FORWARD -m set --match-set hosts dst -j DROP", "accept"},
		{"a chain named as a hook that the table does not have", ":PREROUTING -\n-A FORWARD -j PREROUTING\n-A PREROUTING -j DROP", "drop"},
		{"shares", ":A -\n-A FORWARD -m statistic --mode random --probability 0.25000000000 -j DROP", "drop 0.25, accept 0.75"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(parse(t, "*filter\n"+tt.rules+"\nCOMMIT\n"), "filter", frame("tcp 10.0.0.1:1000 > 10.0.0.2:80"))
			require.Equal(t, tt.want, verdicts(got))
		})
	}
}

// What is not understood is never silently accepted.
func TestNotUnderstood(t *testing.T) {
	for _, tt := range []struct{ name, rules, want, doubt string }{
		{"unknown target", "-A FORWARD -j FOO --bar 1", "unknown, accept", "target not understood: -j FOO"},
		{"unknown match", "-A FORWARD -m foo --bar 1 -j DROP", "drop, accept", "rule not understood: -m foo: unknown match"},
		{"unknown option of a known match", "-A FORWARD -m mark --foo 1 -j DROP", "drop, accept", "rule not understood: --foo: unknown option"},
		{"what is understood still counts", "-A FORWARD -s 10.9.9.9/32 -m foo -j DROP", "accept", ""},
		{"jump to a base chain", ":INPUT ACCEPT\n-A FORWARD -j INPUT", "unknown, accept", "jump to a base chain: -j INPUT"},
		{"a loop", ":A -\n:B -\n-A FORWARD -j A\n-A A -j B\n-A B -j A", "unknown, accept", "loop of chains: -j A"},
		{"a chain that calls itself", ":A -\n-A FORWARD -j A\n-A A -j A", "unknown, accept", "loop of chains: -j A"},
		{"quote that does not end", `-A FORWARD -m comment --comment "x -j DROP`, "unknown, accept, accept", "rule not understood: quote that does not end"},
		{"an option that swallows the target", "-A FORWARD -p tcp -m tcp --dport -j DROP", "unknown, accept, accept", "rule not understood: DROP: unknown option"},
		{"a reset of no TCP", "-A FORWARD -j REJECT --reject-with tcp-reset", "unknown, accept", "target not understood: -j REJECT: without its protocol"},
		{"port of no protocol", "-A FORWARD -m tcp --dport 80 -j DROP", "drop, accept", "rule not understood: -m tcp: without its protocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := parseAny("*filter\n" + tt.rules + "\nCOMMIT\n")
			require.NotEmpty(t, errs)
			require.ErrorContains(t, errs[0], "iptables-save.txt:")
			_, faulty := rs.Stats()
			require.Equal(t, 1, faulty)
			got := run(rs, "filter", frame("tcp 10.0.0.1:1000 > 10.0.0.2:80"))
			require.Equal(t, tt.want, verdicts(got))
			if tt.doubt != "" {
				require.Equal(t, tt.doubt, got[0].doubts[0].What)
				require.Contains(t, got[0].doubts[0].Evidence, "iptables-save.txt:")
			}
		})
	}
}

func TestTrace(t *testing.T) {
	rs := parse(t, "# a comment\n*filter\n:FORWARD DROP [1:2]\n:A - [0:0]\n[5:300] -A FORWARD -m comment --comment \"say \\\"hi\\\"\" -j A\n-A A -p tcp -j REJECT --reject-with host-unreach\nCOMMIT\n")
	got := run(rs, "filter", frame("tcp 10.0.0.1:1000 > 10.0.0.2:80"))
	require.Equal(t, "reject", verdicts(got))
	require.Equal(t, "icmp-host-unreachable", got[0].RejectWith)
	require.Len(t, got[0].Trace, 2)
	require.Equal(t, `-A FORWARD -m comment --comment "say \"hi\"" -j A`, got[0].Trace[0].Rule)
	require.Equal(t, "jump A", got[0].Trace[0].Action)
	require.Equal(t, "filter/A", got[0].Trace[1].Where)
	require.Equal(t, "reject with icmp-host-unreachable", got[0].Trace[1].Action)
	require.Equal(t, "iptables-save.txt:6", got[0].Trace[1].Evidence)

	got = run(rs, "filter", frame("udp 10.0.0.1:1000 > 10.0.0.2:80"))
	require.Equal(t, "drop", verdicts(got))
	last := got[0].Trace[len(got[0].Trace)-1]
	require.Equal(t, []string{"filter/FORWARD", ":FORWARD DROP", "policy drop", "iptables-save.txt:3"}, []string{last.Where, last.Rule, last.Action, last.Evidence})
}

func TestRead(t *testing.T) {
	rs := parse(t, "*nat\n:PREROUTING ACCEPT\n:A -\n-A PREROUTING -j A\n-A A -g A2\n-A A2 -p tcp -j DROP\nCOMMIT\n*filter\n:INPUT ACCEPT\n:PREROUTING -\nCOMMIT\n")
	require.Equal(t, []string{"nat", "filter"}, rs.Tables())
	require.True(t, rs.HasBase("nat", netfilter.Prerouting))
	require.False(t, rs.HasBase("nat", netfilter.Output))
	require.False(t, rs.HasBase("filter", netfilter.Prerouting))
	require.False(t, rs.HasBase("raw", netfilter.Output))
	c, ok := rs.Chain("nat", "A")
	require.True(t, ok)
	require.Equal(t, "A2", c.Rules[0].JumpTo())
	require.Equal(t, 5, c.Rules[0].Line)
	require.Equal(t, "-A A -g A2", c.Rules[0].Raw)
	_, ok = rs.Chain("nat", "B")
	require.False(t, ok)
	rules, faulty := rs.Stats()
	require.Equal(t, 3, rules)
	require.Zero(t, faulty)
}

// A text that makes a packet cross exponentially many rules ends too.
func TestEndless(t *testing.T) {
	text := "*filter\n-A FORWARD -j C0\n"
	for i := range 40 {
		c, next := "C"+string(rune('A'+i)), "C"+string(rune('A'+i+1))
		if i == 0 {
			c = "C0"
		}
		text += "-A " + c + " -j " + next + "\n-A " + c + " -j " + next + "\n"
	}
	rs, _ := parseAny(text + "-A Ci -s 1.1.1.1\nCOMMIT\n")
	f := frame("tcp 10.0.0.1:1000 > 10.0.0.2:80")
	f.Choices = netfilter.NewChoices()
	f.Choices.Next()
	require.Equal(t, netfilter.Unknown, rs.Run("filter", &f))
}
