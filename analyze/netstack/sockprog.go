package netstack

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// Programs at the root of the cgroups see the system calls and packets of every
// socket of the machine: connect and sendmsg may change where a conversation goes
// before there is a packet (BPF_CGROUP_RUN_PROG_INET4_CONNECT in inet_stream_connect,
// BPF_CGROUP_RUN_PROG_UDP4_SENDMSG in udp_sendmsg), ingress and egress may drop what
// sockets receive and send (__cgroup_bpf_run_filter_skb).

// opaqueSender asks about the programs that may act when a socket of this
// namespace sends the packet, and reports whether the branch ended there. Errors
// and resets are the kernel's own: no socket sends them.
func (r *run) opaqueSender() bool {
	p := &r.f.Packet
	family := "4"
	if p.IPv6() {
		family = "6"
	}
	var hooks []string
	switch p.Kind {
	case model.KindOpen:
		switch p.Protocol {
		case model.TCP:
			hooks = []string{"connect" + family, "egress"}
		case model.UDP:
			hooks = []string{"connect" + family, "sendmsg" + family, "egress"}
		default:
			hooks = []string{"egress"}
		}
	case model.KindReply, model.KindData:
		hooks = []string{"egress"}
	}
	return r.opaqueSocket(hooks...)
}

// opaqueSocket asks about the programs of the cgroups at some hooks.
func (r *run) opaqueSocket(hooks ...string) bool {
	for i := range r.ns.Info.Programs {
		p := &r.ns.Info.Programs[i]
		if p.Hook != "cgroup" || !slices.Contains(hooks, p.Name) {
			continue
		}
		what := fmt.Sprintf("the effect of cgroup %s program %d on the sockets of this machine", p.Name, p.ID)
		if r.forks(model.Doubt{What: what, Evidence: r.ns.at(p.Line)}) {
			return true
		}
	}
	return false
}
