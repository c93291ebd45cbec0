package route

import (
	"net/netip"
	"slices"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// loopback is the name of the loopback device, which every namespace has.
const loopback = "lo"

// devices is the interfaces of a namespace, indexed.
type devices struct {
	known   bool // whether the interfaces were collected
	all     []*device
	byName  map[string]*device
	byIndex map[int]*device
	byAddr  map[netip.Addr]*device // the first that has the address
}

// A device is an interface with its addresses parsed.
type device struct {
	*nodedump.Interface
	addrs []address
}

// An address is one address of a device (struct in_ifaddr, inet6_ifaddr).
type address struct {
	ip        netip.Addr
	prefix    netip.Prefix // of the peer, if there is one
	scope     scope
	secondary bool
	tentative bool // must not be used yet, or never
	outdated  bool // deprecated
	temporary bool
}

func newDevices(info *nodedump.NetNSInfo, p *problems) devices {
	d := devices{byName: map[string]*device{}, byIndex: map[int]*device{}, byAddr: map[netip.Addr]*device{}}
	status, listed := info.Sections["interfaces"]
	d.known = len(info.Interfaces) > 0 && (!listed || status.Known())
	for i := range info.Interfaces {
		dev := &device{Interface: &info.Interfaces[i]}
		for _, a := range dev.Addrs {
			addr, err := parseAddress(a)
			if err != nil {
				p.add(dev.Line, "address of %s: %w", dev.Name, err)
				continue
			}
			dev.addrs = append(dev.addrs, addr)
			if d.byAddr[addr.ip] == nil {
				d.byAddr[addr.ip] = dev
			}
		}
		d.all = append(d.all, dev)
		d.byName[dev.Name] = dev
		d.byIndex[dev.Index] = dev
	}
	slices.SortStableFunc(d.all, func(a, b *device) int { return a.Index - b.Index })
	return d
}

func parseAddress(a nodedump.Addr) (address, error) {
	prefix, err := netip.ParsePrefix(a.Prefix)
	if err != nil {
		return address{}, err
	}
	addr := address{
		ip:        prefix.Addr(),
		prefix:    prefix.Masked(),
		scope:     parseScope(a.Scope),
		secondary: slices.Contains(a.Flags, "secondary"),
		outdated:  slices.Contains(a.Flags, "deprecated"),
		temporary: slices.Contains(a.Flags, "temporary"),
		tentative: slices.Contains(a.Flags, "dadfailed") ||
			slices.Contains(a.Flags, "tentative") && !slices.Contains(a.Flags, "optimistic"),
	}
	if addr.ip.Is6() && addr.secondary { // ip calls temporary addresses secondary
		addr.temporary, addr.secondary = true, false
	}
	if a.Peer == "" {
		return addr, nil
	}
	peer, err := parsePrefix(a.Peer, prefix.Bits())
	addr.prefix = peer
	return addr, err
}

// parsePrefix parses "10.0.0.0/8", or an address, which then has bits.
func parsePrefix(s string, bits int) (netip.Prefix, error) {
	if prefix, err := netip.ParsePrefix(s); err == nil {
		return prefix.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(a, min(bits, a.BitLen())).Masked(), nil
}

// up reports whether the device is administratively up. A device of which no
// flags are known is taken to be up.
func (d *device) up() bool { return len(d.Flags) == 0 || slices.Contains(d.Flags, "UP") }

func (d *device) isLoopback() bool {
	return d.Name == loopback || slices.Contains(d.Flags, "LOOPBACK")
}

// master returns the VRF that the device belongs to or is, "" if none
// (l3mdev_master_ifindex).
func (d *devices) master(name string) string {
	dev := d.byName[name]
	if dev == nil {
		return ""
	}
	if dev.Kind == "vrf" {
		return dev.Name
	}
	if m := d.byIndex[dev.Master]; dev.Master != 0 && m != nil && m.Kind == "vrf" {
		return m.Name
	}
	return ""
}

// Device returns the interface of that name.
func (f *FIB) Device(name string) (*nodedump.Interface, bool) { return found(f.devices.byName[name]) }

// DeviceByIndex returns the interface with that ifindex.
func (f *FIB) DeviceByIndex(index int) (*nodedump.Interface, bool) {
	return found(f.devices.byIndex[index])
}

// DeviceOwning returns the interface that has the address, the first if there
// are several.
func (f *FIB) DeviceOwning(addr netip.Addr) (*nodedump.Interface, bool) {
	return found(f.devices.byAddr[clean(addr)])
}

func found(d *device) (*nodedump.Interface, bool) {
	if d == nil {
		return nil, false
	}
	return d.Interface, true
}

// clean returns a as the tables hold it: without a zone. An IPv4 address in an
// IPv6 one is routed as any IPv6 address.
func clean(a netip.Addr) netip.Addr { return a.WithZone("") }
