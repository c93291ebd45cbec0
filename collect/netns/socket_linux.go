package netns

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// The states of sockets that wait for a packet from anywhere.
const (
	tcpListen    = 10
	udpBound     = 7 // TCP_CLOSE: bound and not connected
	diagV6Only   = 11
	diagSockopt  = 22 // since Linux 5.10
	sizeofDiag   = 72
	sizeofDiagID = 48
)

// A protocolFiles says where the sockets of a protocol are to be found.
type protocolFiles struct {
	name   string
	number byte
	state  int
	diag   string // part of the kernel that answers over netlink
	file   string // under /proc/net, for IPv4; with a 6 for IPv6
}

// readSockets reads the sockets that listen or are bound. Where the kernel
// would have to load a module to answer over netlink, /proc tells them, which
// knows neither the device nor whether "[::]" also takes IPv4.
func (d *dumper) readSockets() error {
	for _, p := range []protocolFiles{
		{"tcp", unix.IPPROTO_TCP, tcpListen, "tcp_diag", "tcp"},
		{"udp", unix.IPPROTO_UDP, udpBound, "udp_diag", "udp"},
	} {
		for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
			if err := d.protocolSockets(p, family); err != nil {
				return fmt.Errorf("%s over IPv%d: %w", p.name, familyNumber(family), err)
			}
		}
	}
	if err := d.sctpSockets(); err != nil {
		return fmt.Errorf("sctp: %w", err)
	}
	slices.SortStableFunc(d.info.Sockets, func(a, b nodedump.Socket) int {
		x, _ := netip.ParseAddrPort(a.Local)
		y, _ := netip.ParseAddrPort(b.Local)
		return cmp.Or(strings.Compare(a.Protocol, b.Protocol), x.Compare(y), strings.Compare(a.Dev, b.Dev), strings.Compare(a.Process, b.Process))
	})
	d.info.Sockets = slices.Compact(d.info.Sockets) // SO_REUSEPORT
	return nil
}

// protocolSockets reads the sockets of a protocol and family.
func (d *dumper) protocolSockets(p protocolFiles, family byte) error {
	if d.kernel.has(p.diag) == present && d.kernel.has("inet_diag") == present {
		err := d.diagSockets(p, family)
		if !lacking(err) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return d.procSockets(p, family)
}

// diagSockets asks over netlink.
func (d *dumper) diagSockets(p protocolFiles, family byte) error {
	data := append([]byte{family, p.number, 0, 0}, u32(1<<p.state)...)
	data = append(data, make([]byte, sizeofDiagID)...)
	msgs, err := d.conn.all(query{proto: unix.NETLINK_SOCK_DIAG, typ: unix.SOCK_DIAG_BY_FAMILY, flags: unix.NLM_F_DUMP, data: data}, d.deadline)
	for _, msg := range msgs {
		if len(msg) < sizeofDiag {
			continue
		}
		size := 4
		if msg[0] == unix.AF_INET6 {
			size = 16
		}
		addr, _ := netip.AddrFromSlice(msg[8 : 8+size])
		options := after(msg, sizeofDiag)
		d.info.Sockets = append(d.info.Sockets, nodedump.Socket{
			Protocol: p.name, Local: localText(addr, binary.BigEndian.Uint16(msg[4:])),
			Dev:    d.devName(int(binary.NativeEndian.Uint32(msg[40:]))),
			V6Only: options.on(diagV6Only), Transparent: transparent(options[diagSockopt]),
			Process: d.owners[uint64(binary.NativeEndian.Uint32(msg[68:]))],
		})
	}
	return err
}

// transparent reads the sixth bit of struct inet_diag_sockopt.
func transparent(options []byte) string {
	bit := byte(1 << 5)
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		bit = 1 << 2 // bit fields begin at the other end
	}
	switch {
	case len(options) == 0:
		return ""
	case options[0]&bit != 0:
		return "yes"
	}
	return "no"
}

// localText writes where a socket listens. One that is bound to an IPv4
// address through IPv6 is an IPv4 socket to everybody else.
func localText(addr netip.Addr, port uint16) string {
	return netip.AddrPortFrom(addr.Unmap(), port).String()
}

// procSockets reads /proc/net/tcp and the like.
func (d *dumper) procSockets(p protocolFiles, family byte) error {
	name := p.file
	if family == unix.AF_INET6 {
		name += "6"
	}
	text, err := os.ReadFile("/proc/thread-self/net/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no IPv6
	}
	if err != nil {
		return err
	}
	wild := map[string]bool{} // IPv4 wildcard ports: with them, "[::]" did not take IPv4
	for _, s := range d.info.Sockets {
		wild[s.Protocol+" "+s.Local] = true
	}
	for line := range strings.Lines(string(text)) {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		if state, err := strconv.ParseUint(f[3], 16, 8); err != nil || int(state) != p.state {
			continue
		}
		local, err := procAddr(f[1])
		if err != nil {
			continue
		}
		inode, _ := strconv.ParseUint(f[9], 10, 64)
		d.info.Sockets = append(d.info.Sockets, nodedump.Socket{
			Protocol: p.name, Local: localText(local.Addr(), local.Port()), Process: d.owners[inode],
			V6Only: family == unix.AF_INET6 && wild[fmt.Sprintf("%s 0.0.0.0:%d", p.name, local.Port())],
		})
	}
	return nil
}

// procAddr reads "0100007F:0035": the words of the address are in the byte
// order of the machine, the port is a number.
func procAddr(text string) (netip.AddrPort, error) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	if err != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, fmt.Errorf("%q is not an address", text)
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr, uint16(n)), nil
}

// sctpSockets reads the endpoints of SCTP, which /proc lists wherever the
// protocol is there.
func (d *dumper) sctpSockets() error {
	text, err := os.ReadFile("/proc/thread-self/net/sctp/eps")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for line := range strings.Lines(string(text)) {
		// ENDPT SOCK STY SST HBKT LPORT UID INODE LADDRS
		f := strings.Fields(line)
		if len(f) < 9 || f[3] != strconv.Itoa(tcpListen) {
			continue
		}
		port, err := strconv.ParseUint(f[5], 10, 16)
		if err != nil {
			continue
		}
		inode, _ := strconv.ParseUint(f[7], 10, 64)
		for _, local := range f[8:] {
			if addr, err := netip.ParseAddr(local); err == nil {
				d.info.Sockets = append(d.info.Sockets, nodedump.Socket{Protocol: "sctp", Local: localText(addr, uint16(port)), Process: d.owners[inode]})
			}
		}
	}
	return err
}

// socketOwners returns the names of the processes that have sockets, by inode.
// What it cannot read in time it leaves out: the names only help people.
func socketOwners(ctx context.Context, limit time.Duration) map[uint64]string {
	owners := map[uint64]string{}
	end := time.Now().Add(limit / 4)
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		if ctx.Err() != nil || time.Now().After(end) {
			break
		}
		name := ""
		entries, _ := os.ReadDir(dir + "/fd")
		for _, entry := range entries {
			target, err := os.Readlink(dir + "/fd/" + entry.Name())
			digits, ok := strings.CutPrefix(target, "socket:[")
			if err != nil || !ok {
				continue
			}
			if name == "" {
				comm, _ := os.ReadFile(dir + "/comm")
				name = strings.TrimSpace(string(comm))
			}
			if inode, err := strconv.ParseUint(strings.TrimSuffix(digits, "]"), 10, 64); err == nil {
				owners[inode] = name
			}
		}
	}
	return owners
}
