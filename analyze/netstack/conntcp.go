package netstack

import (
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A fate is what conntrack does with a TCP packet of a known conversation.
type fate byte

const (
	fateTaken   fate = '.' // it is one of the entry's, an ignored packet too
	fateInvalid fate = 'i'
	fateReopen  fate = 'r' // the entry is deleted and the packet is new (NF_REPEAT)
	fateUnclear fate = '?' // reopened or ignored, by how the conversation ended
)

// The states of a TCP entry, in the order of enum tcp_conntrack.
const tcpStates = "NONE SYN_SENT SYN_RECV ESTABLISHED FIN_WAIT CLOSE_WAIT LAST_ACK TIME_WAIT CLOSE SYN_SENT2"

// tcpFates is tcp_conntracks in net/netfilter/nf_conntrack_proto_tcp.c, as far
// as it matters what becomes of the packet: for each direction and kind of
// packet one letter for each state. Sequence numbers are taken to be right.
func tcpFates(reply bool) map[model.Kind]string {
	if reply {
		return map[model.Kind]string{model.KindOpen: "i.iiiii?i.", model.KindReply: "i.........", model.KindData: "i.........", model.KindReset: "i........."}
	}
	return map[model.Kind]string{model.KindOpen: ".......r?.", model.KindReply: "ii.iiiiii.", model.KindData: ".i.......i", model.KindReset: "i........."}
}

// tcpFate tells what becomes of a packet of an entry in this state.
func tcpFate(state string, reply bool, kind model.Kind) fate {
	fates, ok := tcpFates(reply)[kind]
	for i, name := range strings.Fields(tcpStates) {
		if name == state && ok {
			return fate(fates[i])
		}
	}
	return fateTaken
}
