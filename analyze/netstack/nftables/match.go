package nftables

// readMatch reads {"match": {"op": ..., "left": ..., "right": ...}}: "in" is
// what nft makes of flags that are not compared ("ct state new"), "==" and "!="
// compare all bits (expr_evaluate_relational).
func readMatch(p *parser, t *table, n *node) (op, error) {
	oper, left, right := n.get("op").str(), n.get("left"), n.get("right")
	if left == nil || right == nil {
		return nil, notUnderstood("match without two sides")
	}
	not := oper == "!=" || oper == "!"
	if isSet(right) {
		l, err := p.lookup(t, left, right, false)
		if err != nil {
			return nil, err
		}
		return &inSet{*l, not}, nil
	}
	of, err := p.parts(t, left)
	switch {
	case err != nil:
		return nil, err
	case len(of) > 1:
		return p.concatTest(of, right, not)
	case oper == "==" || oper == "!=":
		if e, ok := p.dynamic(t, right); ok {
			return &compare{of[0], e, not}, nil
		}
	}
	return newTest(of[0], oper, right)
}

// isSet reports whether a right side is a set, by its name or written down.
func isSet(n *node) bool {
	return n.kind == isString && len(n.text) > 1 && n.text[0] == '@' || n.get("set") != nil
}

// dynamic reads a right side that is an expression itself.
func (p *parser) dynamic(t *table, n *node) (expr, bool) {
	if only := n.only(); only == nil || string(only.key) == "|" || string(only.key) == "range" || string(only.key) == "prefix" {
		return expr{}, false
	}
	e, err := p.expr(t, n)
	return e, err == nil
}

func newTest(left expr, oper string, right *node) (op, error) {
	t := &test{left: left, not: oper == "!=" || oper == "!"}
	if f, ok := left.loader.(*fib); ok && f.result != "type" && (right.kind == isTrue || right.kind == isFalse) {
		asked := *f
		asked.exists = true
		t.left = expr{&asked, left.typ}
	}
	s, err := left.typ.span(right)
	if err != nil {
		return nil, notUnderstood("%v", err)
	}
	if (oper == "in" || oper == "!") && s.lo == s.hi {
		t.how, t.bits = anyBit, s.lo
		return t, nil
	}
	if t.is, err = compared(s, oper, mask(left.typ.bits)); err != nil {
		return nil, err
	}
	return t, nil
}

// compared returns the values for which a comparison holds; top is the largest.
func compared(s span, oper string, top word) (span, error) {
	never := span{number(1), word{}}
	switch oper {
	case "==", "!=", "in", "!":
		return s, nil
	case "<=":
		return span{word{}, s.lo}, nil
	case ">=":
		return span{s.lo, top}, nil
	case "<":
		if s.lo.zero() {
			return never, nil
		}
		return span{word{}, s.lo.dec()}, nil
	case ">":
		if s.lo == top {
			return never, nil
		}
		return span{s.lo.inc(), top}, nil
	}
	return never, notUnderstood("operator %q", oper)
}

// concatTest reads "ip saddr . tcp dport == 10.0.0.1 . 80".
func (p *parser) concatTest(of []expr, right *node, not bool) (op, error) {
	only := right.only()
	if only == nil || string(only.key) != "concat" {
		return nil, notUnderstood("concatenation compared with %s", brief(right))
	}
	t := &concatTest{left: of, not: not}
	for c := only.first; c != nil; c = c.next {
		if len(t.is) == len(of) {
			return nil, notUnderstood("concatenations of different length")
		}
		s, err := of[len(t.is)].typ.span(c)
		if err != nil {
			return nil, notUnderstood("%v", err)
		}
		t.is = append(t.is, s)
	}
	if len(t.is) != len(of) {
		return nil, notUnderstood("concatenations of different length")
	}
	return t, nil
}
