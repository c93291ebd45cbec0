package nftables

import (
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A table holds its chains and sets by their names.
type table struct {
	family, name string
	dormant      bool
	chains       map[string]*chain
	sets         map[string]*set
	bases        []*chain
	rules        int
	faulty       int
	extensions   int // of iptables, that nft shows by their names only
}

// A chain is a list of rules. One that is only spoken of is not declared.
type chain struct {
	table    *table
	name     string
	declared bool
	line     int
	rules    []rule
	base     *Base // nil unless a hook calls it
	jump     verdict
	going    verdict // goto
}

// where names the chain in a trace.
func (c *chain) where() string { return c.table.family + " " + c.table.name + "/" + c.name }

// A rule is what it does, one after the other, and where it is read.
type rule struct {
	ops       []op
	off, size uint32 // of its JSON in the text
	line      int
}

// An op is one expression or statement of a rule.
type op interface {
	do(w *walk) flow
}

// A flow says how a rule goes on after an op.
type flow uint8

const (
	next  flow = iota
	stop       // the rule does not match
	final      // walk.verdict
)

// A verdict is that of a rule or of an element.
type verdict struct {
	is   netfilter.Verdict
	to   *chain // of jump and goto
	gone bool
}

// result is the verdict of a rule that does not jump, or whose chain is not
// there.
func (v *verdict) result() netfilter.Verdict {
	if v.to != nil {
		return netfilter.Unknown
	}
	return v.is
}

func (v *verdict) text() string {
	switch {
	case v.to == nil:
		return v.is.String()
	case v.gone:
		return "goto " + v.to.name
	}
	return "jump " + v.to.name
}

// do is the verdict as a statement.
func (v *verdict) do(w *walk) flow {
	if (v.is != netfilter.Continue || v.to != nil) && !w.settle() {
		return stop
	}
	w.verdict = *v
	w.act(v.text())
	return final
}

// A walk is one packet in the chains of a base chain.
type walk struct {
	rs      *Ruleset
	f       *netfilter.Frame
	rule    *rule
	verdict verdict
	action  string

	pending string       // why it is open whether the rule matches
	shares  [][2]float64 // of the traffic that the rule matches, and not
}

func (w *walk) act(action string) {
	if w.action != "" {
		action = w.action + ", " + action
	}
	w.action = action
}

// open notes why the rule may match or not. It is asked only where something
// depends on it.
func (w *walk) open(why string) {
	if w.pending == "" {
		w.pending = why
	}
}

// settle asks what is open about the rule so far, and reports whether it
// matches. Whatever does something to the packet calls it first.
func (w *walk) settle() bool {
	for _, s := range w.shares {
		if w.f.Choices.Pick(s[:]) == 1 {
			return false
		}
	}
	w.shares = w.shares[:0]
	if w.pending == "" {
		return true
	}
	d := w.doubt(w.pending)
	w.pending = ""
	return w.f.Choices.Doubt(d)
}

func (w *walk) doubt(what string) model.Doubt {
	return model.Doubt{What: what, Evidence: w.rs.at(w.rule.line)}
}

// unknown ends the walk on one branch for what a statement may do; on the other
// the statement does nothing.
func (w *walk) unknown(what string) flow {
	if !w.settle() {
		return stop
	}
	if !w.f.Choices.Doubt(w.doubt(what)) {
		return next
	}
	w.verdict = verdict{is: netfilter.Unknown}
	w.act("unknown: " + what)
	return final
}

// Rules that a packet meets in one base chain, and chains that call each other,
// are bounded: a text can be written that has no end.
const (
	maxRules = 5_000_000
	maxSteps = 2_000
	maxJumps = 64 // the kernel takes 16 (NFT_JUMP_STACK_SIZE)
)

// A frame is a chain and the next rule in it: where return comes back to.
type frame struct {
	chain *chain
	next  int
}

// run runs the packet through a chain and those that it calls. It returns
// Return if nothing was decided.
func (w *walk) run(base *chain) netfilter.Verdict {
	var room [16]frame
	callers, at, steps := room[:0], frame{chain: base}, 0
	for rules := 0; rules < maxRules && steps < maxSteps && len(callers) < maxJumps; rules++ {
		if at.next >= len(at.chain.rules) {
			if len(callers) == 0 {
				return netfilter.Return
			}
			at, callers = callers[len(callers)-1], callers[:len(callers)-1]
			continue
		}
		w.rule = &at.chain.rules[at.next]
		at.next++
		if !w.matches() {
			continue
		}
		steps++
		w.f.Step(at.chain.where(), w.rs.text(w.rule), w.action, w.rs.at(w.rule.line))
		v := w.verdict
		if v.to != nil && v.to.declared {
			if !v.gone {
				callers = append(callers, at)
			}
			at = frame{chain: v.to}
			continue
		}
		switch v.result() {
		case netfilter.Continue:
		case netfilter.Return:
			at.next = len(at.chain.rules)
		default:
			return v.result()
		}
	}
	w.f.Step(base.where(), "", "unknown: more rules than are followed", w.rs.at(base.line))
	return netfilter.Unknown
}

// matches does what the rule says, and reports whether it came to its end.
func (w *walk) matches() bool {
	w.verdict, w.action, w.pending, w.shares = verdict{}, "", "", w.shares[:0]
	for _, o := range w.rule.ops {
		switch o.do(w) {
		case stop:
			return false
		case final:
			return true
		}
	}
	if w.pending != "" || len(w.shares) > 0 {
		return false // whether it matches makes no difference
	}
	if w.action == "" {
		w.action = "continue"
	}
	return true
}

// A test compares a value with what it may be.
type test struct {
	left expr
	is   span // or bits if anyBit
	bits word
	how  how
	not  bool
}

type how uint8

const (
	within how = iota
	anyBit     // "in", and with not "!"
)

func (t *test) answer(r reg) netfilter.Answer {
	a := netfilter.No
	if t.how == anyBit {
		a = r.anyBit(t.bits)
	} else {
		a = t.is.has(r)
	}
	if t.not {
		return a.Not()
	}
	return a
}

func (t *test) do(w *walk) flow {
	if c, ok := t.left.loader.(*chance); ok && c.mod <= maxCounted {
		return w.share(c, t.answer)
	}
	r := t.left.load(w.f)
	if r.broke {
		return stop
	}
	return w.answered(t.answer(r), t.left.loader)
}

// answered goes on after an answer.
func (w *walk) answered(a netfilter.Answer, of any) flow {
	switch a {
	case netfilter.No:
		return stop
	case netfilter.Maybe:
		why := "a value is not known"
		if d, ok := of.(doubter); ok {
			why = d.doubt()
		}
		w.open(why)
	}
	return next
}

// share counts the numbers for which a condition holds.
func (w *walk) share(c *chance, holds func(reg) netfilter.Answer) flow {
	if c.breaks(w.f) {
		return stop
	}
	yes := 0
	for i := range c.mod {
		if holds(knownNumber(c.offset+i)) == netfilter.Yes {
			yes++
		}
	}
	switch yes {
	case 0:
		return stop
	case int(c.mod):
		return next
	}
	w.shares = append(w.shares, [2]float64{float64(yes), float64(int(c.mod) - yes)})
	return next
}

// A concatTest compares several values, each with what it may be.
type concatTest struct {
	left []expr
	is   []span
	not  bool
}

func (t *concatTest) do(w *walk) flow {
	answer, of := netfilter.Yes, any(nil)
	for i, e := range t.left {
		r := e.load(w.f)
		if r.broke {
			return stop
		}
		switch t.is[i].has(r) {
		case netfilter.No:
			answer = netfilter.No
		case netfilter.Maybe:
			if answer == netfilter.Yes {
				answer, of = netfilter.Maybe, e.loader
			}
		}
	}
	if t.not {
		answer = answer.Not()
	}
	return w.answered(answer, of)
}

// A compare compares two expressions.
type compare struct {
	left, right expr
	not         bool
}

func (t *compare) do(w *walk) flow {
	a, b := t.left.load(w.f), t.right.load(w.f)
	if a.broke || b.broke {
		return stop
	}
	answer := one(b.v).has(reg{v: a.v, unk: a.unk.or(b.unk)})
	if t.not {
		answer = answer.Not()
	}
	of := t.left.loader
	if a.unk.zero() {
		of = t.right.loader
	}
	return w.answered(answer, of)
}

// An inSet asks whether a set has the values.
type inSet struct {
	lookup
	not bool
}

func (t *inSet) do(w *walk) flow {
	if c, ok := t.of[0].loader.(*chance); ok && len(t.of) == 1 && c.mod <= maxCounted && t.in.fault == "" {
		return w.share(c, func(r reg) netfilter.Answer { return netfilter.AnswerOf(t.in.find([]reg{r}) >= 0 != t.not) })
	}
	a, breaks := t.contains(w.f)
	if breaks {
		return stop
	}
	if t.not {
		a = a.Not()
	}
	return w.answered(a, &t.lookup)
}

// A choose is "vmap": the element that the packet finds has the verdict.
type choose struct{ lookup }

func (c *choose) do(w *walk) flow {
	if c.in.fault != "" {
		return w.unknown(c.in.fault)
	}
	if !w.settle() {
		return stop
	}
	e := c.pick(w.f)
	if e < 0 || int(e) >= len(c.in.values) {
		return stop
	}
	v := &c.in.values[e]
	if v.verdict == nil {
		return w.unknown("element not understood: " + v.open)
	}
	w.verdict = *v.verdict
	w.act(v.verdict.text())
	return final
}

// A misread is a condition that is not understood: it may hold or not.
type misread string

func (m misread) do(w *walk) flow {
	w.open(string(m))
	return next
}

// A mystery is a statement that is not understood: it may do anything, or nothing.
type mystery string

func (m mystery) do(w *walk) flow { return w.unknown(string(m)) }
