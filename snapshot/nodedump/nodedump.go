// Package nodedump holds the raw network state of one node as it was collected.
//
// These are wire types: plain strings and numbers, no behaviour, no parsing.
// Package analyze/netstack turns them into something a packet can cross.
//
// Fields named Line are the 1-based line of the entry in the file it was read
// from, 0 if that is not known. They are never written.
package nodedump

// A NodeNetworkStackDump is everything the collector saw on one node, without
// the network namespaces themselves: those are files of their own, so that a
// reader loads only the ones it needs.
type NodeNetworkStackDump struct {
	Name     string       `json:"name"`
	Kernel   string       `json:"kernel,omitempty"`  // uname -r
	Modules  []string     `json:"modules,omitempty"` // loaded into the kernel, sorted; nil if they are not known, or none is
	External bool         `json:"external,omitempty"`
	Pods     []PodNetInfo `json:"pods,omitempty"`
	Netns    []string     `json:"netns"` // keys, "host" first
	Notes    []string     `json:"notes,omitempty"`
}

// A PodNetInfo says which network namespace a pod lives in.
type PodNetInfo struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	UID         string `json:"uid,omitempty"`
	Netns       string `json:"netns"` // key of a NetNSInfo of the same node
	HostNetwork bool   `json:"hostNetwork,omitempty"`
}

// HostNetns is the key of the node's own network namespace.
const HostNetns = "host"

// A NetNSInfo is the raw state of one network namespace.
type NetNSInfo struct {
	Key         string            `json:"key"`
	Interfaces  []Interface       `json:"interfaces"`
	Routes      []Route           `json:"routes"`
	Rules       []Rule            `json:"rules"`
	Neighbours  []Neighbour       `json:"neighbours"`
	FDB         []FDBEntry        `json:"fdb"`
	Sockets     []Socket          `json:"sockets"`
	Programs    []Program         `json:"programs"`
	Sysctls     map[string]string `json:"sysctls"`            // "net.ipv4.ip_forward": "1"
	Sections    map[string]Status `json:"sections,omitempty"` // what could not be read, by the names of the JSON fields above; absent means ok. "routes6" and "rules6": their IPv6 part alone
	Reasons     map[string]string `json:"reasons,omitempty"`  // why, for the entries of Sections
	SysctlLines map[string]int    `json:"-"`
	File        string            `json:"-"` // name of the file this was read from

	// The texts below are kept as the tools printed them, one file each in
	// the bundle, so that a finding can point at a file and a line.
	IPTables        Part `json:"-"` // iptables-save.txt: the nft backend, or the only one
	IPTablesLegacy  Part `json:"-"` // iptables-legacy-save.txt
	IP6Tables       Part `json:"-"` // ip6tables-save.txt
	IP6TablesLegacy Part `json:"-"` // ip6tables-legacy-save.txt
	NFT             Part `json:"-"` // nft.json: nft -j list ruleset
	IPSet           Part `json:"-"` // ipset-save.txt
	IPVS            Part `json:"-"` // ipvs.json
	Conntrack       Part `json:"-"` // conntrack.json
}

// A Status says how the collection of a part ended.
type Status string

// The statuses. "Failed", "not tried" and "truly empty" never look alike.
const (
	StatusOK           Status = "ok"
	StatusEmpty        Status = "empty"
	StatusToolMissing  Status = "tool-missing"
	StatusDenied       Status = "denied"
	StatusTruncated    Status = "truncated"
	StatusTimedOut     Status = "timed-out"
	StatusFailed       Status = "failed"
	StatusNotCollected Status = "not-collected" // never written: what a reader says of a part that the manifest does not list
)

// Known reports whether s says what the part contains: it was read whole, or
// found to be empty.
func (s Status) Known() bool { return s == StatusOK || s == StatusEmpty }

// A Part is one text of a bundle with the status it was collected with. The
// zero value is a part of which nothing is known.
type Part struct {
	File   string // name in the bundle, for evidence
	Status Status
	Reason string // why, unless Status is ok or empty
	Data   []byte
}

// StatusText says for people how the collection of p went: "denied (as nobody)".
func (p Part) StatusText() string {
	status := p.Status
	if status == "" {
		status = StatusNotCollected
	}
	if p.Reason != "" {
		return string(status) + " (" + p.Reason + ")"
	}
	return string(status)
}

// An Interface is one network device.
type Interface struct {
	Name        string       `json:"name"`
	Index       int          `json:"index"`
	Kind        string       `json:"kind,omitempty"` // as "ip -d link" prints it: veth bridge vxlan vlan macvlan ipvlan ipip gre wireguard dummy bond tun ...; "" for hardware, "loopback" for lo
	MTU         int          `json:"mtu"`
	MAC         string       `json:"mac,omitempty"`
	Flags       []string     `json:"flags,omitempty"`     // UP LOWER_UP BROADCAST NOARP PROMISC ..., as ip prints them
	OperState   string       `json:"operState,omitempty"` // UP DOWN UNKNOWN LOWERLAYERDOWN ...
	Addrs       []Addr       `json:"addrs,omitempty"`
	Link        int          `json:"link,omitempty"`      // ifindex of the veth peer, or of the parent of a vlan, macvlan, vxlan ...
	LinkNSID    *int         `json:"linkNSID,omitempty"`  // netnsid of the namespace that Link lies in; nil if it lies in this one
	Above       []Upper      `json:"above,omitempty"`     // devices of other namespaces of the node that stand on it: macvlans, ipvlans, VLANs
	PeerNetns   string       `json:"peerNetns,omitempty"` // key of the namespace of the same node that Link lies in, where the collector could tell
	Master      int          `json:"master,omitempty"`    // ifindex of the bridge, bond or VRF it belongs to
	Port        *Port        `json:"port,omitempty"`      // set if Master is a bridge
	Bridge      *Bridge      `json:"bridge,omitempty"`
	VXLAN       *VXLAN       `json:"vxlan,omitempty"`
	Tunnel      *Tunnel      `json:"tunnel,omitempty"`
	VLAN        *VLAN        `json:"vlan,omitempty"`
	WireGuard   *WireGuard   `json:"wireguard,omitempty"`   // nil where the peers were not collected
	Slave       *Slave       `json:"slave,omitempty"`       // set if Master is a bond
	VLANs       []BridgeVLAN `json:"vlans,omitempty"`       // that a bridge or one of its ports is a member of
	Mode        string       `json:"mode,omitempty"`        // of a macvlan, ipvlan or bond
	ModeFlags   []string     `json:"modeFlags,omitempty"`   // private vepa of an ipvlan, nopromisc of a macvlan
	Sources     []string     `json:"sources,omitempty"`     // hardware addresses that a macvlan in mode source takes frames of
	ActiveSlave int          `json:"activeSlave,omitempty"` // ifindex, of a bond in mode active-backup, balance-tlb or balance-alb
	VRFTable    int          `json:"vrfTable,omitempty"`
	Group       int          `json:"group,omitempty"`
	Line        int          `json:"-"`
}

// An Upper is a device that stands on one of another namespace.
type Upper struct {
	Netns string `json:"netns"` // key of its namespace
	Index int    `json:"index"`
}

// An Addr is one address of an interface.
type Addr struct {
	Prefix string   `json:"prefix"` // "10.244.1.1/24"
	Peer   string   `json:"peer,omitempty"`
	Scope  string   `json:"scope"` // global link host site
	Flags  []string `json:"flags,omitempty"`
	Label  string   `json:"label,omitempty"`
}

// A Port is what a bridge keeps about one of its ports.
type Port struct {
	State        string `json:"state"` // disabled listening learning forwarding blocking
	Hairpin      bool   `json:"hairpin,omitempty"`
	Isolated     bool   `json:"isolated,omitempty"`
	NoLearning   bool   `json:"noLearning,omitempty"`
	NoFlood      bool   `json:"noFlood,omitempty"` // no unknown-unicast flood
	NoMcastFlood bool   `json:"noMcastFlood,omitempty"`
	NoBcastFlood bool   `json:"noBcastFlood,omitempty"`
	ProxyARP     bool   `json:"proxyARP,omitempty"`
	NeighSuppr   bool   `json:"neighSuppress,omitempty"`
	Locked       bool   `json:"locked,omitempty"`     // takes frames only of those that its database names
	VLANTunnel   bool   `json:"vlanTunnel,omitempty"` // VLANs are mapped to tunnel keys
}

// A BridgeVLAN is one VLAN, or a range of them, that a bridge or one of its
// ports is a member of.
type BridgeVLAN struct {
	ID       int  `json:"id"`
	Last     int  `json:"last,omitempty"`     // of a range, 0 if it is one VLAN
	PVID     bool `json:"pvid,omitempty"`     // of frames that come in without a tag
	Untagged bool `json:"untagged,omitempty"` // leaves without a tag
}

// A Slave is what a bond keeps about one of its devices.
type Slave struct {
	State string `json:"state,omitempty"` // active backup
	MII   string `json:"mii,omitempty"`   // UP GOING_DOWN DOWN GOING_BACK
}

// A WireGuard is the part of a WireGuard device that decides where packets go.
// No key is ever collected.
type WireGuard struct {
	Port   int      `json:"port,omitempty"`   // that it listens on
	FWMark uint32   `json:"fwmark,omitempty"` // of its outer packets
	Peers  []WGPeer `json:"peers,omitempty"`
}

// A WGPeer is a peer of a WireGuard device.
type WGPeer struct {
	Endpoint   string   `json:"endpoint,omitempty"`   // "10.0.0.2:51820", "" if it is not known where the peer is
	AllowedIPs []string `json:"allowedIPs,omitempty"` // prefixes
}

// A Bridge is what a bridge device keeps about itself.
type Bridge struct {
	STP           bool   `json:"stp,omitempty"`
	VLANFiltering bool   `json:"vlanFiltering,omitempty"`
	NFCallIPT     *bool  `json:"nfCallIPTables,omitempty"`  // per bridge: on if this or the sysctl is
	NFCallIP6T    *bool  `json:"nfCallIP6Tables,omitempty"` // likewise
	NFCallARPT    *bool  `json:"nfCallARPTables,omitempty"`
	VLANProtocol  string `json:"vlanProtocol,omitempty"` // 802.1Q 802.1ad; "" is 802.1Q
	DefaultPVID   int    `json:"defaultPVID,omitempty"`
	NoMcastSnoop  bool   `json:"noMcastSnooping,omitempty"`
}

// A VXLAN is a VXLAN device.
type VXLAN struct {
	ID         int    `json:"id"`
	Local      string `json:"local,omitempty"`
	Local6     string `json:"local6,omitempty"`
	Group      string `json:"group,omitempty"` // multicast group or default destination
	Link       int    `json:"link,omitempty"`  // ifindex of the underlay device, 0 if any
	Port       int    `json:"port"`
	TTL        int    `json:"ttl,omitempty"`
	NoLearning bool   `json:"noLearning,omitempty"`
	Proxy      bool   `json:"proxy,omitempty"`
	L2Miss     bool   `json:"l2miss,omitempty"`
	L3Miss     bool   `json:"l3miss,omitempty"`
	External   bool   `json:"external,omitempty"` // collect metadata (eBPF)
	UDPCsum    bool   `json:"udpCsum,omitempty"`
	DF         string `json:"df,omitempty"` // unset set inherit
	TTLInherit bool   `json:"ttlInherit,omitempty"`
	TOS        int    `json:"tos,omitempty"` // 1 is inherit
	RSC        bool   `json:"rsc,omitempty"` // route short circuit
	GBP        bool   `json:"gbp,omitempty"`
	GPE        bool   `json:"gpe,omitempty"`
	VNIFilter  bool   `json:"vniFilter,omitempty"`
	NoCsum6Tx  bool   `json:"udpZeroCsum6Tx,omitempty"`
	NoCsum6Rx  bool   `json:"udpZeroCsum6Rx,omitempty"`
	NoBypass   bool   `json:"noLocalBypass,omitempty"`
}

// A Tunnel is an ipip, sit, gre, ip6tnl, ip6gre, vti, geneve or wireguard
// device.
type Tunnel struct {
	Local    string  `json:"local,omitempty"`
	Remote   string  `json:"remote,omitempty"`
	Link     int     `json:"link,omitempty"`
	TTL      int     `json:"ttl,omitempty"`
	NoPMTU   bool    `json:"noPMTUDisc,omitempty"`
	External bool    `json:"external,omitempty"`
	Proto    string  `json:"proto,omitempty"` // what it carries: ipip ip6ip mplsip any, of ip6tnl ipip6 ip6ip6 any; "" is the kind's own
	TOS      int     `json:"tos,omitempty"`   // 1 is inherit
	IgnoreDF bool    `json:"ignoreDF,omitempty"`
	IKey     *uint32 `json:"ikey,omitempty"` // nil: without a key
	OKey     *uint32 `json:"okey,omitempty"`
	ISeq     bool    `json:"iseq,omitempty"`
	OSeq     bool    `json:"oseq,omitempty"`
	ICsum    bool    `json:"icsum,omitempty"`
	OCsum    bool    `json:"ocsum,omitempty"`
	FWMark   uint32  `json:"fwmark,omitempty"`       // that outer packets are routed by
	NoLimit  bool    `json:"noEncapLimit,omitempty"` // of IPv6: outer packets have no option for it
	Encap    string  `json:"encap,omitempty"`        // fou gue: a UDP header is put around
	Flags    int     `json:"flags,omitempty"`        // of ip6tnl and ip6gre (IP6_TNL_F_*)
	Relay    string  `json:"relay,omitempty"`        // prefix of 6rd, if a sit device has one
	ID       int     `json:"id,omitempty"`           // VNI of a geneve device
	Port     int     `json:"port,omitempty"`         // of a geneve device
	DF       string  `json:"df,omitempty"`           // of a geneve device: unset set inherit
}

// A VLAN is the tag of a vlan device.
type VLAN struct {
	ID       int    `json:"id"`
	Protocol string `json:"protocol,omitempty"` // 802.1Q 802.1ad
}

// A Route is one entry of a routing table.
type Route struct {
	Family   int       `json:"family"` // 4 or 6
	Table    int       `json:"table"`
	Type     string    `json:"type,omitempty"` // "" is unicast; local broadcast multicast blackhole unreachable prohibit throw
	Dst      string    `json:"dst"`            // CIDR; "0.0.0.0/0" is the default route
	Dev      string    `json:"dev,omitempty"`
	Via      string    `json:"via,omitempty"`
	Src      string    `json:"src,omitempty"`
	Scope    string    `json:"scope,omitempty"` // "" is global; link host site nowhere
	Protocol string    `json:"protocol,omitempty"`
	Metric   int       `json:"metric,omitempty"`
	TOS      int       `json:"tos,omitempty"`
	MTU      int       `json:"mtu,omitempty"`
	Flags    []string  `json:"flags,omitempty"` // onlink dead linkdown ...
	NextHops []NextHop `json:"nexthops,omitempty"`
	Encap    string    `json:"encap,omitempty"`    // kind of a lightweight tunnel
	HopLimit int       `json:"hopLimit,omitempty"` // of what is sent by the route, 0 if the sysctl says
	Pref     string    `json:"pref,omitempty"`     // of an IPv6 router: high or low, "" is medium
	NHID     int       `json:"nhid,omitempty"`     // next hop object that the hops are from, 0 if there is none
	Line     int       `json:"-"`
}

// A NextHop is one way of a multipath route.
type NextHop struct {
	Dev    string   `json:"dev"`
	Via    string   `json:"via,omitempty"`
	Weight int      `json:"weight"`
	Flags  []string `json:"flags,omitempty"`
	Encap  string   `json:"encap,omitempty"` // kind of a lightweight tunnel
}

// A Rule is one policy routing rule.
type Rule struct {
	Family            int    `json:"family"`
	Priority          int    `json:"priority"`
	Not               bool   `json:"not,omitempty"`
	From              string `json:"from,omitempty"` // CIDR, "" is all
	To                string `json:"to,omitempty"`
	IIf               string `json:"iif,omitempty"`
	OIf               string `json:"oif,omitempty"`
	Mark              uint32 `json:"mark,omitempty"`
	Mask              uint32 `json:"mask,omitempty"`
	TOS               int    `json:"tos,omitempty"`
	DSCP              *int   `json:"dscp,omitempty"` // nil is any; unlike TOS all six bits count
	IPProto           string `json:"ipproto,omitempty"`
	SPort             string `json:"sport,omitempty"` // "53" or "1000-2000"
	DPort             string `json:"dport,omitempty"`
	UIDRange          string `json:"uidrange,omitempty"` // "0-99"
	L3MDev            bool   `json:"l3mdev,omitempty"`
	Action            string `json:"action,omitempty"` // "" is a lookup; goto nop blackhole unreachable prohibit
	Table             int    `json:"table,omitempty"`
	Goto              int    `json:"goto,omitempty"`
	SuppressPrefixLen *int   `json:"suppressPrefixLen,omitempty"`
	SuppressIfGroup   *int   `json:"suppressIfGroup,omitempty"`
	Unread            string `json:"unread,omitempty"` // selectors that there is no field for: whether the rule matches depends on them too
	Line              int    `json:"-"`
}

// A Neighbour is one entry of the ARP or NDP cache.
type Neighbour struct {
	IP    string `json:"ip"`
	Dev   string `json:"dev"`
	MAC   string `json:"mac,omitempty"`
	State string `json:"state"` // PERMANENT NOARP REACHABLE STALE DELAY PROBE INCOMPLETE FAILED
	Proxy bool   `json:"proxy,omitempty"`
	Line  int    `json:"-"`
}

// An FDBEntry is one entry of the forwarding database of a bridge or a VXLAN
// device.
type FDBEntry struct {
	MAC     string   `json:"mac"`
	Dev     string   `json:"dev"`
	Master  string   `json:"master,omitempty"` // the bridge, if the entry is the bridge's
	VLAN    int      `json:"vlan,omitempty"`
	Dst     string   `json:"dst,omitempty"`  // remote VTEP
	NextHop int      `json:"nhid,omitempty"` // next hop object with the remote VTEPs, 0 if there is none
	Port    int      `json:"port,omitempty"`
	VNI     int      `json:"vni,omitempty"`
	Via     string   `json:"via,omitempty"`
	State   string   `json:"state,omitempty"` // permanent static stale reachable ...
	Flags   []string `json:"flags,omitempty"` // self master extern_learn offload ...
	Line    int      `json:"-"`
}

// A Socket is one listening socket (TCP, SCTP) or bound one (UDP).
type Socket struct {
	Protocol string `json:"protocol"` // tcp udp sctp
	Local    string `json:"local"`    // "0.0.0.0:80", "[::]:80"
	Dev      string `json:"dev,omitempty"`
	V6Only   bool   `json:"v6only,omitempty"` // of "[::]": false also takes IPv4

	// IP_TRANSPARENT, which TPROXY and "-m socket --transparent" ask for: "yes"
	// or "no", "" if the kernel or the tool does not tell.
	Transparent string `json:"transparent,omitempty"`

	Process string `json:"process,omitempty"`
	Line    int    `json:"-"`
}

// A Program is a tc filter, XDP or cgroup program that may change the fate of
// a packet and whose effect no dump shows.
type Program struct {
	Hook string `json:"hook"` // tc-ingress tc-egress xdp cgroup; qdisc: a queue that loses packets on purpose (netem)
	Dev  string `json:"dev,omitempty"`
	Kind string `json:"kind,omitempty"` // bpf u32 flower matchall ...
	Name string `json:"name,omitempty"`
	ID   int    `json:"id,omitempty"`
	Line int    `json:"-"`
}

// A Conn is one entry of conntrack.json.
type Conn struct {
	Family   int      `json:"family"`
	Protocol string   `json:"protocol"`
	Src      string   `json:"src"` // original direction, "10.0.0.1:4000"
	Dst      string   `json:"dst"`
	ReplySrc string   `json:"replySrc"`
	ReplyDst string   `json:"replyDst"`
	State    string   `json:"state,omitempty"`
	Status   []string `json:"status,omitempty"` // ASSURED UNREPLIED ...
	Mark     uint32   `json:"mark,omitempty"`
	Zone     int      `json:"zone,omitempty"`
	Line     int      `json:"-"`
}

// A ConnTable is conntrack.json: the entries that were read, and how many the
// kernel had.
type ConnTable struct {
	Count   int    `json:"count"` // entries in the kernel
	Max     int    `json:"max"`   // nf_conntrack_max
	Entries []Conn `json:"entries"`
}
