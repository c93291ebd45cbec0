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
	for _, t := range p.rs.tables {
		for _, c := range t.chains {
			if !c.state.entered {
				p.descend(c)
			}
		}
	}
}

func (p *parser) descend(root *Chain) {
	root.state.entered = true
	way := append(p.way[:0], visit{chain: root})
	for len(way) > 0 {
		at := &way[len(way)-1]
		if at.next == len(at.chain.Rules) {
			at.chain.state.left = true
			way = way[:len(way)-1]
			continue
		}
		rule := at.chain.Rules[at.next]
		at.next++
		to, _ := destination(rule.target)
		switch {
		case to == nil || to.state.left:
		case to.state.entered:
			p.spoil(rule, "loop of chains: -j "+to.Name)
		default:
			to.state.entered = true
			way = append(way, visit{chain: to})
		}
	}
	p.way = way
}
