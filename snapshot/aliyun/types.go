package aliyun

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// A RouteEntry is an entry of a route table of a VPC.
type RouteEntry struct {
	Place
	RouteTableID         string `json:"RouteTableId"`
	RouteEntryID         string `json:"RouteEntryId"`
	DestinationCidrBlock string // a prefix, of IPv4 or IPv6
	Type                 string // System, Custom, BGP, CEN, ECR
	Status               string // Available, Pending, Modifying
	NextHops             struct{ NextHop []NextHop }
}

// A NextHop is where a route leads. More than one share the traffic.
type NextHop struct {
	NextHopID   string `json:"NextHopId"` // "" of local
	NextHopType string // local, Instance, NetworkInterface, HaVip, NatGateway, VpnGateway, RouterInterface, Attachment, Ipv4Gateway, IPv6Gateway, ...
	Enabled     Number // 0 or 1, of a RouterInterface only
}

// A RouteTable is a route table with the vSwitches that use it.
type RouteTable struct {
	Place
	RouteTableID   string `json:"RouteTableId"`
	RouteTableType string // System, Custom
	VpcID          string `json:"VpcId"`
	VSwitchIDs     struct {
		VSwitchID []string `json:"VSwitchId"`
	} `json:"VSwitchIds"`
}

// A VSwitch is a subnet.
type VSwitch struct {
	Place
	VSwitchID     string `json:"VSwitchId"`
	VpcID         string `json:"VpcId"`
	CidrBlock     string // of IPv4
	Ipv6CidrBlock string // "" if it has none
	NetworkACLID  string `json:"NetworkAclId"` // "" if none is bound
	RouteTable    struct {
		RouteTableID   string `json:"RouteTableId"`
		RouteTableType string
	}
}

// A NetworkInterface is an elastic network interface (ENI).
type NetworkInterface struct {
	Place
	NetworkInterfaceID string `json:"NetworkInterfaceId"`
	Type               string // Primary, Secondary, Trunk, Member
	Status             string // InUse if it is attached
	MacAddress         string
	InstanceID         string `json:"InstanceId"` // "" if it is not attached
	VpcID              string `json:"VpcId"`
	VSwitchID          string `json:"VSwitchId"`
	PrivateIPAddress   string `json:"PrivateIpAddress"` // the primary one
	PrivateIPSets      struct {
		PrivateIPSet []PrivateIP `json:"PrivateIpSet"`
	} `json:"PrivateIpSets"`
	Ipv6Sets struct {
		Ipv6Set []struct{ Ipv6Address string }
	}
	Ipv4PrefixSets struct {
		Ipv4PrefixSet []struct{ Ipv4Prefix string }
	}
	Ipv6PrefixSets struct {
		Ipv6PrefixSet []struct{ Ipv6Prefix string }
	}
	SecurityGroupIDs struct {
		SecurityGroupID []string `json:"SecurityGroupId"`
	} `json:"SecurityGroupIds"`
	AssociatedPublicIP PublicIP `json:"AssociatedPublicIp"`
	Attachment         struct {
		InstanceID string `json:"InstanceId"`
	}
	SourceDestCheck *bool // nil if the response does not tell
}

// A PrivateIP is an address of an ENI.
type PrivateIP struct {
	PrivateIPAddress   string `json:"PrivateIpAddress"`
	Primary            bool
	AssociatedPublicIP PublicIP `json:"AssociatedPublicIp"`
}

// A PublicIP is an address of the Internet that stands for a private one.
type PublicIP struct {
	PublicIPAddress string `json:"PublicIpAddress"` // "" for none
}

// An Instance is an ECS instance.
type Instance struct {
	Place
	InstanceID string   `json:"InstanceId"`
	EipAddress struct { // that stands for the primary private address
		IPAddress string `json:"IpAddress"`
	}
	PublicIPAddress Addresses `json:"PublicIpAddress"` // likewise
	VpcAttributes   struct {
		PrivateIPAddress Addresses `json:"PrivateIpAddress"` // the primary one
	}
}

// Addresses are addresses.
type Addresses struct {
	IPAddress []string `json:"IpAddress"`
}

// A SecurityGroup is a security group. Its rules are in [Facts.Rules].
type SecurityGroup struct {
	Place
	SecurityGroupID   string `json:"SecurityGroupId"`
	SecurityGroupType string // normal (basic), enterprise (advanced); "" if it is not told
	InnerAccessPolicy string // Accept, Drop; "" if it is not told
	VpcID             string `json:"VpcId"`
	Whole             bool   `json:"-"` // the response has its rules
}

// A Rule is a rule of a security group.
type Rule struct {
	Place
	SecurityGroupID     string `json:"-"`
	SecurityGroupRuleID string `json:"SecurityGroupRuleId"`
	Direction           string // ingress, egress
	Policy              string // Accept, Drop
	Priority            Number // 1 to 100, the smaller the more it counts
	IPProtocol          string `json:"IpProtocol"` // TCP, UDP, ICMP, ICMPv6, GRE, ALL
	PortRange           string // "80/80", "-1/-1" for all
	PortRangeListID     string `json:"PortRangeListId"`
	SourcePortRange     string

	SourceCidrIP       string `json:"SourceCidrIp"`
	Ipv6SourceCidrIP   string `json:"Ipv6SourceCidrIp"`
	SourcePrefixListID string `json:"SourcePrefixListId"`
	SourceGroupID      string `json:"SourceGroupId"`
	DestCidrIP         string `json:"DestCidrIp"`
	Ipv6DestCidrIP     string `json:"Ipv6DestCidrIp"`
	DestPrefixListID   string `json:"DestPrefixListId"`
	DestGroupID        string `json:"DestGroupId"`
}

// A PrefixList is a list of prefixes that rules name.
type PrefixList struct {
	Place
	PrefixListID string
	CIDRs        []string
}

// A LoadBalancer is a classic load balancer (CLB, once SLB).
type LoadBalancer struct {
	Place
	LoadBalancerID     string `json:"LoadBalancerId"`
	VpcID              string `json:"VpcId"` // "" of the Internet's
	Address            string
	AddressType        string          // internet, intranet
	LoadBalancerStatus string          // active, inactive, locked
	Whole              bool            `json:"-"` // the response has Ports and Servers
	Ports              []ListenerPort  `json:"-"`
	Servers            []BackendServer `json:"-"` // of the default group
}

// A ListenerPort is a port on which a load balancer listens.
type ListenerPort struct {
	Place
	ListenerPort     Number
	ListenerProtocol string // tcp, udp, http, https
}

// A Listener is a listener of a load balancer.
type Listener struct {
	ListenerPort
	LoadBalancerID     string `json:"LoadBalancerId"`
	Status             string // running, stopped
	BackendServerPort  Number // of the servers of the default group, 0 if the listener has another one
	VServerGroupID     string `json:"VServerGroupId"` // "" if it has none
	TCPListenerConfig  pairing
	UDPListenerConfig  pairing
	HTTPListenerConfig struct{ ListenerForward string } // on: to a listener of HTTPS
}

// A pairing is what the listener of one protocol has of a master-slave group.
type pairing struct {
	MasterSlaveServerGroupID string `json:"MasterSlaveServerGroupId"`
}

// Paired reports whether a listener has a master-slave group, which is not read.
func (l *Listener) Paired() bool {
	return l.TCPListenerConfig.MasterSlaveServerGroupID+l.UDPListenerConfig.MasterSlaveServerGroupID != ""
}

// A ServerGroup is a group of servers of a load balancer (vServer group).
type ServerGroup struct {
	Place
	VServerGroupID string
	Servers        []BackendServer
}

// A BackendServer is one that a load balancer sends connections to.
type BackendServer struct {
	Place
	ServerID string `json:"ServerId"` // of an instance or an ENI
	ServerIP string `json:"ServerIp"` // of an ENI's pod, "" or the instance's own
	Type     string // ecs, eni, eci
	Port     Number // 0 in the default group
	Weight   Number // 0 to 100; 0 gets none
}

// A Number is an integer that the API writes with or without quotes.
type Number int

// UnmarshalJSON implements json.Unmarshaler. null and "" are 0.
func (n *Number) UnmarshalJSON(data []byte) error {
	var s string
	if data[0] != '"' {
		s = string(data)
	} else if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	if s == "" || s == "null" {
		return nil
	}
	v, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is no number", s)
	}
	*n = Number(v)
	return nil
}
