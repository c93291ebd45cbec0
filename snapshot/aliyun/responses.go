package aliyun

import (
	"encoding/json"
	"fmt"
)

// A response is a kind of document.
type response struct {
	action string // of the API that it answers
	mark   string // the member that no other response has
	take   func(*Facts, *document) []error
}

// responses lists what is known.
func responses() []response {
	return []response{
		{"DescribeRouteEntryList", "RouteEntrys", func(f *Facts, d *document) []error { return objects(d, "RouteEntrys", &f.RouteEntries) }},
		{"DescribeRouteTableList", "RouterTableList", func(f *Facts, d *document) []error { return objects(d, "RouterTableList", &f.RouteTables) }},
		{"DescribeVSwitches", "VSwitches", func(f *Facts, d *document) []error { return objects(d, "VSwitches", &f.VSwitches) }},
		{"DescribeNetworkInterfaces", "NetworkInterfaceSets", func(f *Facts, d *document) []error { return objects(d, "NetworkInterfaceSets", &f.Interfaces) }},
		{"DescribeInstances", "Instances", func(f *Facts, d *document) []error { return objects(d, "Instances", &f.Instances) }},
		{"DescribeSecurityGroupAttribute", "Permissions", takeRules},
		{"DescribeSecurityGroups", "SecurityGroups", func(f *Facts, d *document) []error { return objects(d, "SecurityGroups", &f.SecurityGroups) }},
		{"DescribePrefixListAttributes", "Entries", takePrefixList},
		{"DescribeLoadBalancers", "LoadBalancers", func(f *Facts, d *document) []error { return objects(d, "LoadBalancers", &f.LoadBalancers) }},
		{"DescribeLoadBalancerAttribute", "ListenerPortsAndProtocol", takeLoadBalancer},
		{"DescribeLoadBalancerListeners", "Listeners", func(f *Facts, d *document) []error { return objects(d, "Listeners", &f.Listeners) }},
		{"DescribeVServerGroupAttribute", "VServerGroupId", takeServerGroup},
	}
}

// lists says which members hold a list, and what the array in them is called; ""
// if they are the array.
func lists() map[string]string {
	return map[string]string{
		"RouteEntrys": "RouteEntry", "RouterTableList": "RouterTableListType", "VSwitches": "VSwitch",
		"NetworkInterfaceSets": "NetworkInterfaceSet", "Instances": "Instance", "Permissions": "Permission",
		"SecurityGroups": "SecurityGroup", "Entries": "Entry", "LoadBalancers": "LoadBalancer",
		"ListenerPortsAndProtocol": "ListenerPortAndProtocol", "Listeners": "", "BackendServers": "BackendServer",
	}
}

// placed is an object that knows where it was read.
type placed interface{ put(Place) }

func (p *Place) put(at Place) { *p = at }

// objects reads the objects of a list. One that cannot be read costs itself.
func objects[T any, P interface {
	*T
	placed
}](d *document, list string, to *[]T) (problems []error) {
	for _, e := range d.lists[list] {
		var one T
		if err := json.Unmarshal(e.raw, &one); err != nil {
			problems = append(problems, fmt.Errorf("%s: %s: %w", e.Place, list, err))
			continue
		}
		P(&one).put(e.Place)
		*to = append(*to, one)
	}
	return problems
}

// takeRules reads a security group with its rules.
func takeRules(f *Facts, d *document) []error {
	g := SecurityGroup{Place: d.Place, SecurityGroupID: d.text("SecurityGroupId"), SecurityGroupType: d.text("SecurityGroupType"),
		InnerAccessPolicy: d.text("InnerAccessPolicy"), VpcID: d.text("VpcId"), Whole: true}
	f.SecurityGroups = append(f.SecurityGroups, g)
	from := len(f.Rules)
	problems := objects(d, "Permissions", &f.Rules)
	for i := from; i < len(f.Rules); i++ {
		f.Rules[i].SecurityGroupID = g.SecurityGroupID
	}
	return problems
}

func takePrefixList(f *Facts, d *document) []error {
	var entries []struct {
		Place
		Cidr string
	}
	problems := objects(d, "Entries", &entries)
	l := PrefixList{Place: d.Place, PrefixListID: d.text("PrefixListId")}
	for _, e := range entries {
		l.CIDRs = append(l.CIDRs, e.Cidr)
	}
	f.PrefixLists = append(f.PrefixLists, l)
	return problems
}

// takeLoadBalancer reads the details of one load balancer.
func takeLoadBalancer(f *Facts, d *document) []error {
	b := LoadBalancer{Place: d.Place, LoadBalancerID: d.text("LoadBalancerId"), VpcID: d.text("VpcId"), Address: d.text("Address"),
		AddressType: d.text("AddressType"), LoadBalancerStatus: d.text("LoadBalancerStatus"), Whole: true}
	problems := append(objects(d, "ListenerPortsAndProtocol", &b.Ports), objects(d, "BackendServers", &b.Servers)...)
	f.LoadBalancers = append(f.LoadBalancers, b)
	return problems
}

func takeServerGroup(f *Facts, d *document) []error {
	g := ServerGroup{Place: d.Place, VServerGroupID: d.text("VServerGroupId")}
	problems := objects(d, "BackendServers", &g.Servers)
	f.ServerGroups = append(f.ServerGroups, g)
	return problems
}
