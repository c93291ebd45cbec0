package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
)

func finding(level model.SuspicionLevel, code, node, message string) Finding {
	return Finding{Check: "c", Node: node, Suspicion: model.Suspicion{Level: level, Code: code, Message: message, On: model.Hop{Type: model.NetNodeTypeNode, ID: node}}}
}

func someCheckup() *Checkup {
	fatal := finding(model.SuspicionLevelFatal, "link/down", "n2", "eth0 is down")
	fatal.Evidence, fatal.Remedy, fatal.On = "nodes/n2/netns/host/netns.json:5", "ip link set eth0 up", model.PodHop("demo", "a")
	c := &Checkup{Plugin: "flannel", ProxyMode: "iptables", Nodes: 2, Pods: 1, Services: 3,
		Checks:   []CheckRun{{"devices", "devices that are down", []string{"link/down"}, 1}, {"mtu", "MTUs", nil, 0}},
		Unknowns: []model.Doubt{{What: "sysctls: denied", Evidence: "nodes/n1/netns/host/netns.json"}},
		Findings: []Finding{finding(model.SuspicionLevelInfo, "odd/mtu", "n1", "a note"), finding(model.SuspicionLevelWarning, "mtu/mismatch", "n2", "b"),
			finding(model.SuspicionLevelWarning, "mtu/mismatch", "n1", "z"), finding(model.SuspicionLevelWarning, "mtu/mismatch", "n1", "a"),
			finding(model.SuspicionLevelWarning, "address/overlap", "", "\x1b[31mred\ntwo"), fatal}}
	SortFindings(c.Findings)
	return c
}

func TestCheckupText(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteCheckup(&b, someCheckup(), TextOptions{}))
	require.Equal(t, `5 findings, the worst first

  fatal link/down at pod demo/a, node n2
    eth0 is down
    see nodes/n2/netns/host/netns.json:5
    fix ip link set eth0 up

  warning address/overlap
    [31mred two

  warning mtu/mismatch at node n1
    a

  warning mtu/mismatch at node n1
    z

  warning mtu/mismatch at node n2
    b

Worth knowing:
  - odd/mtu at node n1: a note

Could not be checked:
  - sysctls: denied
    see nodes/n1/netns/host/netns.json

Checked:
  2 nodes, 3 Services, 1 pod, 2 checks
  devices      devices that are down
  mtu          MTUs

network plugin flannel, kube-proxy mode iptables
`, b.String())
}

func TestCheckupJSON(t *testing.T) {
	var b, empty strings.Builder
	require.NoError(t, WriteCheckupJSON(&b, someCheckup()))
	for _, text := range []string{
		`"checked": {
    "nodes": 2,
    "services": 3,
    "pods": 1,
    "node": "",
    "checks": [
      {
        "name": "devices",
        "codes": [
          "link/down"
        ],
        "found": 1
      },`,
		`"findings": [
    {
      "level": "fatal",
      "code": "link/down",
      "check": "c",
      "node": "n2",
      "on": "pod:demo/a",
      "message": "eth0 is down",
      "evidence": "nodes/n2/netns/host/netns.json:5",
      "remedy": "ip link set eth0 up"
    },`,
		`"what": "sysctls: denied",
      "evidence": "nodes/n1/netns/host/netns.json",
      "node": "n1",
      "netns": "host"`,
		`"plugin": "flannel",
  "networks": [],
  "proxyMode": "iptables"`,
	} {
		require.Contains(t, b.String(), text)
	}
	require.NoError(t, WriteCheckupJSON(&empty, &Checkup{}))
	for _, list := range []string{"checks", "findings", "notes", "unknowns"} {
		require.Contains(t, empty.String(), `"`+list+`": []`)
	}
}

func TestCheckupExitCode(t *testing.T) {
	note, doubt := []Finding{finding(model.SuspicionLevelInfo, "odd/mtu", "n1", "")}, []model.Doubt{{What: "?"}}
	warning := []Finding{finding(model.SuspicionLevelWarning, "mtu/mismatch", "n1", "")}
	for _, tt := range []struct {
		c    Checkup
		code int
		text string
	}{
		{Checkup{}, 0, "Nothing found"},
		{Checkup{Findings: note}, 0, "Nothing found"},
		{Checkup{Findings: note, Unknowns: doubt}, 4, "Nothing found, but not all could be checked"},
		{Checkup{Findings: warning, Unknowns: doubt}, 3, "1 finding, the worst first"},
		{Checkup{Findings: warning, Only: "n1"}, 3, "1 finding, the worst first"},
	} {
		var b strings.Builder
		require.Equal(t, tt.code, tt.c.ExitCode())
		require.NoError(t, WriteCheckup(&b, &tt.c, TextOptions{}))
		require.Equal(t, tt.text, strings.SplitN(b.String(), "\n", 2)[0])
		require.Equal(t, tt.c.Only != "", strings.Contains(b.String(), "only what is about node n1"))
	}
}
