package nftables

import (
	"fmt"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A lookup is a search in a set for the values of some expressions
// (nft_lookup_eval).
type lookup struct {
	of   []expr
	in   *set
	rule string // file:line, for doubts
}

// load loads the values that are looked up. It reports false if one breaks.
func (l *lookup) load(f *netfilter.Frame, room *[maxFields]reg) (regs []reg, known, ok bool) {
	known = true
	for i, e := range l.of {
		r := e.load(f)
		if r.broke {
			return nil, false, false
		}
		room[i] = r
		known = known && r.unk.zero()
	}
	return room[:len(l.of)], known, true
}

// doubt says why a value is not known.
func (l *lookup) doubt() string {
	if l.in.gate != "" {
		return l.in.gate
	}
	for _, e := range l.of {
		if d, ok := e.loader.(doubter); ok {
			return d.doubt()
		}
	}
	return "what is in set " + l.in.name
}

// contains answers whether the set has the values; breaks if there are none.
func (l *lookup) contains(f *netfilter.Frame) (a netfilter.Answer, breaks bool) {
	var room [maxFields]reg
	regs, known, ok := l.load(f, &room)
	if !ok {
		return netfilter.No, true
	}
	if l.in.fault != "" {
		return netfilter.Maybe, false
	}
	if known {
		if l.in.dynamic {
			if gone, found := learned(f, l.in, regs); found {
				return netfilter.AnswerOf(!gone), false
			}
		}
		a = netfilter.AnswerOf(l.in.find(regs) >= 0)
	} else if list, sure := l.in.candidates(regs); sure {
		a = netfilter.Yes
	} else if len(list) > 0 {
		a = netfilter.Maybe
	}
	if a == netfilter.Yes && l.in.gate != "" {
		a = netfilter.Maybe
	}
	return a, false
}

// learned reports what a rule has done to an element for this packet.
func learned(f *netfilter.Frame, s *set, regs []reg) (gone, found bool) {
	for i := len(f.Learned) - 1; i >= 0; i-- {
		if e := &f.Learned[i]; e.Set == s.name && e.Key == learnedKey(regs) {
			return e.Gone, true
		}
	}
	return false, false
}

func learnedKey(regs []reg) string {
	var k key
	for i, r := range regs {
		k.put(i, r.v)
	}
	return string(k[:16*len(regs)])
}

// pick returns the element that the packet finds, -1 if none. Where that is
// open, the run's choices are asked.
func (l *lookup) pick(f *netfilter.Frame) int32 {
	if c, ok := l.of[0].loader.(*chance); ok && len(l.of) == 1 && c.mod <= maxCounted {
		return l.pickChance(c, f)
	}
	var room [maxFields]reg
	regs, known, ok := l.load(f, &room)
	if !ok {
		return -1
	}
	var list []int32
	sure := true
	if known {
		if e := l.in.find(regs); e >= 0 {
			list = append(list, e)
		}
	} else {
		list, sure = l.in.candidates(regs)
	}
	for i, e := range list {
		if certain := sure && i == len(list)-1 && l.in.gate == ""; certain || f.Choices.Doubt(l.asks(i)) {
			return e
		}
	}
	return -1
}

// asks is the doubt whether the packet finds the n-th of the elements that it
// may find.
func (l *lookup) asks(n int) model.Doubt {
	what := l.doubt()
	if n > 0 {
		what = fmt.Sprintf("%s (%d)", what, n+1)
	}
	return model.Doubt{What: what, Evidence: l.rule}
}

// pickChance gives each element its share of the numbers.
func (l *lookup) pickChance(c *chance, f *netfilter.Frame) int32 {
	if c.breaks(f) {
		return -1
	}
	var found []int32
	var weights []float64
	at := map[int32]int{}
	for i := range c.mod {
		e := l.in.find([]reg{knownNumber(c.offset + i)})
		n, seen := at[e]
		if !seen {
			n, at[e] = len(found), len(found)
			found, weights = append(found, e), append(weights, 0)
		}
		weights[n]++
	}
	return found[f.Choices.Pick(weights)]
}

// A mapped is a value from a map.
type mapped struct{ lookup }

// spans returns the value that the packet finds; ok is false if it finds none.
func (m *mapped) spans(f *netfilter.Frame) (data []span, ok bool) {
	e := m.pick(f)
	if e < 0 || int(e) >= len(m.in.values) {
		return nil, false
	}
	v := &m.in.values[e]
	return v.data, v.open == "" && v.data != nil
}

func (m *mapped) load(f *netfilter.Frame) reg {
	if m.in.fault != "" {
		return reg{unk: ones()}
	}
	data, ok := m.spans(f)
	if !ok {
		return broken()
	}
	return known(data[0].lo)
}

// readMap reads {"map": {"key": ..., "data": ...}}.
func readMap(p *parser, t *table, n *node) (expr, error) {
	l, err := p.lookup(t, n.get("key"), n.get("data"), true)
	if err != nil {
		return expr{}, err
	}
	typ := p.types["integer"]
	if len(l.in.data) > 0 {
		typ = l.in.data[0]
	}
	return expr{&mapped{*l}, typ}, nil
}

// lookup reads a search in a set, which is named or written down at its place.
func (p *parser) lookup(t *table, key, in *node, isMap bool) (*lookup, error) {
	of, err := p.parts(t, orNull(key))
	if err != nil {
		return nil, err
	}
	if len(of) > maxFields {
		return nil, notUnderstood("concatenation of %d", len(of))
	}
	l := &lookup{of: of, rule: p.at(p.line)}
	if in != nil && in.kind == isString && len(in.text) > 1 && in.text[0] == '@' {
		if l.in = t.sets[string(in.text[1:])]; l.in == nil {
			return nil, notUnderstood("set %s, which is not there", in.text)
		}
		return l, l.in.fieldCount(len(of))
	}
	elements := in.get("set")
	if elements == nil {
		return nil, notUnderstood("set %s", brief(in))
	}
	l.in = &set{rest: -1, line: p.line}
	for _, e := range of {
		l.in.fields = append(l.in.fields, e.typ)
	}
	for e := elements.items(); e != nil; e = e.next {
		if err := p.element(t, l.in, e, isMap); err != nil {
			return nil, err
		}
	}
	l.in.index()
	return l, nil
}
