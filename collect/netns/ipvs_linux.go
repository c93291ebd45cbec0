package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"net/netip"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot"
)

// The commands and attributes of IPVS over generic netlink
// (include/uapi/linux/ip_vs.h), which no package that is used here has.
const (
	ipvsGetService = 4
	ipvsGetDest    = 8

	ipvsCmdService = 1
	ipvsCmdDest    = 2

	ipvsSvcFamily    = 1
	ipvsSvcProtocol  = 2
	ipvsSvcAddr      = 3
	ipvsSvcPort      = 4
	ipvsSvcMark      = 5
	ipvsSvcScheduler = 6
	ipvsSvcFlags     = 7
	ipvsSvcTimeout   = 8
	ipvsSvcNetmask   = 9
	ipvsSvcEngine    = 11

	ipvsDestAddr    = 1
	ipvsDestPort    = 2
	ipvsDestMethod  = 3
	ipvsDestWeight  = 4
	ipvsDestUpper   = 5
	ipvsDestLower   = 6
	ipvsDestFamily  = 11
	ipvsDestTunnel  = 13
	ipvsDestTunPort = 14
	ipvsDestTunFlag = 15

	ipvsPersistent = 1 << 0
	ipvsOnePacket  = 1 << 2
	ipvsFlagsShift = 3 // three flags of the scheduler from here on
)

// readIPVS reads the virtual servers and writes them as "ipvsadm-save -n" would,
// the real servers of each in the kernel's order, with thresholds, which
// ipvsadm-save leaves out. It never makes the kernel load ip_vs.
func (d *dumper) readIPVS() ([]byte, error) {
	_, err := os.Stat("/proc/thread-self/net/ip_vs")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the kernel has no IPVS
	}
	if err != nil {
		return nil, err
	}
	family, err := d.genlFamily("IPVS")
	if err != nil {
		return nil, err
	}
	services, err := d.ipvsDump(family, ipvsGetService, ipvsCmdService, nil)
	slices.SortFunc(services, func(a, b attrs) int { return strings.Compare(ipvsName(a), ipvsName(b)) })
	var rules []string
	for _, service := range services {
		servers, destErr := d.ipvsDump(family, ipvsGetDest, ipvsCmdDest, ipvsKey(service))
		if destErr != nil && err == nil {
			err = fmt.Errorf("%s: %w", ipvsName(service), destErr)
		}
		rules = append(rules, "-A "+ipvsName(service)+ipvsService(service))
		for _, server := range servers {
			rules = append(rules, "-a "+ipvsName(service)+ipvsServer(server))
		}
		if destErr != nil {
			break
		}
	}
	if len(rules) == 0 {
		return nil, err
	}
	data, formatErr := snapshot.FormatIPVS(rules)
	return data, errors.Join(err, formatErr)
}

// genlHeader is struct genlmsghdr.
func genlHeader(command byte) []byte { return []byte{command, 1, 0, 0} }

// genlFamily returns the number of a family of generic netlink.
func (d *dumper) genlFamily(name string) (id int, err error) {
	const getFamily, familyID, familyName = 3, 1, 2
	data := append(genlHeader(getFamily), attr(familyName, append([]byte(name), 0))...)
	err = d.conn.each(query{proto: unix.NETLINK_GENERIC, typ: unix.GENL_ID_CTRL, data: data}, d.deadline, func(msg []byte) bool {
		id = after(msg, len(genlHeader(0))).num(familyID)
		return true
	})
	if err == nil && id == 0 {
		err = unix.ENOENT
	}
	if err != nil {
		return 0, fmt.Errorf("generic netlink family %s: %w", name, err)
	}
	return id, nil
}

// ipvsDump returns the attributes of one kind from a dump.
func (d *dumper) ipvsDump(family int, command byte, kind uint16, about []byte) (all []attrs, err error) {
	q := query{proto: unix.NETLINK_GENERIC, typ: family, flags: unix.NLM_F_DUMP, data: append(genlHeader(command), about...)}
	msgs, err := d.conn.all(q, d.deadline)
	for _, msg := range msgs {
		if a := after(msg, len(genlHeader(0))); a.has(kind) {
			all = append(all, a.nest(kind))
		}
	}
	return all, err
}

// ipvsKey names a service in a request.
func ipvsKey(service attrs) []byte {
	var inner []byte
	for _, typ := range []uint16{ipvsSvcFamily, ipvsSvcProtocol, ipvsSvcAddr, ipvsSvcPort, ipvsSvcMark} {
		if value, ok := service[typ]; ok {
			inner = append(inner, attr(int(typ), value)...)
		}
	}
	return attr(ipvsCmdService|unix.NLA_F_NESTED, inner)
}

// ipvsName names a service as ipvsadm does.
func ipvsName(service attrs) string {
	v6 := service.num(ipvsSvcFamily) == unix.AF_INET6
	if mark := service.num(ipvsSvcMark); mark != 0 {
		name := fmt.Sprintf("-f %d", mark)
		if v6 {
			name += " -6"
		}
		return name
	}
	flag := "-t"
	switch service.num(ipvsSvcProtocol) {
	case unix.IPPROTO_UDP:
		flag = "-u"
	case unix.IPPROTO_SCTP:
		flag = "--sctp-service"
	}
	return flag + " " + addrPort(ipvsAddr(service[ipvsSvcAddr], v6), service.big(ipvsSvcPort))
}

// ipvsAddr reads a union nf_inet_addr.
func ipvsAddr(b []byte, v6 bool) netip.Addr {
	if !v6 && len(b) > net4 {
		b = b[:net4]
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

// net4 is the length of an IPv4 address.
const net4 = 4

// ipvsService prints the options of a service.
func ipvsService(service attrs) string {
	var b strings.Builder
	fmt.Fprintf(&b, " -s %s", service.str(ipvsSvcScheduler))
	flags := 0
	if value := service[ipvsSvcFlags]; len(value) >= 4 {
		flags = int(binary.NativeEndian.Uint32(value))
	}
	if names := ipvsFlags(service.str(ipvsSvcScheduler), flags>>ipvsFlagsShift); len(names) > 0 {
		fmt.Fprintf(&b, " -b %s", strings.Join(names, ","))
	}
	if flags&ipvsPersistent != 0 {
		fmt.Fprintf(&b, " -p %d", service.num(ipvsSvcTimeout))
		b.WriteString(ipvsMask(service))
	}
	if engine := service.str(ipvsSvcEngine); engine != "" {
		b.WriteString(" --pe " + engine)
	}
	if flags&ipvsOnePacket != 0 {
		b.WriteString(" -o")
	}
	return b.String()
}

// ipvsFlags names the flags of a scheduler.
func ipvsFlags(scheduler string, flags int) (names []string) {
	known := map[string][]string{"sh": {"sh-fallback", "sh-port"}, "mh": {"mh-fallback", "mh-port"}}[scheduler]
	for i := range 3 {
		switch {
		case flags&(1<<i) == 0:
		case i < len(known):
			names = append(names, known[i])
		default:
			names = append(names, fmt.Sprintf("flag-%d", i+1))
		}
	}
	return names
}

// ipvsMask prints which clients count as one, unless each does: a mask for
// IPv4, a length for IPv6.
func ipvsMask(service attrs) string {
	v := service[ipvsSvcNetmask]
	if len(v) != net4 {
		return ""
	}
	if n := binary.NativeEndian.Uint32(v); service.num(ipvsSvcFamily) == unix.AF_INET6 {
		if n == 128 {
			return ""
		}
		return fmt.Sprintf(" -M %d", n)
	} else if bits.OnesCount32(n) == 32 {
		return ""
	}
	return " -M " + netip.AddrFrom4([4]byte(v)).String()
}

// ipvsServer prints the options of a real server.
func ipvsServer(server attrs) string {
	const masq, local, tunnel, bits = 0, 1, 2, 7
	v6 := server.num(ipvsDestFamily) == unix.AF_INET6
	var b strings.Builder
	fmt.Fprintf(&b, " -r %s", addrPort(ipvsAddr(server[ipvsDestAddr], v6), server.big(ipvsDestPort)))
	method := server.num(ipvsDestMethod) & bits
	switch method {
	case masq, local:
		b.WriteString(" -m")
	case tunnel:
		b.WriteString(" -i")
	default:
		b.WriteString(" -g")
	}
	fmt.Fprintf(&b, " -w %d", server.num(ipvsDestWeight))
	if upper := server.num(ipvsDestUpper); upper != 0 {
		fmt.Fprintf(&b, " -x %d -y %d", upper, server.num(ipvsDestLower))
	}
	if method == tunnel {
		b.WriteString(ipvsTunnel(server))
	}
	return b.String()
}

// ipvsTunnel prints the options of a tunnel.
func ipvsTunnel(server attrs) string {
	kind := pick(server.num(ipvsDestTunnel), "ipip", "gue", "gre")
	text := " --tun-type " + kind
	if kind == "gue" {
		text += fmt.Sprintf(" --tun-port %d", server.big(ipvsDestTunPort))
	}
	if kind != "ipip" {
		text += " " + pick(server.num(ipvsDestTunFlag), "--tun-nocsum", "--tun-csum", "--tun-remcsum")
	}
	return text
}
