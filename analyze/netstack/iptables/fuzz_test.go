package iptables_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/netstack/iptables"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// FuzzParse reads any text, prints it, and sends packets through it.
func FuzzParse(f *testing.F) {
	f.Add("*filter\n:FORWARD DROP [0:0]\n:A - [0:0]\n[1:2] -A FORWARD -p tcp -m tcp --dport 1:2 -j A\n-A A -m comment --comment \"a \\\"b\" -g A2\nCOMMIT\n")
	for _, r := range allMatchRows() {
		f.Add("*filter\n-A FORWARD " + r.rule + " -j DROP\nCOMMIT\n")
	}
	for _, r := range allTargetRows() {
		f.Add("*nat\n-A FORWARD -p tcp -j " + r.target + " " + r.options + "\nCOMMIT\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		rs, errs := parseAny(text)
		_, faulty := rs.Stats()
		require.True(t, faulty == 0 || len(errs) > 0, "rules not understood, and no error")
		again, _ := parseAny(rs.Print())
		require.Equal(t, rs.Print(), again.Print())
		for _, table := range rs.Tables() {
			for _, s := range []string{tcpOpen, ping6} {
				g := frame(s + " in=eth0 out=eth1")
				g.Choices = netfilter.NewChoices()
				g.Choices.Next()
				v := rs.Run(table, &g)
				require.NotEqual(t, netfilter.Continue, v)
				require.NotEqual(t, netfilter.Return, v)
			}
		}
	})
}

// What is printed reads as the same rules.
func TestRoundTrip(t *testing.T) {
	text := strings.Join([]string{
		"*nat", ":PREROUTING ACCEPT [0:0]", ":KUBE-SERVICES - [0:0]", ":KUBE-SVC-A - [0:0]",
		`-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES`,
		`-A KUBE-SERVICES -d 10.96.0.10/32 -p udp -m comment --comment "kube-system/kube-dns:dns cluster IP" -m udp --dport 53 -j KUBE-SVC-A`,
		"-A KUBE-SVC-A -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.244.0.2:53",
		"COMMIT", "*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]", "-A FORWARD ! -i docker0 -g MISSING", "COMMIT", "",
	}, "\n")
	rs, errs := parseAny(text)
	require.Len(t, errs, 1)
	require.Equal(t, text, rs.Print())
}

func TestParseForms(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"counters", "*filter\n:FORWARD DROP [3:4]\n[1:2] -A FORWARD -j ACCEPT\nCOMMIT", "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT\n"},
		{"a rule before its chain", "*filter\n-A A -j ACCEPT\n:A - [0:0]\nCOMMIT", "*filter\n:A - [0:0]\n-A A -j ACCEPT\nCOMMIT\n"},
		{"carriage returns", "*filter\r\n:A - [0:0]\r\n-A A -j ACCEPT\r\nCOMMIT\r\n", "*filter\n:A - [0:0]\n-A A -j ACCEPT\nCOMMIT\n"},
		{"a table twice", "*filter\n-A A -j DROP\nCOMMIT\n*filter\n-A A -j ACCEPT\nCOMMIT", "*filter\n:A - [0:0]\n-A A -j DROP\n-A A -j ACCEPT\nCOMMIT\n"},
		{"as iptables -S prints", "-P FORWARD DROP\n-N A\n-A A -j ACCEPT", "*filter\n:FORWARD DROP [0:0]\n:A - [0:0]\n-A A -j ACCEPT\nCOMMIT\n"},
		{"inserted", "*filter\n-A A -j ACCEPT\n-I A -j DROP\n-I A 2 -j RETURN\nCOMMIT", "*filter\n:A - [0:0]\n-A A -j DROP\n-A A -j RETURN\n-A A -j ACCEPT\nCOMMIT\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, parse(t, tt.text).Print())
		})
	}
}

// What could not be read and is no rule makes its table unknown, and only its
// table, unless it may be any.
func TestLost(t *testing.T) {
	for _, tt := range []struct {
		name, text  string
		nat, filter bool // are lost
	}{
		{"whole", "*nat\n-A PREROUTING -j ACCEPT\nCOMMIT\n*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n", false, false},
		{"comments", "# Warning: iptables-legacy tables present\n", false, false},
		{"garbage in a table", "*nat\nfrob\nCOMMIT\n*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n", true, false},
		{"garbage outside", "<html>\n*filter\n-A FORWARD -j ACCEPT\nCOMMIT\n", true, true},
		{"cut off", "*nat\n-A PREROUTING -j ACCEPT\nCOMMIT\n*filter\n-A FORWARD -j ACC", false, true},
		{"an unknown rule is only a rule", "*filter\n-A FORWARD -m quantum -j DROP\nCOMMIT\n", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, _ := parseAny(tt.text)
			_, _, nat := rs.Lost("nat")
			what, evidence, filter := rs.Lost("filter")
			require.Equal(t, tt.nat, nat)
			require.Equal(t, tt.filter, filter)
			if filter {
				require.NotEmpty(t, what)
				require.Contains(t, evidence, "iptables-save.txt:")
			}
		})
	}
}

// A line that is no rule is an error with its place, and costs no other line.
func TestLines(t *testing.T) {
	for _, tt := range []struct{ name, text, err string }{
		{"garbage", "*filter\n:FORWARD DROP [0:0]\ngarbage\n-A FORWARD -j ACCEPT\nCOMMIT", "iptables-save.txt:3: unsupported line: garbage"},
		{"a command", "*filter\n:FORWARD DROP [0:0]\n-D FORWARD -j DROP\n-A FORWARD -j ACCEPT\nCOMMIT", "iptables-save.txt:3: unsupported command: -D FORWARD -j DROP"},
		{"a policy", "*filter\n:FORWARD MAYBE [0:0]\n-A FORWARD -j ACCEPT\nCOMMIT", "iptables-save.txt:2: unsupported policy of chain FORWARD: MAYBE"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rs, errs := parseAny(tt.text)
			require.Len(t, errs, 1)
			require.EqualError(t, errs[0], tt.err)
			require.Equal(t, "accept", verdicts(run(rs, "filter", frame(tcpOpen))))
		})
	}
}

func TestStatus(t *testing.T) {
	for _, tt := range []struct {
		part  nodedump.Part
		known bool
	}{
		{nodedump.Part{Status: nodedump.StatusOK}, true},
		{nodedump.Part{Status: nodedump.StatusEmpty}, true},
		{nodedump.Part{Status: nodedump.StatusFailed}, false},
		{nodedump.Part{}, false},
	} {
		rs, errs := iptables.Parse(tt.part, nil)
		require.Empty(t, errs)
		known, _, _ := rs.Status()
		require.Equal(t, tt.known, known)
		require.Equal(t, "accept", verdicts(run(rs, "filter", frame(tcpOpen))))
	}
}
