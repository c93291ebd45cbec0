package aliyun

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/analyze/model"
)

// Check implements [infra.Checker]: each route table that a node sends by leads
// to the pods of each other, no interface refuses their addresses, and load
// balancers lead to the Services that have their addresses.
func (v *vpc) Check(bare map[string][]netip.Prefix, r infra.Reporter) {
	v.checkBalancers(r)
	for _, node := range slices.Sorted(maps.Keys(bare)) {
		instance := v.instances[node]
		if instance == "" {
			continue
		}
		e := v.primary(instance)
		if e == nil && v.facts.Given("DescribeNetworkInterfaces") {
			r.Unknown(node, v.facts.At("DescribeNetworkInterfaces").String(), fmt.Sprintf("the primary ENI of instance %s is not in the bundle", instance))
		}
		for _, prefix := range bare[node] {
			v.checkRoutes(node, prefix, r)
			v.checkENI(node, e, prefix, r)
		}
	}
}

// checkRoutes looks for the entry that leads to the pods of a node.
func (v *vpc) checkRoutes(node string, prefix netip.Prefix, r infra.Reporter) {
	for _, table := range v.used(node) {
		if _, cut := v.facts.Missing()["DescribeRouteEntryList of "+table]; cut {
			r.Unknown(node, "", fmt.Sprintf("whether %s has an entry for %s: some of its entries are not in the bundle", table, prefix))
			continue
		}
		entry := lookup(v.tables[table], prefix.Addr())
		s := model.Suspicion{Level: model.SuspicionLevelCritical, Code: "infra/route-missing", Remedy: v.create(table, prefix, node),
			Message: fmt.Sprintf("no entry of route table %s leads to the pods of the node, %s", table, prefix)}
		switch {
		case entry == nil:
			s.Evidence = v.tables[table][0].String()
		case entry.to.Bits() == 0:
			s.Evidence = entry.String()
		case v.leadsTo(entry, node):
			continue
		default:
			s.Code, s.Evidence = "infra/route-wrong", entry.String()
			s.Message = fmt.Sprintf("the entry %s of route table %s does not lead to the node (%s)", entry.to, table, v.instances[node])
		}
		r.Report(node, s)
	}
}

// used lists the route tables that other nodes send by, as far as their entries
// were read.
func (v *vpc) used(node string) (tables []string) {
	for other, instance := range v.instances {
		for _, e := range v.attached(instance) {
			table := v.tableOf(e.VSwitchID)
			if other != node && len(v.tables[table]) > 0 && !slices.Contains(tables, table) {
				tables = append(tables, table)
			}
		}
	}
	slices.Sort(tables)
	return tables
}

// leadsTo reports whether an entry leads to a node.
func (v *vpc) leadsTo(r *route, node string) bool {
	for _, hop := range r.NextHops.NextHop {
		id := hop.NextHopID
		if e := v.byID(id); e != nil && strings.EqualFold(hop.NextHopType, "NetworkInterface") {
			id = e.InstanceID
		}
		if id == v.instances[node] {
			return true
		}
	}
	return false
}

// checkENI asks whether an interface takes packets to the pods behind it, and
// lets out theirs.
func (v *vpc) checkENI(node string, e *eni, prefix netip.Prefix, r infra.Reporter) {
	if e == nil || e.SourceDestCheck == nil || !*e.SourceDestCheck || e.owns(prefix.Addr()) {
		return
	}
	r.Report(node, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "infra/address-not-owned", Evidence: e.String(), Remedy: unchecked(e),
		Message: fmt.Sprintf("%s checks addresses, and those of the node's pods, %s, are none of its own", e.NetworkInterfaceID, prefix)})
}

// unchecked is the command that makes an interface pass any address.
func unchecked(e *eni) string {
	return fmt.Sprintf("aliyun ecs ModifyNetworkInterfaceAttribute --NetworkInterfaceId %s --SourceDestCheck false", e.NetworkInterfaceID)
}
