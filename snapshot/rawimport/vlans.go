package rawimport

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// vlans adds what bridge-vlan.json says to the interfaces. Where no bridge
// filters by VLAN the file is not missed.
func (r *reader) vlans() {
	list, status, reason := load(r, "bridge-vlan.json", parseVLANs)
	for _, m := range list {
		for i := range r.info.Interfaces {
			if r.info.Interfaces[i].Name == m.name {
				r.info.Interfaces[i].VLANs = m.vlans
			}
		}
	}
	filters := slices.ContainsFunc(r.info.Interfaces, func(d nodedump.Interface) bool { return d.Bridge != nil && d.Bridge.VLANFiltering })
	if status != nodedump.StatusOK && (filters || status != nodedump.StatusNotCollected) {
		r.missing("vlans", status, reason)
	}
}

// A membership is the VLANs of one device.
type membership struct {
	name  string
	vlans []nodedump.BridgeVLAN
}

// A rawVLANs is an entry of "bridge -j vlan show"; older ones are an object
// with a list for each device.
type rawVLANs struct {
	Name  string    `json:"ifname"`
	VLANs []rawVLAN `json:"vlans"`
}

type rawVLAN struct {
	ID    int      `json:"vlan"`
	Last  int      `json:"vlanEnd"`
	Flags []string `json:"flags"`
}

func (v rawVLAN) convert() nodedump.BridgeVLAN {
	return nodedump.BridgeVLAN{ID: v.ID, Last: v.Last, PVID: slices.Contains(v.Flags, "PVID"), Untagged: slices.Contains(v.Flags, "Egress Untagged")}
}

func parseVLANs(data []byte) ([]membership, []bad, error) {
	return parseEntries(data, func(v *rawVLANs, _ int) (membership, error) {
		if v.Name == "" {
			return membership{}, errors.New("VLANs without ifname")
		}
		m := membership{name: v.Name}
		for _, one := range v.VLANs {
			if one.ID < 0 || one.ID > maxVLAN || one.Last > maxVLAN {
				return membership{}, errors.New("no VLAN: " + strconv.Itoa(one.ID))
			}
			m.vlans = append(m.vlans, one.convert())
		}
		return m, nil
	})
}

const maxVLAN = 4094

// programsOf returns the XDP program of a device, and the queue that loses
// packets on purpose.
func programsOf(l *rawLink) (programs []nodedump.Program) {
	if len(l.XDP) > 0 {
		var xdp struct {
			Prog struct {
				ID   int    `json:"id"`
				Name string `json:"name"`
			} `json:"prog"`
		}
		_ = json.Unmarshal(l.XDP, &xdp) // that there is one is enough
		name := xdp.Prog.Name
		if name == "" {
			name = "xdp"
		}
		programs = append(programs, nodedump.Program{Hook: "xdp", Dev: l.Name, Kind: "bpf", Name: name, ID: xdp.Prog.ID})
	}
	if l.Qdisc == "netem" {
		programs = append(programs, nodedump.Program{Hook: "qdisc", Dev: l.Name, Kind: l.Qdisc})
	}
	return programs
}
