package route

import (
	"strconv"
	"strings"
)

// Sysctl returns the value of a sysctl by its dotted name ("net.ipv4.ip_forward")
// and where it was read from; ok is false if the dump does not have it. The
// dots of a device's name may be written as such or, as sysctl(8) does, as
// slashes.
func (f *FIB) Sysctl(name string) (value, evidence string, ok bool) {
	if value, ok = f.info.Sysctls[name]; !ok {
		name = deviceSlashed(name)
		if value, ok = f.info.Sysctls[name]; !ok {
			return "", "", false
		}
	}
	return value, f.evidence(f.info.SysctlLines[name]), true
}

// deviceSlashed writes the dots of a device's name as slashes:
// "net.ipv4.conf.eth0/100.rp_filter".
func deviceSlashed(name string) string {
	const levels = 3 // net.ipv4.conf, net.ipv6.neigh
	start := 0
	for range levels {
		i := strings.IndexByte(name[start:], '.')
		if i < 0 {
			return name
		}
		start += i + 1
	}
	end := strings.LastIndexByte(name, '.')
	if end <= start {
		return name
	}
	return name[:start] + strings.ReplaceAll(name[start:end], ".", "/") + name[end:]
}

// A confKey names net.<ip>.conf.<dev>.<key>.
type confKey struct{ ip, dev, key string }

// A setting is the value of a sysctl that is a number, and where it was read from.
type setting struct {
	value    int
	evidence string
}

// readConf indexes the sysctls of devices, which each packet asks for several
// times. What is no number is left out.
func (f *FIB) readConf() {
	f.settings = make(map[confKey]setting, len(f.info.Sysctls))
	for name, text := range f.info.Sysctls {
		ip, rest, ok := strings.Cut(strings.TrimPrefix(name, "net."), ".conf.")
		end := strings.LastIndexByte(rest, '.')
		value, err := strconv.Atoi(strings.TrimSpace(text))
		if !ok || end < 0 || err != nil {
			continue
		}
		dev := strings.ReplaceAll(rest[:end], "/", ".")
		f.settings[confKey{ip, dev, rest[end+1:]}] = setting{value, f.evidence(f.info.SysctlLines[name])}
	}
}

// conf returns net.<ip>.conf.<dev>.<key>, where ip is "ipv4" or "ipv6".
func (f *FIB) conf(ip, dev, key string) (value int, evidence string, ok bool) {
	s, ok := f.settings[confKey{ip, dev, key}]
	return s.value, s.evidence, ok
}

// Conf returns net.<ip>.conf.<dev>.<key>, where ip is "ipv4" or "ipv6", and
// where it was read from; ok is false if the dump does not have it.
func (f *FIB) Conf(ip, dev, key string) (value int, evidence string, ok bool) {
	return f.conf(ip, dev, key)
}

// Switched reports whether a switch of net.IP.conf is on for all devices or for
// dev (IN_DEV_ORCONF). One that is not known counts as off.
func (f *FIB) Switched(ip, dev, key string) bool {
	all, _, _ := f.conf(ip, "all", key)
	own, _, _ := f.conf(ip, dev, key)
	return all != 0 || own != 0
}

// confMax returns the larger of the value for all devices and for dev, and
// where that is from (IN_DEV_MAXCONF; of a switch, also IN_DEV_ORCONF). A
// value that is not known counts as 0.
func (f *FIB) confMax(dev, key string) (value int, evidence string) {
	all, allEvidence, _ := f.conf("ipv4", "all", key)
	own, ownEvidence, ok := f.conf("ipv4", dev, key)
	if own > all || ok && own == all {
		return own, ownEvidence
	}
	return all, allEvidence
}

// Forwarding reports whether packets of others that come in by dev are
// forwarded; known is false if the dump does not tell.
//
// For IPv4 each device decides (IN_DEV_FORWARD in ip_route_input_slow). For
// IPv6 conf/all decides, and since Linux 6.17 force_forwarding of the device
// (ip6_forward).
func (f *FIB) Forwarding(dev string, ipv6 bool) (on bool, evidence string, known bool) {
	if !ipv6 {
		return f.forwarding4(dev)
	}
	if v, ev, ok := f.conf("ipv6", dev, "force_forwarding"); ok && v != 0 {
		return true, ev, true
	}
	v, ev, ok := f.conf("ipv6", "all", "forwarding")
	return v != 0, ev, ok
}

func (f *FIB) forwarding4(dev string) (on bool, evidence string, known bool) {
	for _, name := range []string{dev, "all"} {
		if v, ev, ok := f.conf("ipv4", name, "forwarding"); ok {
			return v != 0, ev, true
		}
	}
	v, ev, ok := f.Sysctl("net.ipv4.ip_forward")
	return strings.TrimSpace(v) != "0", ev, ok
}
