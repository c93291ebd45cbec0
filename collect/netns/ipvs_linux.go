package netns

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
)

// readIPVS reads the virtual servers from /proc, which never makes the kernel
// load ip_vs, and writes them as "ipvsadm-save -n" would.
func (d *dumper) readIPVS() ([]byte, error) {
	text, err := os.ReadFile("/proc/thread-self/net/ip_vs")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the kernel has no IPVS
	}
	if err != nil {
		return nil, err
	}
	rules, err := ipvsRules(string(text))
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	return snapshot.FormatIPVS(rules)
}

// ipvsRules turns /proc/net/ip_vs into the lines of ipvsadm-save:
//
//	Prot LocalAddress:Port Scheduler Flags
//	  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
//	TCP  0A600001:01BB rr persistent 10800 FFFFFFFF
//	  -> C0A80002:192B      Masq    1      0          0
func ipvsRules(text string) (rules []string, err error) {
	service := ""
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		switch f[0] {
		case "TCP", "UDP", "SCTP", "FWM":
			var options string
			if service, options, err = ipvsService(f); err != nil {
				return rules, fmt.Errorf("%q: %w", strings.TrimSpace(line), err)
			}
			rules = append(rules, "-A "+service+" "+options)
		case "->":
			if service == "" {
				continue // the heading
			}
			server, err := ipvsServer(f)
			if err != nil {
				return rules, fmt.Errorf("%q: %w", strings.TrimSpace(line), err)
			}
			rules = append(rules, "-a "+service+" "+server)
		}
	}
	return rules, nil
}

// ipvsService reads the line of a virtual server.
func ipvsService(f []string) (service, options string, err error) {
	flag := map[string]string{"TCP": "-t", "UDP": "-u", "SCTP": "--sctp-service", "FWM": "-f"}[f[0]]
	rest := f[2:]
	if f[0] == "FWM" {
		mark, err := strconv.ParseUint(f[1], 16, 32)
		if err != nil {
			return "", "", err
		}
		service = fmt.Sprintf("%s %d", flag, mark)
	} else {
		addr, err := ipvsAddr(f[1])
		if err != nil {
			return "", "", err
		}
		service = flag + " " + addr.String()
	}
	options = "-s " + rest[0]
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == "ops":
			options += " -o"
		case rest[i] == "persistent" && i+1 < len(rest):
			options += " -p " + rest[i+1]
			if i++; i+1 < len(rest) && rest[i+1] != "FFFFFFFF" {
				options += " -M " + ipvsMask(rest[i+1])
			}
			i++
		}
	}
	return service, options, nil
}

// ipvsServer reads the line of a real server.
func ipvsServer(f []string) (string, error) {
	addr, err := ipvsAddr(f[1])
	if err != nil {
		return "", err
	}
	if len(f) < 4 {
		return "", errors.New("the weight is missing")
	}
	how := map[string]string{"Masq": "-m", "Route": "-g", "Tunnel": "-i", "Local": "-m"}[f[2]]
	if how == "" {
		return "", fmt.Errorf("forwarding by %s is not known", f[2])
	}
	return fmt.Sprintf("-r %s %s -w %s", addr, how, f[3]), nil
}

// ipvsAddr reads "0A600001:01BB" or "[fd00:0000:...]:01BB".
func ipvsAddr(text string) (netip.AddrPort, error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return netip.AddrPort{}, fmt.Errorf("%q has no port", text)
	}
	port, err := strconv.ParseUint(text[i+1:], 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	host := text[:i]
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		return netip.AddrPortFrom(addr, uint16(port)), err
	}
	n, err := strconv.ParseUint(host, 16, 32)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(b), uint16(port)), nil
}

// ipvsMask reads the mask of persistence as an address.
func ipvsMask(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 4 {
		return text
	}
	return netip.AddrFrom4([4]byte(b)).String()
}
