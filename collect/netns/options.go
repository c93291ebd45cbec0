package netns

import (
	"errors"
	"net/netip"
	"time"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// ErrUnsupported says that this system has no network namespaces to dump.
var ErrUnsupported = errors.New("collecting a node needs Linux")

// The defaults of Options.
const (
	DefaultSectionTimeout = 20 * time.Second
	DefaultConntrackMax   = 50_000
)

// Options say what to collect. The zero value collects the machine it runs on
// under its host name.
type Options struct {
	Node           string        // name of the node; the host name if empty
	External       bool          // a host outside the cluster: only its own namespace
	Pods           []PodRef      // what the cluster knows about the pods of this node, if anything
	SectionTimeout time.Duration // deadline of each section of a namespace
	ConntrackMax   int           // most conntrack entries to keep for a namespace
	NetnsDirs      []string      // where named namespaces are; nil for the usual directories and every mount
	Progress       func(Event)   // called once per part, from several goroutines; may be nil
}

// A PodRef is what the cluster knows about a pod.
type PodRef struct {
	Namespace, Name, UID string
	IPs                  []netip.Addr
	HostNetwork          bool
}

// An Event is one part that was collected.
type Event struct {
	Node   string
	Netns  string // key of the namespace; "" for what belongs to the whole node
	Part   string // "routes", "iptables-save.txt"
	Status nodedump.Status
	Reason string
	Took   time.Duration
}

// A Result is what one machine looked like.
type Result struct {
	Node  *nodedump.NodeNetworkStackDump
	Netns []*nodedump.NetNSInfo // the node's own first
	Files map[string]File       // by path without the leading slash
	Notes []string              // also in Node.Notes
}

// A File is a configuration file of the node.
type File struct {
	Data   []byte
	Status nodedump.Status
	Reason string
}

// withDefaults fills what the caller left out.
func (o Options) withDefaults(hostname string) Options {
	if o.Node == "" {
		o.Node = hostname
	}
	if o.SectionTimeout <= 0 {
		o.SectionTimeout = DefaultSectionTimeout
	}
	if o.ConntrackMax <= 0 {
		o.ConntrackMax = DefaultConntrackMax
	}
	if o.Progress == nil {
		o.Progress = func(Event) {}
	}
	return o
}
