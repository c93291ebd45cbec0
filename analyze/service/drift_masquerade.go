package service

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
)

// masquerade looks whether packets get the node's address where their answers
// would miss it otherwise.
func (d *drift) masquerade(w *wish, e *kuberules.Entry) {
	if w.kind == KindClusterIP {
		d.masqueradeInside(w, e)
	} else {
		d.masqueradeOutside(w, e)
	}
	for _, list := range [][]kuberules.Dest{e.To, e.Pods, e.Node} {
		for i := range list {
			if p := w.find(list[i].Addr); p != nil && !list[i].Hairpin {
				d.noMasquerade(w, list[i].At, "what "+d.k.owner(p.addr, p.pod)+" sends to itself by", p.addr.String())
			}
		}
	}
}

// masqueradeInside looks at packets to the cluster address.
func (d *drift) masqueradeInside(w *wish, e *kuberules.Entry) {
	if e.MasqAll {
		return
	}
	if d.k.config.MasqueradeAll {
		d.noMasquerade(w, e.At, "every packet to", "all")
		return
	}
	yes, pods := d.k.masqueradesOut(d.node, w.at.Addr.Is4())
	switch {
	case !yes:
	case !e.MasqOut:
		d.noMasquerade(w, e.At, "packets from outside the range of pods to", "out")
	case pods.IsValid() && len(e.PodRange) > 0 && e.PodRange[0].IsValid() && e.PodRange[0].Masked() != pods:
		d.report(difference{
			level: model.SuspicionLevelWarning, code: "service/masquerade-missing", at: e.At, who: w.port.String(), port: w.port,
			message: fmt.Sprintf("node %s masquerades packets to %s that are not from %s, and the range of pods of %s is %s", d.node, w, e.PodRange[0], d.k.config.From, pods),
			plural:  "takes another range for that of pods than kube-proxy is configured for; of ports of Services there are", remedy: d.restart(),
		}, "range")
	}
}

// masqueradeOutside looks at packets to the other addresses.
func (d *drift) masqueradeOutside(w *wish, e *kuberules.Entry) {
	switch {
	case e.MasqAll:
	case !w.local:
		d.noMasquerade(w, e.At, "packets to", "outside")
	case !e.MasqNode && len(e.Node) > 0:
		d.noMasquerade(w, e.At, "what the node itself sends to", "node")
	}
}

func (d *drift) noMasquerade(w *wish, at kuberules.At, packets, what string) {
	d.report(difference{
		level: model.SuspicionLevelCritical, code: "service/masquerade-missing", port: w.port, who: w.port.String(), at: at, remedy: d.restart(),
		message: fmt.Sprintf("node %s does not masquerade %s %s: answers may miss it", d.node, packets, w),
		plural:  "does not masquerade packets to Services as it should; their ports number",
	}, what)
}

// affinity looks whether a client stays with its endpoint exactly if it should.
func (d *drift) affinity(w *wish, e *kuberules.Entry) {
	for i := range e.To {
		h := &e.To[i]
		if w.find(h.Addr) == nil || h.Affine == w.affinity {
			continue
		}
		x := difference{
			level: model.SuspicionLevelWarning, code: "service/affinity", port: w.port, who: w.port.String(), at: h.At, remedy: d.restart(),
			plural: "does not keep clients at their endpoints as Services say; their ports number",
		}
		switch {
		case w.affinity == 0:
			x.message = fmt.Sprintf("node %s keeps the clients of %s at %s for %d seconds, and the Service has no session affinity", d.node, w, h.Addr, h.Affine)
		case h.Affine == 0:
			x.message = fmt.Sprintf("node %s does not keep the clients of %s at %s, and its session affinity is ClientIP for %d seconds", d.node, w, h.Addr, w.affinity)
		default:
			x.message = fmt.Sprintf("node %s keeps the clients of %s at %s for %d seconds, and its session affinity is for %d", d.node, w, h.Addr, h.Affine, w.affinity)
		}
		d.report(x, "")
		return
	}
}
