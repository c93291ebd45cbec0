package rawimport

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// wireguard adds what wg-dump.txt says to the interfaces: "wg show all dump".
// Its keys are dropped. Where there is no WireGuard device the file is not
// missed.
func (r *reader) wireguard() {
	data, status, reason := r.read("wg-dump.txt")
	has := slices.ContainsFunc(r.info.Interfaces, func(d nodedump.Interface) bool { return d.Kind == "wireguard" })
	if status != nodedump.StatusOK {
		if has {
			r.missing("wireguard", status, reason)
		}
		return
	}
	devices, bads := parseWireGuard(string(data))
	r.notes("wg-dump.txt", bads)
	if len(bads) > 0 {
		r.missing("wireguard", nodedump.StatusTruncated, fmt.Sprintf("wg-dump.txt:%d: %v", bads[0].line, bads[0].err))
	}
	for i := range r.info.Interfaces {
		if d := &r.info.Interfaces[i]; d.Kind == "wireguard" {
			d.WireGuard = devices[d.Name]
		}
	}
}

// How many words the lines of "wg show all dump" have.
const (
	wgDeviceWords = 5
	wgPeerWords   = 9
)

// parseWireGuard reads the lines of all devices. What it says of a line that it
// cannot read does not quote it: there may be a key in it.
func parseWireGuard(text string) (devices map[string]*nodedump.WireGuard, bads []bad) {
	devices = map[string]*nodedump.WireGuard{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		f := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		switch {
		case len(f) == 1 && f[0] == "":
		case len(f) == wgDeviceWords:
			port, err := strconv.Atoi(f[3])
			if err != nil {
				bads = append(bads, bad{n, errors.New("no listening port")})
				continue
			}
			mark, _ := strconv.ParseUint(f[4], 0, 32) // "off" is none
			devices[f[0]] = &nodedump.WireGuard{Port: port, FWMark: uint32(mark)}
		case len(f) == wgPeerWords && devices[f[0]] != nil:
			peer, err := parseWGPeer(f[3], f[4])
			if err != nil {
				bads = append(bads, bad{n, err})
				continue
			}
			devices[f[0]].Peers = append(devices[f[0]].Peers, peer)
		default:
			bads = append(bads, bad{n, errors.New("no line of \"wg show all dump\"")})
		}
	}
	return devices, bads
}

func parseWGPeer(endpoint, allowed string) (p nodedump.WGPeer, err error) {
	if endpoint != "(none)" {
		at, e := netip.ParseAddrPort(endpoint)
		if e != nil {
			return p, errors.New("no endpoint")
		}
		p.Endpoint = at.String()
	}
	if allowed == "(none)" {
		return p, nil
	}
	for _, s := range strings.Split(allowed, ",") {
		prefix, e := netip.ParsePrefix(s)
		if e != nil {
			return p, errors.New("no prefix among the allowed IPs")
		}
		p.AllowedIPs = append(p.AllowedIPs, prefix.String())
	}
	return p, nil
}
