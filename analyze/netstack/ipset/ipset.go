// Package ipset reads the text of "ipset save" and answers whether a packet
// is a member of a set, as the kernel would.
package ipset

import (
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Dir says which end of a packet one dimension of a set is compared with.
type Dir uint8

// The directions, as "-m set --match-set NAME src,dst" names them.
const (
	Src Dir = iota
	Dst
)

// A Query is the question whether a packet is in a set.
type Query struct {
	Packet          model.Packet
	In, Out         string // devices; "" where there is none
	PhysIn, PhysOut string // bridge ports, of a bridged packet
	Dirs            []Dir  // one per dimension of the set
	ReturnNomatch   bool   // entries marked nomatch are what is asked for, of a set that may have them
	Counters        bool   // the counters of the entry must meet a condition
}

// Sets are all sets of one network namespace. They never change.
type Sets struct {
	part  nodedump.Part // without its Data
	sets  map[string]*set
	names []string // in the order of the text
}

// Status reports whether it is known what sets there are, and if not, why.
func (s *Sets) Status() (known bool, file, reason string) {
	return s.part.Status.Known(), s.part.File, s.part.Reason
}

// Names returns the names of the sets, in the order of the text.
func (s *Sets) Names() []string { return slices.Clone(s.names) }

// Test reports whether q is a member of the set called name. It is Maybe for a
// set that is not in the dump, or that was not understood.
func (s *Sets) Test(name string, q Query) netfilter.Answer {
	set, ok := s.sets[name]
	if !ok {
		return netfilter.Maybe
	}
	answer := set.test(&q)
	if answer == netfilter.No && !s.part.Status.Known() {
		return netfilter.Maybe // it may be in the part that is missing
	}
	return answer
}

// Has reports whether other is the set called name or, if that is a list, one of
// its members.
func (s *Sets) Has(name, other string) bool {
	list := s.sets[name]
	return name == other || list != nil && slices.ContainsFunc(list.members, func(m *set) bool { return m.name == other })
}

// A dim is what one dimension of a set compares.
type dim uint8

const (
	dimIP dim = iota
	dimNet
	dimPort
	dimMAC
	dimIface
	dimMark
)

// A set is one "create" with its "add" lines.
type set struct {
	name    string
	line    int
	dims    []dim // nil for a list of sets, and if its type is not known
	list    bool
	bitmap  bool
	ipv6    bool
	mask    *[16]byte // of addresses that are not networks; nil for all of it
	mark    uint32    // mask of marks
	faulty  bool      // something about it was not understood
	counts  bool      // its entries have counters
	members []*set    // of a list

	entries map[key]entry
	lengths [2][]int             // lengths of the first and second network that occur, longest first
	ifaces  map[key][]ifaceEntry // instead of entries, of a set with devices: in the order of the text, which is the kernel's
}

// A key is an entry of a set, with zeros where the set has no such dimension.
// Addresses are in their 16-byte form, with the length in bits.
type key struct {
	addr  [2]netKey
	port  uint16
	proto model.Protocol
	mac   string
	mark  uint32
}

type netKey struct {
	bytes [16]byte
	bits  uint8
}

// An entry is what a set says about a key.
type entry struct {
	nomatch bool
	physdev bool // the device is a bridge port: nothing asks for it
}

// An ifaceEntry is what a set says about a key and a device, or about all
// devices whose names begin so.
type ifaceEntry struct {
	iface    string
	wildcard bool
	entry    entry
}
