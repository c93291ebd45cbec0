package iptables_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// inNetns runs f in a network namespace of its own, or skips the test.
func inNetns(t *testing.T, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: asks the kernel")
	}
	for _, tool := range []string{"ip", "ipset", "iptables-restore", "iptables-legacy-restore"} {
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

// withoutNoise removes comments and counters.
func withoutNoise(save string) string {
	var lines []string
	for line := range strings.Lines(save) {
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, ":"):
			line = line[:strings.LastIndex(line, "[")] + "[0:0]\n"
		case strings.HasPrefix(line, "["):
			line = line[strings.Index(line, "] ")+2:]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "")
}

// TestKernelRoundTrip loads rules into the kernel, prints what it says of
// them, loads that again, and expects the kernel to say the same.
func TestKernelRoundTrip(t *testing.T) {
	inNetns(t, func() {
		_, _ = sh(setText, "ipset", "restore")
		for _, backend := range []string{"iptables", "iptables-legacy"} {
			loaded := 0
			for _, rule := range kernelRules() {
				if _, err := sh("*mangle\n-A OUTPUT "+rule+" -j ACCEPT\nCOMMIT\n", backend+"-restore", "-n"); err == nil {
					loaded++
				}
			}
			_, _ = sh(kubeProxy(3, 3), backend+"-restore", "-n")
			save, err := sh("", backend+"-save", "-c")
			if err != nil || loaded == 0 {
				t.Logf("%s: skipped, the kernel takes no rule: %v", backend, err)
				continue
			}
			printed := parse(t, save).Print()
			equal(t, withoutNoise(save), printed)
			if _, err = sh(printed, backend+"-restore"); err != nil {
				t.Errorf("%s refuses what is printed: %v", backend, err)
				continue
			}
			again, _ := sh("", backend+"-save")
			equal(t, withoutNoise(save), withoutNoise(again))
			t.Logf("%s: %d of %d rules loaded", backend, loaded, len(kernelRules()))
		}
	})
}

// equal fails the test, but lets the goroutine go on.
func equal(t *testing.T, want, got string) {
	if want != got {
		t.Errorf("want:\n%s\ngot:\n%s", want, got)
	}
}

// kernelRules are the rules of the rows that this kernel may take.
func kernelRules() (rules []string) {
	seen := map[string]bool{}
	for _, r := range allMatchRows() {
		if !seen[r.rule] && !strings.Contains(r.rule, "--match-set gone") && !strings.Contains(r.rule, "-c 1 2") {
			rules = append(rules, r.rule)
		}
		seen[r.rule] = true
	}
	return rules
}

// A probe is a packet that the kernel sends, and what a rule sees of it.
type probe struct {
	frame string
	send  func() error
}

func probes() []probe {
	me, other := net.IPv4(10, 0, 0, 1), net.IPv4(10, 0, 0, 2)
	udp := func(port, mark, tos int, to net.IP) func() error {
		return func() error {
			if server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: to, Port: 53}); err == nil {
				defer server.Close()
			}
			d := net.Dialer{LocalAddr: &net.UDPAddr{IP: me, Port: port}, Control: options(mark, tos)}
			c, err := d.Dial("udp4", fmt.Sprintf("%s:53", to))
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte("x"))
			return err
		}
	}
	syn := func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: me, Port: 1000}, Timeout: 50 * time.Millisecond}
		if c, err := d.Dial("tcp4", fmt.Sprintf("%s:80", other)); err == nil {
			c.Close()
		}
		return nil
	}
	echo := func() error {
		c, err := net.ListenIP("ip4:icmp", &net.IPAddr{IP: me})
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.WriteTo([]byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, &net.IPAddr{IP: other})
		return err
	}
	return []probe{
		{"udp 10.0.0.1:1000 > 10.0.0.2:53 hook=OUTPUT out=dummy0 size=29 ttl=64", udp(1000, 0, 0, other)},
		{"udp 10.0.0.1:1001 > 10.0.0.2:53 hook=OUTPUT out=dummy0 size=29 ttl=64 mark=0x4001 tos=0xb8", udp(1001, 0x4001, 0xb8, other)},
		{"udp 10.0.0.1:1002 > 10.0.0.2:53 hook=OUTPUT out=dummy0 size=29 ttl=64 mark=0x1 tos=0x10", udp(1002, 1, 0x10, other)},
		{"tcp 10.0.0.1:1000 > 10.0.0.2:80 hook=OUTPUT out=dummy0 size=60 ttl=64", syn},
		{"icmp 10.0.0.1 > 10.0.0.2 hook=OUTPUT out=dummy0 size=28 ttl=64 type=8", echo},
		{"udp 10.0.0.1:1003 > 10.0.0.1:53 hook=INPUT in=lo size=29 ttl=64 socket=yes", udp(1003, 0, 0, me)},
		{"udp 10.0.0.1:1004 > 10.0.0.1:53 hook=INPUT in=lo size=29 ttl=64 socket=yes mark=0x4000", udp(1004, 0x4000, 0, me)},
	}
}

func options(mark, tos int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_MARK, mark)
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, tos)
		})
	}
}

// sender is the namespace that the probes are sent in.
type sender struct{ world }

func (sender) AddrType(a netip.Addr, dev string) netfilter.AddrType {
	if a.String() == "10.0.0.1" {
		if dev == "" || dev == "dummy0" {
			return netfilter.AddrLocal
		}
		return netfilter.AddrUnicast
	}
	return world{}.AddrType(a, "none")
}

func (sender) DevGroup(string) (int, bool) { return 0, true }

// TestKernelMatches gives the kernel every rule of the rows and sends it
// packets: the counters say which of the rules matched.
func TestKernelMatches(t *testing.T) {
	for _, backend := range []string{"iptables-legacy", "iptables"} {
		inNetns(t, func() {
			for _, args := range []string{"link add dummy0 type veth peer name peer0", "link set peer0 up", "addr add 10.0.0.1/24 dev dummy0", "link set dummy0 arp off up", "link set lo up"} {
				if _, err := sh("", "ip", strings.Fields(args)...); err != nil {
					t.Log("skipped: ", err)
					return
				}
			}
			_, _ = sh(setText, "ipset", "restore")
			compareMatches(t, backend)
		})
	}
}

func compareMatches(t *testing.T, backend string) {
	for _, rule := range kernelRules() {
		for _, chain := range []string{"OUTPUT", "INPUT"} {
			_, _ = sh("*mangle\n-A "+chain+" "+rule+"\nCOMMIT\n", backend+"-restore", "-n")
		}
	}
	compared, left := 0, 0
	for _, p := range probes() {
		_, _ = sh("", backend, "-t", "mangle", "-Z")
		if err := p.send(); err != nil {
			t.Log("skipped: ", p.frame, err)
			continue
		}
		save, err := sh("", backend+"-save", "-c", "-t", "mangle")
		if err != nil {
			t.Log("skipped: ", backend, err)
			return
		}
		n, open := compareProbe(t, backend, p, save)
		compared, left = compared+n, left+open
	}
	t.Logf("%s: %d answers equal the kernel's, %d left open", backend, compared, left)
	if compared == 0 {
		t.Logf("%s: skipped, the kernel takes no rule", backend)
	}
}

// compareProbe compares the counters of each rule with what Run says.
func compareProbe(t *testing.T, backend string, p probe, save string) (compared, open int) {
	f := frame(p.frame)
	f.Env = sender{f.Env.(world)}
	for line := range strings.Lines(save) {
		line = strings.TrimSpace(line)
		at := strings.Index(line, "] -A "+f.Hook.String())
		if at < 0 {
			continue
		}
		var packets, bytes int
		_, _ = fmt.Sscanf(line, "[%d:%d]", &packets, &bytes)
		rs, errs := parseAny("*mangle\n" + line[at+2:] + " -j DROP\nCOMMIT\n")
		if len(errs) > 0 {
			t.Errorf("%s: %v", backend, errs)
		}
		want := "accept"
		if packets > 0 {
			want = "drop"
		}
		switch got := verdicts(run(rs, "mangle", f)); {
		case strings.Contains(got, ","):
			open++
		case got != want:
			t.Errorf("%s: %s\n%s: the kernel counts %d, so %s, not %s", backend, p.frame, line[at+2:], packets, want, got)
		default:
			compared++
		}
	}
	return compared, open
}
