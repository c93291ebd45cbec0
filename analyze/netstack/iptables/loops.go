package iptables

// A visit is a chain on the way down from a root, and the rule that is to be
// looked at next.
type visit struct {
	chain *Chain
	next  int
}

// cutLoops finds the rules that lead back to a chain that leads to them, and
// spoils them: the kernel refuses such a table, so the text is not one of its.
func (p *parser) cutLoops() {
	done := map[*Chain]bool{} // false while it is on the way
	for _, t := range p.rs.tables {
		for _, c := range t.chains {
			if _, seen := done[c]; !seen {
				p.descend(c, done)
			}
		}
	}
}

func (p *parser) descend(root *Chain, done map[*Chain]bool) {
	done[root] = false
	way := []visit{{chain: root}}
	for len(way) > 0 {
		at := &way[len(way)-1]
		if at.next == len(at.chain.Rules) {
			done[at.chain] = true
			way = way[:len(way)-1]
			continue
		}
		rule := at.chain.Rules[at.next]
		at.next++
		j, ok := rule.target.(*jump)
		if !ok {
			continue
		}
		switch finished, seen := done[j.to]; {
		case !seen:
			done[j.to] = false
			way = append(way, visit{chain: j.to})
		case !finished:
			p.spoil(rule, "loop of chains: -j "+j.name)
		}
	}
}
