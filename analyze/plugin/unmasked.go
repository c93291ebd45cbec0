package plugin

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service"
)

// endedEarly reports whether a packet that came in was stopped before it was
// routed: the rules of Services may not have seen it yet.
func endedEarly(v *model.Visit) bool {
	stopped := v.Disposition == model.Dropped || v.Disposition == model.Rejected
	return stopped && v.Input != nil && lastRoute(v.Trace) == model.Step{}
}

// reportUnmasked reports a packet to a Service that left with the address of
// its sender, though kube-proxy masquerades it. It is fatal where the backend
// answers another way than back through this node.
func (h *Host) reportUnmasked(upstream *model.Link, want *service.Decision, got model.Packet) {
	p := upstream.Packet
	i := slices.IndexFunc(want.Backends, func(b service.Backend) bool { return b.Addr == got.Dst })
	if i < 0 || !want.Backends[i].Masquerade || upstream.From.Output == nil || !p.Src.IsValid() ||
		got.Src.Addr() != p.Src.Addr() || h.reality.NS.FIB.IsLocal(p.Src.Addr()) {
		return
	}
	b, level := want.Backends[i], model.SuspicionLevelWarning
	if b.Node != h.Info.NodeName || b.Addr.Addr() == p.Src.Addr() {
		level = model.SuspicionLevelFatal
	}
	h.findings.Report(model.Suspicion{Level: level, Code: "service/masquerade-missing",
		Message: fmt.Sprintf("node %s sends svc %s on to %s with its sender's address %s, and should masquerade it", h.Info.NodeName, want.Service, b.Addr, p.Src.Addr()),
		Remedy:  fmt.Sprintf("Restart kube-proxy on node %s, which writes the rules that masquerade.", h.Info.NodeName)})
}
