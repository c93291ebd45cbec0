package kuberules

import (
	"bytes"
	"slices"
	"strings"
)

const (
	servicesChain  = "KUBE-SERVICES"
	nodePortsChain = "KUBE-NODEPORTS"
	externalChain  = "KUBE-EXTERNAL-SERVICES"
	masqChain      = "KUBE-MARK-MASQ"
	dropChain      = "KUBE-MARK-DROP" // of kube-proxy before 1.28
	postChain      = "KUBE-POSTROUTING"
)

// ReadIPTables reads what kube-proxy in the mode iptables has written into the
// output of iptables-save. It reports false if there is no Service in it: the
// chain KUBE-SERVICES of the table nat is empty or not there. In the mode ipvs
// that chain has no rule for a single address.
//
// Source: kubernetes pkg/proxy/iptables/proxier.go, syncProxyRules. Older
// releases masquerade in KUBE-SERVICES itself and call KUBE-EXT chains KUBE-XLB.
func ReadIPTables(data []byte, text Text) (*Family, bool) {
	r := newChainReader(data, text)
	services := r.chains.of(servicesChain)
	for i := range services {
		one := &services[i]
		if one.to == nodePortsChain {
			r.out.NodePorts = true
			continue
		}
		r.dispatch(one, false)
	}
	if r.out.NodePorts {
		ports := r.chains.of(nodePortsChain)
		for i := range ports {
			if one := &ports[i]; !one.dst.IsValid() {
				r.dispatch(one, true)
			}
		}
	}
	if len(r.out.Entries) == 0 {
		return nil, false
	}
	for _, name := range []string{servicesChain, externalChain} {
		rules := r.chains.in(r.chains.filter, name)
		for i := range rules {
			r.refuse(&rules[i])
		}
	}
	r.hooks()
	return r.out, true
}

// A chainReader follows chains of iptables.
type chainReader struct {
	chains *chains
	text   Text
	out    *Family
	seen   map[visit]bool // of the frontend that is being followed
}

// A visit is a chain that was followed, and for whom.
type visit struct {
	chain string
	of    who
}

func newChainReader(data []byte, text Text) *chainReader {
	chains, cut := readChains(data)
	return &chainReader{chains: chains, text: text, out: &Family{Entries: map[Frontend]*Entry{}, Cut: cut}}
}

func (r *chainReader) at(one *rule) At { return At{r.text, one.line} }

// frontend returns what a rule takes packets to.
func (one *rule) frontend(nodePort bool) (Frontend, bool) {
	f := Frontend{Protocol: one.proto, Port: one.dport}
	if one.dst.IsValid() && one.dst.IsSingleIP() {
		f.Addr = one.dst.Addr()
	}
	return f, f.Port != 0 && f.Protocol != "" && f.Addr.IsValid() != nodePort
}

// dispatch reads a rule of KUBE-SERVICES or KUBE-NODEPORTS.
func (r *chainReader) dispatch(one *rule, nodePort bool) {
	f, ok := one.frontend(nodePort)
	if !ok || one.to == "" {
		return
	}
	e := r.out.entry(f)
	if one.to == masqChain {
		r.masquerade(e, one, "")
		return
	}
	if e.At == (At{}) {
		e.At = r.at(one)
	}
	r.begin(one.to, e)
}

// begin collects what a chain and those that it calls do with packets to e.
func (r *chainReader) begin(chain string, e *Entry) {
	if r.seen == nil {
		r.seen = map[visit]bool{}
	}
	clear(r.seen)
	r.follow(chain, everybody, e)
}

// refuse reads a rule of the table filter.
func (r *chainReader) refuse(one *rule) {
	f, ok := one.frontend(one.dstLocal)
	if !ok {
		return
	}
	v, refuses := map[string]Verdict{"REJECT": Reject, "DROP": Drop}[one.to]
	if !refuses {
		return
	}
	if e := r.out.entry(f); e.Refused == None {
		e.Refused, e.RefusedAt = v, r.at(one)
	}
}

// A who is whose packets a way is for.
type who uint8

const (
	everybody who = iota
	pods
	node
)

// follow collects what a chain does with packets to e, once for each who.
func (r *chainReader) follow(chain string, of who, e *Entry) {
	at := visit{chain, of}
	if r.seen[at] {
		return
	}
	r.seen[at] = true
	rules := r.chains.of(chain)
	for i := range rules {
		one := &rules[i]
		switch {
		case one.to == masqChain:
			if !r.isHairpin(one, rules) {
				r.masquerade(e, one, chain)
			}
		case one.to == dropChain && e.Refused == None:
			e.Refused, e.RefusedAt = Drop, r.at(one)
		case one.to == "DNAT":
			r.dest(rules, one, of, e)
		case one.affine > 0:
			r.affine(one, e, of)
		case one.to != "":
			r.follow(one.to, r.sender(one, chain, of, e), e)
			if one.always() && r.ends(one.to) {
				return // no packet comes to the rest
			}
		}
	}
}

// ends reports whether a chain translates every packet that comes to it.
func (r *chainReader) ends(chain string) bool {
	return slices.ContainsFunc(r.chains.of(chain), func(one rule) bool { return one.to == "DNAT" && one.always() })
}

// sender returns whose packets a jump takes.
func (r *chainReader) sender(one *rule, chain string, of who, e *Entry) who {
	switch {
	case one.src.IsValid() && strings.HasPrefix(chain, "KUBE-FW-"):
		e.Ranges = append(e.Ranges, one.src)
		e.Guarded = true
		return of
	case one.src.IsValid() && !one.notSrc || one.device:
		return pods
	case one.srcLocal:
		return node
	}
	return of
}

// isHairpin reports whether a rule masquerades what the endpoint sends to itself.
func (r *chainReader) isHairpin(one *rule, rules []rule) bool {
	if one.notSrc || !one.src.IsValid() || !one.src.IsSingleIP() {
		return false
	}
	for i := range rules {
		if rules[i].to == "DNAT" {
			return true
		}
	}
	return false
}

// masquerade notes whose packets a rule masquerades.
func (r *chainReader) masquerade(e *Entry, one *rule, chain string) {
	switch {
	case strings.HasPrefix(chain, "KUBE-FW-"):
		e.MasqAll = true
	case one.notSrc:
		e.MasqOut = true
		e.PodRange = append(e.PodRange, one.src)
	case one.device:
		e.MasqOut = true
	case one.srcLocal:
		e.MasqNode = true
	case !one.src.IsValid():
		e.MasqAll = true
	}
}

// dest adds the destination of a rule DNAT to the ways of e.
func (r *chainReader) dest(chain []rule, one *rule, of who, e *Entry) {
	d := Dest{Addr: one.nat, Weight: 1, At: r.at(one)}
	for i := range chain {
		if c := &chain[i]; c.to == masqChain && !c.notSrc && (!c.src.IsValid() || c.src.Contains(one.nat.Addr())) {
			d.Hairpin = true
		}
	}
	list := e.way(of)
	for i := range *list {
		if (*list)[i].Addr == d.Addr {
			return
		}
	}
	*list = append(*list, d)
}

func (e *Entry) way(of who) *[]Dest {
	switch of {
	case pods:
		return &e.Pods
	case node:
		return &e.Node
	}
	return &e.To
}

// affine notes that a client which has been at an endpoint comes back to it.
// Such rules come before those for everybody.
func (r *chainReader) affine(one *rule, e *Entry, of who) {
	rules := r.chains.of(one.to)
	for i := range rules {
		to := &rules[i]
		if to.to != "DNAT" {
			continue
		}
		r.dest(rules, to, of, e)
		list := *e.way(of)
		for j := range list {
			if list[j].Addr == to.nat && to.remembers {
				list[j].Affine = one.affine
			}
		}
	}
}

// hooks looks for what every Service needs.
func (r *chainReader) hooks() {
	for _, need := range []struct {
		chain, to string
		masq      bool
	}{
		{"PREROUTING", servicesChain, false},
		{"OUTPUT", servicesChain, false},
		{"POSTROUTING", postChain, true},
		{postChain, "MASQUERADE", true},
		{masqChain, "MARK", true},
	} {
		if !r.jumps(need.chain, need.to) {
			r.out.Hooks = append(r.out.Hooks, Hook{What: "chain " + need.chain + " of the table nat has no rule -j " + need.to, Masq: need.masq, At: At{Text: r.text}})
		}
	}
}

func (r *chainReader) jumps(chain, to string) bool {
	return slices.ContainsFunc(r.chains.of(chain), func(one rule) bool { return one.to == to })
}

// Userspace reports whether rules of the mode userspace are left, which
// Kubernetes had until 1.25, and where.
func Userspace(data []byte) (line int, ok bool) {
	if !bytes.Contains(data, []byte("KUBE-PORTALS-")) && !bytes.Contains(data, []byte("KUBE-NODEPORT-")) {
		return 0, false
	}
	c, _ := readChains(data)
	for _, name := range []string{"KUBE-PORTALS-CONTAINER", "KUBE-PORTALS-HOST", "KUBE-NODEPORT-CONTAINER", "KUBE-NODEPORT-HOST"} {
		if rules := c.of(name); len(rules) > 0 {
			return rules[0].line, true
		}
	}
	return 0, false
}
