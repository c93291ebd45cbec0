package ipvs

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

const text = `-A -t 10.96.0.1:443 -s rr
-a -t 10.96.0.1:443 -r 192.168.0.2:6443 -m -w 1
-a -t 10.96.0.1:443 -r 192.168.0.3:6443 -m -w 0
-A -t 10.96.0.1:0 -s wrr -p 10800 -M 255.255.255.0
-a -t 10.96.0.1:0 -r 10.0.0.5:0 -g -w 3
-A -u 10.96.0.10:53 -s rr -o
-a -u 10.96.0.10:53 -r 10.244.1.2:53 -i -w 2 --tun-type gue --tun-port 6080 --tun-nocsum
-a -u 10.96.0.10:53 -r 10.244.1.3:53 -i -w 2 --tun-type ipip
-A --sctp-service 10.96.0.1:99 -s lc
-A -t 10.96.0.7:21 -s rr -p
-a -t 10.96.0.7:21 -r 10.0.0.7:21 -m -w 1
-A -t 10.96.0.8:21 -s rr
-A -t [fd00::1]:443 -s sh -b sh-fallback,sh-port -p 60 -M 64
-a -t [fd00::1]:443 -r [fd00::9]:443 -m -w 1 -x 10 -y 5
-A -f 10 -s mh -b mh-port
-a -f 10 -r 10.0.0.5:0 -g -w 1
-A -f 10 -6 -s rr --pe sip
-a -f 10 -6 -r [fd00::5]:0 -g -w 1
`

func parse(t *testing.T, text string) *Table {
	t.Helper()
	table, errs := Parse(nodedump.Part{File: "ipvs.json", Status: nodedump.StatusOK, Data: []byte(text)})
	require.Empty(t, errs)
	return table
}

func asJSON(text string) string {
	var b strings.Builder
	b.WriteString("{\n\"more\": [\"-A -f 7\"],\n\"rules\": [\n")
	for i, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if i > 0 {
			b.WriteString(",\n")
		}
		fmt.Fprintf(&b, "%q", line)
	}
	b.WriteString("\n]\n}\n")
	return b.String()
}

func pkt(s string, mark uint32) model.Packet {
	f := strings.Fields(s)
	return model.Packet{Protocol: model.Protocol(f[0]), Src: netip.MustParseAddrPort("192.0.2.1:4000"), Dst: netip.MustParseAddrPort(f[1]), Mark: mark}
}

// ip_vs_service_find: the mark, the address and port, the data ports of FTP, the
// address with every port.
func TestFind(t *testing.T) {
	for _, table := range []*Table{parse(t, text), parse(t, asJSON(text))} {
		for _, tt := range []struct {
			packet string
			mark   uint32
			want   string
		}{
			{"tcp 10.96.0.1:443", 0, "tcp 10.96.0.1:443"},
			{"tcp 10.96.0.1:444", 0, "tcp 10.96.0.1:0"},
			{"udp 10.96.0.1:443", 0, ""},
			{"udp 10.96.0.10:53", 0, "udp 10.96.0.10:53"},
			{"sctp 10.96.0.1:99", 0, "sctp 10.96.0.1:99"},
			{"tcp 10.96.0.1:443", 10, "mark 10"},
			{"tcp 10.96.0.1:443", 11, "tcp 10.96.0.1:443"},
			{"tcp [fd00::7]:443", 10, "mark 10 (IPv6)"},
			{"tcp [fd00::1]:443", 0, "tcp [fd00::1]:443"},
			{"tcp 10.96.0.7:20", 0, "tcp 10.96.0.7:21"},
			{"tcp 10.96.0.7:1024", 0, "tcp 10.96.0.7:21"},
			{"tcp 10.96.0.7:1023", 0, ""},
			{"udp 10.96.0.7:2000", 0, ""},
		} {
			got := ""
			if s := table.Find(pkt(tt.packet, tt.mark), 1024); s != nil {
				got = s.Name()
			}
			require.Equal(t, tt.want, got, "%s mark %d", tt.packet, tt.mark)
		}
	}
}

func TestParse(t *testing.T) {
	table := parse(t, text)
	services, servers, _ := table.Stats()
	require.Equal(t, []int{8, 8}, []int{services - 1, servers - 1})
	all := table.Services()
	require.Equal(t, "ipvs.json:1", all[0].Evidence)
	require.Equal(t, &Server{Addr: netip.MustParseAddrPort("192.168.0.3:6443"), Method: Masq, Text: "-a -t 10.96.0.1:443 -r 192.168.0.3:6443 -m -w 0", Evidence: "ipvs.json:3"}, all[0].Servers[1])
	require.Equal(t, 10800, all[1].Timeout)
	require.True(t, all[2].OnePacket)
	require.Equal(t, "gue", all[2].Servers[0].Tunnel)
	require.Equal(t, uint16(6080), all[2].Servers[0].TunnelPort)
	require.Equal(t, "ipip", all[2].Servers[1].Tunnel)
	require.Equal(t, 360, all[4].Timeout, "-p alone")
	require.Equal(t, 10, all[6].Limited().Limit)
	require.Equal(t, []string{"sh-fallback", "sh-port"}, all[6].Flags)
	require.Equal(t, "sip", all[8].Engine)
	require.Equal(t, "ipvs.json:4", parse(t, asJSON(text)).Services()[0].Evidence, "lines of the JSON")
	empty, errs := Parse(nodedump.Part{Status: nodedump.StatusFailed, File: "f", Reason: "why"})
	require.Empty(t, errs)
	known, file, reason := empty.Status()
	require.Equal(t, []any{false, "f", "why"}, []any{known, file, reason})
}

func TestOneBadLineCostsOneService(t *testing.T) {
	for _, tt := range []struct{ text, problem, inDoubt string }{
		{"-A -t 10.0.0.1:http -s rr", "-:1: unsupported ipvs line: not an address with a port: save with -n: 10.0.0.1:http: -A -t 10.0.0.1:http -s rr", "all"},
		{"-A -t 10.0.0.1:80 -s rr --odd 5", "-:1: unsupported ipvs line: unknown option --odd: -A -t 10.0.0.1:80 -s rr --odd 5", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r x:8 -m", "-:2: unsupported ipvs line: not an address with a port: save with -n: x:8: -a -t 10.0.0.1:80 -r x:8 -m", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s rr\n-A -t 10.0.0.1:80 -s wrr", "-:2: unsupported ipvs line: service added twice: -A -t 10.0.0.1:80 -s wrr", "tcp 10.0.0.1:80"},
		{"-a -t 10.0.0.1:80 -r 10.0.0.2:80 -m", "-:1: unsupported ipvs line: service not added: -a -t 10.0.0.1:80 -r 10.0.0.2:80 -m", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r [fd00::1]:80 -m", "-:2: unsupported ipvs line: only a tunnel leads from one family to the other: -a -t 10.0.0.1:80 -r [fd00::1]:80 -m", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -m", "-:2: unsupported ipvs line: no real server named: -a -t 10.0.0.1:80 -m", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s", "-:1: unsupported ipvs line: value missing: -s: -A -t 10.0.0.1:80 -s", "tcp 10.0.0.1:80"},
		{"-A -f 0 -s rr", "-:1: unsupported ipvs line: no service named: -A -f 0 -s rr", "all"},
		{"-A -s rr", "-:1: unsupported ipvs line: no service named: -A -s rr", "all"},
		{"-D -t 10.0.0.1:80", "-:1: unsupported ipvs line: neither -A nor -a: -D -t 10.0.0.1:80", "tcp 10.0.0.1:80"},
		{"-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.0.2:80 -i --tun-type odd", "-:2: unsupported ipvs line: unknown option: --tun-type odd: -a -t 10.0.0.1:80 -r 10.0.0.2:80 -i --tun-type odd", "tcp 10.0.0.1:80"},
	} {
		table, errs := Parse(nodedump.Part{File: "-", Status: nodedump.StatusOK, Data: []byte(tt.text)})
		require.Len(t, errs, 1, tt.text)
		require.EqualError(t, errs[0], tt.problem)
		_, _, not := table.Stats()
		require.Equal(t, 1, not)
		on, doubt := table.On()
		require.Equal(t, tt.inDoubt == "all", doubt != nil, tt.text)
		if tt.inDoubt == "all" {
			continue
		}
		require.True(t, on, tt.text)
		s := table.Find(pkt("tcp 10.0.0.1:80", 0), 1024)
		require.NotNil(t, s, tt.text)
		require.NotNil(t, s.Lost(), tt.text)
	}
	table, errs := Parse(nodedump.Part{File: "-", Status: nodedump.StatusOK, Data: []byte("{\n\"rules\": [\n\"-A -f 1 -s rr\",\n")})
	require.Len(t, errs, 1)
	require.Contains(t, errs[0].Error(), "not JSON")
	require.NotNil(t, table.Find(pkt("tcp 10.0.0.1:80", 1), 1024))
}

// ways prints the shares of a service's servers, "-" for what is refused.
func ways(s *Service) (out string, open bool) {
	all, doubt := s.Ways()
	var words []string
	for _, w := range all {
		who := "-"
		if w.Server != nil {
			who = fmt.Sprint(w.Server.Addr.Addr().As4()[3])
		}
		words = append(words, fmt.Sprintf("%s:%.3f", who, w.Share))
	}
	return strings.Join(words, " "), doubt != nil
}

// scheduled has a row for each scheduler: the servers .1, .2, ... with the given
// weights.
var scheduled = []struct {
	scheduler, flags string
	weights          []int
	want             string
}{
	{"rr", "", []int{1, 5, 0}, "1:0.500 2:0.500"}, // ip_vs_rr_schedule: any weight above 0
	{"rr", "", []int{0, 0}, "-:1.000"},
	{"rr", "", nil, "-:1.000"},
	{"wrr", "", []int{1, 3, 0}, "1:0.250 2:0.750"}, // ip_vs_wrr_schedule
	{"lc", "", []int{1, 3, 0}, "1:0.500 2:0.500"},
	{"wlc", "", []int{1, 3}, "1:0.250 2:0.750"},
	{"lblc", "", []int{1, 3}, "1:0.250 2:0.750"},
	{"lblcr", "", []int{1, 3}, "1:0.250 2:0.750"},
	{"dh", "", []int{1, 3}, "1:0.500 2:0.500"},    // ip_vs_dh_reassign: no weights
	{"dh", "", []int{1, 0}, "1:0.500 -:0.500"},    // ip_vs_dh_schedule: weight 0 is no destination
	{"sh", "", []int{1, 3}, "1:0.250 2:0.750"},    // ip_vs_sh_reassign
	{"sh", "", []int{1, 0}, "1:0.500 -:0.500"},    // a server of weight 0 fills one bucket in turn
	{"sh", "sh-fallback", []int{1, 0}, "1:1.000"}, // ip_vs_sh_get_fallback
	{"sh", "sh-port", []int{2, 1, 1}, "1:0.500 2:0.250 3:0.250"},
	{"sed", "", []int{1, 3}, "1:0.250 2:0.750"},
	{"nq", "", []int{1, 3}, "1:0.250 2:0.750"},
	{"fo", "", []int{1, 3, 2}, "2:1.000"}, // ip_vs_fo_schedule
	{"fo", "", []int{3, 3, 2}, "1:0.500 2:0.500"},
	{"fo", "", []int{0}, "-:1.000"},
	{"ovf", "", []int{1, 3, 0}, "1:0.250 2:0.750"},
	{"mh", "", []int{1, 3, 0}, "1:0.250 2:0.750"},
	{"twos", "", []int{1, 1}, "1:0.500 2:0.500"},
	{"none", "", []int{1}, "-:1.000"}, // ip_vs_schedule without a scheduler
	{"", "", []int{1}, "-:1.000"},
	{"mine", "", []int{1, 3}, "1:0.250 2:0.750"},
}

func TestSchedulers(t *testing.T) {
	tested := map[string]bool{}
	for _, tt := range scheduled {
		tested[tt.scheduler] = true
		s := &Service{Scheduler: tt.scheduler, Flags: strings.Split(tt.flags, ",")}
		for i, w := range tt.weights {
			s.Servers = append(s.Servers, &Server{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 80), Weight: w})
		}
		got, open := ways(s)
		require.Equal(t, tt.want, got, "%s %s %v", tt.scheduler, tt.flags, tt.weights)
		require.Equal(t, tt.scheduler == "mine", open, tt.scheduler)
	}
	for _, row := range Schedulers() {
		require.True(t, tested[row.Name], "scheduler %s has no row", row.Name)
		require.NotEmpty(t, row.Why)
	}
	require.Equal(t, netfilter.Open, (&Service{Scheduler: "mine"}).Scheduling().Class)
	require.Equal(t, netfilter.Exact, (&Service{Scheduler: "rr"}).Scheduling().Class)
	require.Len(t, Methods(), 6)
}

// ip_vs_schedule and ip_vs_leave.
func TestTakes(t *testing.T) {
	table := parse(t, text)
	for _, tt := range []struct {
		packet        string
		sport         uint16
		takes, passes bool
	}{
		{"tcp 10.96.0.1:443", 4000, true, false},
		{"tcp 10.96.0.1:443", 20, false, true},    // FTPDATA is never scheduled
		{"tcp 10.96.0.1:500", 4000, true, false},  // persistent: every port
		{"tcp 10.96.0.7:5000", 4000, true, false}, // persistent FTP takes its data
		{"tcp 10.96.0.8:5000", 4000, false, true}, // FTP that is not leaves them alone
	} {
		takes, passes := table.Find(pkt(tt.packet, 0), 1024).Takes(tt.sport, netip.MustParseAddrPort(strings.Fields(tt.packet)[1]).Port())
		require.Equal(t, []bool{tt.takes, tt.passes}, []bool{takes, passes}, tt.packet)
	}
	takes, passes := (&Service{Addr: netip.MustParseAddrPort("10.0.0.1:0")}).Takes(4000, 80)
	require.Equal(t, []bool{false, false}, []bool{takes, passes}, "port 0 without persistence refuses")
}

// ip_vs_sched_persist and ip_vs_schedule: the port of the server, or the packet's.
func TestTo(t *testing.T) {
	for _, tt := range []struct {
		service    Service
		server     string
		port, want uint16
	}{
		{Service{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, "10.0.0.2:8080", 80, 8080},
		{Service{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, "10.0.0.2:0", 80, 80},
		{Service{Addr: netip.MustParseAddrPort("10.0.0.1:80"), Persistent: true}, "10.0.0.2:8080", 80, 8080},
		{Service{Addr: netip.MustParseAddrPort("10.0.0.1:21"), Persistent: true}, "10.0.0.2:21", 5000, 5000},
		{Service{Addr: netip.MustParseAddrPort("10.0.0.1:0"), Persistent: true}, "10.0.0.2:8080", 80, 80},
		{Service{Mark: 1}, "10.0.0.2:8080", 80, 8080},
		{Service{Mark: 1, Persistent: true}, "10.0.0.2:8080", 80, 80},
	} {
		got := tt.service.To(&Server{Addr: netip.MustParseAddrPort(tt.server)}, tt.port)
		require.Equal(t, tt.want, got.Port(), "%v %s %d", tt.service, tt.server, tt.port)
	}
}

func TestQuiet(t *testing.T) {
	servers := []*Server{{Weight: 1}, {Weight: 0, Limit: 4}}
	require.Nil(t, (&Service{Servers: servers}).Quiet())
	require.Equal(t, servers[1], (&Service{Servers: servers, Persistent: true}).Quiet())
	require.Nil(t, (&Service{Servers: servers}).Limited(), "a server of weight 0 is not asked anyway")
}

func FuzzParse(f *testing.F) {
	f.Add(text)
	f.Add(asJSON(text))
	f.Add("{\"rules\": [[{}], \"-A\"]}")
	f.Fuzz(func(t *testing.T, text string) {
		table, _ := Parse(nodedump.Part{File: "f", Status: nodedump.StatusOK, Data: []byte(text)})
		for _, s := range table.Services() {
			ways, _ := s.Ways()
			sum := 0.0
			for _, w := range ways {
				sum += w.Share
				if w.Server != nil {
					s.To(w.Server, 80)
				}
			}
			require.InDelta(t, 1, sum, 1e-6, s.Text)
			s.Takes(1, 2)
			s.Name()
		}
	})
}
