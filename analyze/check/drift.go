package check

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	services "github.com/pathsnap/pathsnap/analyze/service"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A drifter compares what a node's rules make of all Services with what they
// should; it is the Processor of kube-proxy.
type drifter interface {
	Drift(node string, info *nodedump.NetNSInfo) []model.Suspicion
}

// checkDrift asks what implements Services. Where it has compared nothing it
// says so by a code of its own, which is no finding.
func checkDrift(s *scope) {
	d, ok := s.env.Services.(drifter)
	if !ok {
		s.unknown("", "", "what the nodes' rules make of Services: the mode of kube-proxy is not known")
		return
	}
	if many, ok := d.(interface{ Drifter() *services.Drifter }); ok {
		d = many.Drifter() // which reads rules that nodes share once
	}
	for _, n := range s.read() {
		for _, f := range d.Drift(n.name, n.ns.Info) {
			if f.Code == "service/not-checked" {
				s.unknown(n.name, f.Evidence, "%s", f.Message)
				continue
			}
			s.find(n.name, f)
		}
	}
}
