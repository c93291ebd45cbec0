package netstack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// bonded gives a frame to the bond or team that a device belongs to. What comes
// in by one that is not in use is only for whoever listens there
// (bond_should_deliver_exact_match).
func (r *run) bonded(dev, bond *nodedump.Interface) {
	if bond.Kind == "team" {
		doubt := model.Doubt{What: "whether team " + bond.Name + " takes frames by " + dev.Name, Evidence: r.ns.at(bond.Line)}
		if len(r.ns.ports[bond.Name]) > 1 && r.forks(doubt) {
			return
		}
		r.device(bond)
		return
	}
	balanced := bond.Mode == "balance-alb" && r.to != toAll // takes what is for one by any of them
	switch used, known := inUse(dev, bond); {
	case known && !used && !balanced:
		r.end(model.Dropped, "", fmt.Sprintf("%s is not in use by bond %s", dev.Name, bond.Name), r.ns.at(dev.Line))
		return
	case !known && r.forks(model.Doubt{What: "whether " + dev.Name + " is in use by bond " + bond.Name, Evidence: r.ns.at(bond.Line)}):
		return
	}
	r.step("bond "+bond.Name, "", "in by "+dev.Name, r.ns.at(bond.Line))
	r.device(bond)
}

// inUse reports whether a bond takes frames by a device: in these modes only by
// the active one (bond_is_slave_inactive).
func inUse(dev, bond *nodedump.Interface) (used, known bool) {
	switch bond.Mode {
	case "active-backup", "balance-tlb", "balance-alb":
		if bond.ActiveSlave != 0 {
			return bond.ActiveSlave == dev.Index, true
		}
	}
	if dev.Slave == nil || dev.Slave.State == "" {
		return false, bond.Mode == "balance-rr" || bond.Mode == "balance-xor" || bond.Mode == "broadcast"
	}
	return dev.Slave.State == "active", true
}

// bondOut sends a frame by a bond (bond_start_xmit, team_xmit). Its devices lead
// to the same wire; if they are hardware the walk need not know which one takes
// the frame.
func (r *run) bondOut(bond *nodedump.Interface) {
	ports := r.ns.ports[bond.Name]
	ways := sending(ports, bond)
	switch {
	case len(ports) == 0 && !r.alone && bond.MAC == "":
		r.leave(bond)
	case len(ways) == 0 && len(ports) > 0:
		r.end(model.Dropped, "link/down", fmt.Sprintf("no device of bond %s can send", bond.Name), r.ns.at(bond.Line))
	case !slices.ContainsFunc(ports, func(p *nodedump.Interface) bool { return p.Kind != "" }):
		r.leave(bond)
	case bond.Kind == "team" && len(ways) > 1, bond.Mode == "broadcast":
		r.unknown("which devices of "+bond.Name+" take a frame", r.ns.at(bond.Line))
	default:
		way := ways[r.f.Choices.Pick(slices.Repeat([]float64{1}, len(ways)))]
		r.step("bond "+bond.Name, "", "out by "+way.Name, r.ns.at(way.Line))
		r.xmit(way)
	}
}

// sending returns the devices of a bond that may send a frame.
func sending(ports []*nodedump.Interface, bond *nodedump.Interface) (ways []*nodedump.Interface) {
	all := bond.Mode == "balance-rr" || bond.Mode == "balance-xor"
	for _, p := range ports {
		used, known := inUse(p, bond)
		if Up(p) && Carrier(p) && !failed(p) && (used || !known || all) {
			ways = append(ways, p)
		}
	}
	return ways
}

// failed reports whether a bond has found a device without a link.
func failed(dev *nodedump.Interface) bool {
	return dev.Slave != nil && strings.EqualFold(dev.Slave.MII, "DOWN")
}
