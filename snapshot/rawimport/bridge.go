package rawimport

import (
	"errors"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A rawPort is what bridge and ip print about a bridge port.
type rawPort struct {
	Name       string `json:"ifname"`
	State      word   `json:"state"`
	Hairpin    flag   `json:"hairpin"`
	Isolated   flag   `json:"isolated"`
	Learning   flag   `json:"learning"`
	Flood      flag   `json:"flood"`
	McastFlood flag   `json:"mcast_flood"`
	BcastFlood flag   `json:"bcast_flood"`
	ProxyARP   flag   `json:"proxy_arp"`
	NeighSuppr flag   `json:"neigh_suppress"`
	Locked     flag   `json:"locked"`
	VLANTunnel flag   `json:"vlan_tunnel"`
}

func (p *rawPort) convert() *nodedump.Port {
	return &nodedump.Port{
		State: string(p.State), Hairpin: p.Hairpin.on, Isolated: p.Isolated.on,
		NoLearning: !p.Learning.orElse(true), NoFlood: !p.Flood.orElse(true),
		NoMcastFlood: !p.McastFlood.orElse(true), NoBcastFlood: !p.BcastFlood.orElse(true),
		ProxyARP: p.ProxyARP.on, NeighSuppr: p.NeighSuppr.on,
		Locked: p.Locked.on, VLANTunnel: p.VLANTunnel.on,
	}
}

// A parsedPort is a bridge port and the name of its device.
type parsedPort struct {
	name string
	port *nodedump.Port
}

// parseBridgeLinks reads "bridge -j -d link".
func parseBridgeLinks(data []byte) ([]parsedPort, []bad, error) {
	return parseEntries(data, func(p *rawPort, _ int) (parsedPort, error) {
		if p.Name == "" {
			return parsedPort{}, errors.New("a bridge port without ifname")
		}
		return parsedPort{p.Name, p.convert()}, nil
	})
}

// A rawFDB is an entry of "bridge -j -d fdb".
type rawFDB struct {
	MAC    string   `json:"mac"`
	Name   string   `json:"ifname"`
	Dev    string   `json:"dev"` // older spelling
	Master string   `json:"master"`
	VLAN   number   `json:"vlan"`
	Dst    string   `json:"dst"`
	Port   number   `json:"port"`
	VNI    number   `json:"vni"`
	Via    string   `json:"viaIf"`
	State  word     `json:"state"`
	Flags  []string `json:"flags"`
}

// parseFDB reads "bridge -j -d fdb", or what it prints without -j.
func parseFDB(data []byte) ([]nodedump.FDBEntry, []bad, error) {
	parse := fdbOfText
	if isJSON(data) {
		parse = parseEntries[rawFDB, nodedump.FDBEntry]
	}
	return parse(data, func(f *rawFDB, line int) (nodedump.FDBEntry, error) {
		if f.Name == "" {
			f.Name = f.Dev
		}
		if f.MAC == "" || f.Name == "" {
			return nodedump.FDBEntry{}, errors.New("an FDB entry without mac or ifname")
		}
		dst, err := address(f.Dst)
		return nodedump.FDBEntry{
			MAC: f.MAC, Dev: f.Name, Master: f.Master, VLAN: int(f.VLAN), Dst: dst, Port: int(f.Port), VNI: int(f.VNI),
			Via: f.Via, State: string(f.State), Flags: f.Flags, Line: line,
		}, err
	})
}
