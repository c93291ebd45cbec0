package model

// A NetNodeType is the kind of a NetNode.
type NetNodeType string

// The kinds of NetNode.
const (
	NetNodeTypePod      NetNodeType = "pod"
	NetNodeTypeNode     NetNodeType = "node"
	NetNodeTypeExternal NetNodeType = "external" // a host outside the cluster, in the bundle or not
	NetNodeTypeInfra    NetNodeType = "infra"    // what lies between machines; only where a packet ends in it
	NetNodeTypeGeneric  NetNodeType = "generic"  // a network namespace that no pod or node is known to own
)

// A Hop names a NetNode. It is comparable and opaque: use it as a map key,
// never take it apart.
type Hop struct {
	Type NetNodeType
	ID   string // "namespace/name" of a pod, name of a node or external host, address of the rest
}

// PodHop names the NetNode of a pod.
func PodHop(namespace, name string) Hop { return Hop{NetNodeTypePod, namespace + "/" + name} }

func (h Hop) String() string { return string(h.Type) + ":" + h.ID }

// A Transmission is a packet on its way to the next hop.
type Transmission struct {
	NextHop Hop
	Link    *Link
}

// A NetNodeAction is what a NetNode can do with a packet.
//
// What is wrong with the network is reported on the NetNode as a [Suspicion].
// An error means that the simulation itself could not go on.
type NetNodeAction interface {
	// Node returns the vertex of the path that this action stands for.
	Node() *NetNode
	// Send originates a packet to dst.
	Send(dst Endpoint, protocol Protocol) ([]Transmission, error)
	// Receive takes a packet from upstream. A node that keeps the packet
	// returns no transmission.
	Receive(upstream *Link) ([]Transmission, error)
}

// A NetNode is a vertex of a [PacketPath].
type NetNode struct {
	Hop
	Suspicions []Suspicion
	Visits     []*Visit       // in order of arrival
	Meant      []Transmission // where the plugin meant packets to go that went elsewhere; without Link
}

// Report adds s to the suspicions of n, once. Where s says on which node it is
// found, that stays.
func (n *NetNode) Report(s Suspicion) {
	if s.On == (Hop{}) {
		s.On = n.Hop
	}
	for _, have := range n.Suspicions {
		if have.Code == s.Code && have.Message == s.Message && have.On == s.On {
			return
		}
	}
	n.Suspicions = append(n.Suspicions, s)
}

// A Responder is a NetNodeAction that can send back the answer of a visit.
type Responder interface {
	// Respond sends v.Answer, which is not nil, on its way. The visits that
	// it makes have no Input, and v as Parent.
	Respond(v *Visit) ([]Transmission, error)
}

// A Visit is what one NetNode did with one packet, on one branch of the walk.
type Visit struct {
	Node        *NetNode
	Parent      *Visit // the visit that the packet came from, or that it answers; nil for the first
	Input       *Link  // nil where the packet was born
	Born        Packet // the packet as it was born; valid iff Input is nil
	Output      *Link  // nil if the packet's journey ended here
	Trace       []Step
	Disposition Disposition // Forwarded unless the packet's journey ended here
	Reason      string      // why it ended so, for people; "" if Forwarded
	Evidence    string      // file:line of what decided, "" if nothing did
	Answer      *Packet     // the packet that the node sends back: a reply, a reset or an ICMP error; nil if it stays silent
	AnswerDev   string      // device on which Answer leaves as a frame that no hook sees, "" if it is sent like any other
	LocalError  bool        // the sender on this node was told at once
	PathMTU     int         // what Answer tells the sender to fit its packets into, 0 if it does not
	Served      Packet      // the packet as it was when the journey ended, all translations done; valid unless Forwarded
	Flow        *Flow       // what the branch has left behind up to here
	Doubts      []Doubt     // what this branch took for granted that the bundle does not tell
	Share       float64     // of all such packets, how many come this way: 1 is all
}

// A Doubt is a question that the bundle leaves open and on which a branch of
// the walk depends.
type Doubt struct {
	What     string // "rule not understood: -m foo", "conntrack not collected"
	Evidence string // file:line
}

// A LinkType is the kind of a Link.
type LinkType string

// The kinds of Link.
const (
	LinkVeth     LinkType = "veth"
	LinkInfra    LinkType = "infra"    // the underlay between nodes
	LinkExternal LinkType = "external" // out of what the bundle knows
	LinkLocal    LinkType = "local"    // within one machine, with no wire between: devices that stand on each other
)

// A LinkAttribute describes one end of a Link.
type LinkAttribute struct {
	Interface string // "" if unknown
	PeerIndex int    // 0 unless the interface is a veth
	Entry     Entry  // how a packet enters the namespace by it
}

// An Entry is how a packet enters a namespace at a device.
type Entry uint8

// The ways in. The zero value is the usual one.
const (
	EntryWire   Entry = iota // it comes in by the device
	EntryAbove               // a device of another namespace that stands on it (a macvlan, ipvlan or VLAN) sends it
	EntrySocket              // it is given to the sockets at once, for hooks have seen it elsewhere (ipvlan in mode l3s)
)

// A Link is an edge of a [PacketPath]. The sender fills everything but
// Destination, which only the walker sets; after that nobody changes it.
type Link struct {
	Type                 LinkType
	Source, Destination  *NetNode
	Packet               Packet
	SourceAttribute      LinkAttribute
	DestinationAttribute LinkAttribute
	Intended             bool   // what the plugin meant and the network does not do
	From                 *Visit // the visit that sent it
}

// A Flow remembers what one branch of the walk has left behind in the
// namespaces it crossed, so that the reply finds its translations. It is an
// immutable list: a longer one shares its tail. Nil is the empty Flow.
type Flow struct {
	Rest  *Flow
	Netns string // identity of the namespace, such as "nodes/n1/netns/host"
	Conn  Conn
}

// With returns f and c, which namespace netns now tracks.
func (f *Flow) With(netns string, c Conn) *Flow { return &Flow{Rest: f, Netns: netns, Conn: c} }

// Conns returns the entries of netns, newest first.
func (f *Flow) Conns(netns string) (conns []Conn) {
	for ; f != nil; f = f.Rest {
		if f.Netns == netns {
			conns = append(conns, f.Conn)
		}
	}
	return conns
}

// A Conn is one conntrack entry: what the first packet looked like, and what
// packets in the other direction will look like. Without translation Reply is
// the inverse of Original.
type Conn struct {
	Original, Reply Tuple
	Mark            uint32
	Zone            int
	State           string // of TCP, as conntrack prints it; "" if the walk made it
	Opening         bool   // of TCP: only SYNs of the original direction were seen (SYN_SENT)
	Replied         bool   // both directions were seen (IPS_SEEN_REPLY) before the walk began
	Dev             string // of what a socket began: the device that it is bound to, "" if none
	Virtual         bool   // the destination was changed by IPVS, whose business it is to translate back
	Evidence        string // where the entry was dumped; "" if the walk made it
}

// An Attachment is a conversation, and which way a packet goes in it.
type Attachment struct {
	Conn  Conn
	Reply bool
}

// A PacketPath is the graph that one diagnosis walked, in walking order.
type PacketPath struct {
	Nodes []*NetNode
	Links []*Link
}
