package report

import (
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A Diagnosis is the answer to one question: can Source talk to Destination?
type Diagnosis struct {
	Source, Destination model.Endpoint
	Protocol            model.Protocol

	Outcome    model.Outcome
	Branches   []Branch          // each way the conversation may take, in walking order
	Suspicions []model.Suspicion // the one that explains the outcome first

	Plugin    string    // that serves most nodes, "" if none does
	Networks  []Network // of the nodes; nil if nobody looked
	ProxyMode string    // "iptables", "ipvs", ...; "" if not known
	Hosting   Hosting   // what lies between the machines; the zero Hosting if the conversation stays on one

	Unknowns []model.Doubt     // what was taken for granted or could not be decided, of all branches
	Path     *model.PacketPath // nodes and links of all branches in walking order; its Intended links are drawn as meant; nil is empty

	Names func(netip.Addr) string // "pod demo/b", "svc demo/web", "node n1", "" if nobody is known to own the address; may be nil
	Host  func(model.Hop) string  // name of the node that a pod runs on, "" if that is not known; may be nil
}

// A Hosting is what is known of the network between machines.
type Hosting struct {
	Provider string   // "generic", "aliyun"; "" if nobody said
	Evidence string   // what it was recognised by, or what was looked for
	Checked  bool     // facts of the provider were asked; otherwise the network is taken to be good
	Assumed  []string // what is taken to be good all the same, since nothing tells of it
}

// A Branch is one way that the conversation may take.
type Branch struct {
	Share          float64 // of all such conversations, how many go this way: 1 is all
	Outcome        model.Outcome
	Doubts         []model.Doubt // what this branch depends on that the bundle does not tell
	Request, Reply Direction
}

// A Direction is the journey of one packet. The Reply of a branch has no Hops
// if nothing is sent back.
type Direction struct {
	Kind        model.Kind // of the packet: KindOpen for a request; KindReply, KindReset or KindError for what comes back
	Disposition model.Disposition
	At          model.Hop // where it ended
	Reason      string    // why it ended so, for people: "no route to 10.244.1.5"; "" if Delivered
	Evidence    string    // file:line of what decided, "" if nothing did
	Hops        []Hop
	Last        model.Packet // as it was when the journey ended, out of all tunnels and translated; the zero Packet if it did not begin
}

// A Hop is what one network namespace did with the packet. A step whose Where
// is "bridge cni0", "vxlan flannel.1" or the like says that the packet crossed
// that device on the way from IIf to OIf; pictures show it.
type Hop struct {
	At       model.Hop
	IIf, OIf string       // devices it came in and left by; "" where it was born or ended
	In       model.Packet // as it came in or was born
	Out      model.Packet // as it left, the outer one of a tunnel; the zero Packet if it ended here
	Steps    []model.Step // every decision about it, in order
}
