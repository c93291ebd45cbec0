package service

import (
	"fmt"
	"slices"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/service/kuberules"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Drift compares what the rules of a node, as the dump of its own network
// namespace has them, make of all Services with what they should. It needs no
// packet. What several Services share is said once.
//
// The mode is what the node itself shows; the configuration decides where it
// shows several or none. Where Services may be the work of another program, or
// where the rules were not collected, the only suspicion says that nothing was
// compared. Chains that nothing jumps to are not looked at: kube-proxy deletes
// them late.
//
// A [Drifter] is faster for many nodes.
func (k *KubeProxyServiceProcessor) Drift(node string, info *nodedump.NetNSInfo) []model.Suspicion {
	return k.Drifter().Drift(node, info)
}

// A Drifter compares many nodes one after the other. It remembers the last texts
// that it has read, since the rules of nodes are often the same. It must not be
// used by several at once.
type Drifter struct {
	k    *KubeProxyServiceProcessor
	last [4]readText
	next int // of last, to be replaced
}

// A readText is a text of iptables-save that has been read.
type readText struct {
	text   kuberules.Text
	data   []byte
	family *kuberules.Family
}

// Drifter returns a Drifter that has read nothing.
func (k *KubeProxyServiceProcessor) Drifter() *Drifter { return &Drifter{k: k} }

// Drift is [KubeProxyServiceProcessor.Drift].
func (r *Drifter) Drift(node string, info *nodedump.NetNSInfo) []model.Suspicion {
	d := &drift{k: r.k, reader: r, node: node, info: info}
	switch {
	case r.k.unread != nil:
		d.notChecked(fmt.Sprintf("the Services are not known: %v", r.k.unread), "")
		return d.out
	case r.k.config.Replaced != "":
		d.notChecked("another program than kube-proxy implements them: "+r.k.config.Replaced, "")
		return d.out
	}
	if r.k.blind {
		d.notChecked("the endpoints of the Services are not known", "")
	}
	d.run()
	return d.grouped()
}

// A drift is one comparison.
type drift struct {
	k      *KubeProxyServiceProcessor
	reader *Drifter
	node   string
	info   *nodedump.NetNSInfo
	found  []difference
	said   map[said]bool
	text   kuberules.At // that rules which are not there should be in
	out    []model.Suspicion

	ipv4   bool              // the family that is being compared
	server *kuberules.Server // nil unless the mode is ipvs
}

// A said is a difference that several frontends of a port share.
type said struct {
	code, what string
	port       *port
}

// A difference is one way in which the rules are not as they should be.
type difference struct {
	level          model.SuspicionLevel
	code           string
	port           *port  // nil if it is about no Service
	who            string // names it where there are many: "svc demo/web:80"
	message        string
	at             kuberules.At
	remedy, plural string // plural says what is wrong with many: "... do not translate N ports of Services"
}

// report notes a difference, once for each port and what.
func (d *drift) report(x difference, what string) {
	key := said{x.code, what, x.port}
	if d.said[key] {
		return
	}
	if d.said == nil {
		d.said = map[said]bool{}
	}
	d.said[key] = true
	if x.at == (kuberules.At{}) {
		x.at = d.text
	}
	d.found = append(d.found, x)
}

func (d *drift) notChecked(why, evidence string) {
	d.out = append(d.out, model.Suspicion{
		Level: model.SuspicionLevelInfo, Code: "service/not-checked", On: d.on(), Evidence: evidence,
		Message: fmt.Sprintf("the rules of node %s were not compared with the Services: %s", d.node, why),
	})
}

func (d *drift) on() model.Hop { return model.Hop{Type: model.NetNodeTypeNode, ID: d.node} }

func (d *drift) restart() string {
	return fmt.Sprintf("Restart kube-proxy on node %s, which writes these rules, and read its log.", d.node)
}

// mostAlike is how many differences of one code a node has before they become
// one suspicion.
const mostAlike = 5

// grouped returns the differences as suspicions: in order of appearance, those
// of one code as one where there are many.
func (d *drift) grouped() []model.Suspicion {
	count := map[string]int{}
	for _, x := range d.found {
		count[x.code]++
	}
	done := map[string]bool{}
	for _, x := range d.found {
		switch {
		case count[x.code] <= mostAlike:
			d.out = append(d.out, model.Suspicion{Level: x.level, Code: x.code, Message: x.message, On: d.on(), Evidence: kuberules.Evidence(d.info, x.at), Remedy: x.remedy})
		case !done[x.code]:
			done[x.code] = true
			d.out = append(d.out, d.many(x.code))
		}
	}
	return d.out
}

// many returns one suspicion for all differences of a code.
func (d *drift) many(code string) model.Suspicion {
	s := model.Suspicion{Code: code, On: d.on()}
	var names []string
	for _, x := range d.found {
		if x.code != code {
			continue
		}
		if s.Level < x.level {
			s.Level, s.Remedy = x.level, x.remedy
		}
		if s.Evidence == "" {
			s.Evidence, s.Message = kuberules.Evidence(d.info, x.at), x.plural
		}
		if !slices.Contains(names, x.who) {
			names = append(names, x.who)
		}
	}
	s.Message = fmt.Sprintf("node %s %s %d: %s", d.node, s.Message, len(names), several("", names))
	return s
}
