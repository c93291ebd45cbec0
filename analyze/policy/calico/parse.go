package calico

// maxDepth bounds how deep parentheses are nested. Calico's API takes selectors
// of 1,024 characters.
const maxDepth = 512

// Parse reads a selector. An empty one matches everything. The error is an
// *Error.
func Parse(selector string) (*Selector, error) {
	p := &parser{scanner: scanner{all: selector}}
	if err := p.advance(); err != nil {
		return nil, err
	}
	if p.have.kind == end {
		return &Selector{}, nil
	}
	root, err := p.alternatives()
	if err != nil {
		return nil, err
	}
	if p.have.kind != end {
		return nil, p.bad(p.have.at, "want && or || or the end")
	}
	return &Selector{root}, nil
}

// A parser reads tokens, of which it has the next one.
type parser struct {
	scanner
	have  token
	depth int
}

func (p *parser) advance() (err error) {
	p.have, err = p.next()
	return err
}

// take returns the token that is there and reads the next.
func (p *parser) take() (token, error) {
	t := p.have
	return t, p.advance()
}

// expect takes a token of a kind.
func (p *parser) expect(k kind, what string) (token, error) {
	if p.have.kind != k {
		return p.have, p.bad(p.have.at, "want %s", what)
	}
	return p.take()
}

// alternatives reads x || y.
func (p *parser) alternatives() (node, error) { return p.series(or, p.conjunction) }

// conjunction reads x && y, which binds closer.
func (p *parser) conjunction() (node, error) { return p.series(and, p.operation) }

// series reads parts with an operator between them.
func (p *parser) series(between kind, part func() (node, error)) (node, error) {
	first, err := part()
	if err != nil || p.have.kind != between {
		return first, err
	}
	out := list{and: between == and, parts: []node{first}}
	for p.have.kind == between {
		if err := p.advance(); err != nil {
			return nil, err
		}
		next, err := part()
		if err != nil {
			return nil, err
		}
		out.parts = append(out.parts, next)
	}
	return out, nil
}

// operation reads what stands between && and ||, with any number of ! before
// it: they bind closest.
func (p *parser) operation() (node, error) {
	negated := false
	for p.have.kind == not {
		negated = !negated
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	out, err := p.operand()
	if err == nil && negated {
		out = negation{out}
	}
	return out, err
}

func (p *parser) operand() (node, error) {
	switch p.have.kind {
	case call:
		t, err := p.take()
		if t.word == "has" {
			return leaf{label: t.arg, op: "has"}, err
		}
		return constant(t.word), err
	case label:
		return p.comparison()
	case open:
		return p.group()
	}
	return nil, p.bad(p.have.at, "want a label, has(), all() or (")
}

// group reads ( x ).
func (p *parser) group() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, p.bad(p.have.at, "more than %d parentheses are nested", maxDepth)
	}
	defer func() { p.depth-- }()
	if err := p.advance(); err != nil {
		return nil, err
	}
	out, err := p.alternatives()
	if err == nil {
		_, err = p.expect(closing, ")")
	}
	return out, err
}

// comparison reads a label, an operator and what is compared with.
func (p *parser) comparison() (node, error) {
	name, err := p.take()
	if err != nil {
		return nil, err
	}
	op, err := p.expect(operator, "an operator behind the label")
	if err != nil {
		return nil, err
	}
	out := leaf{label: name.word, op: op.word}
	if op.word == "in" || op.word == "not in" {
		out.values, err = p.set()
		return out, err
	}
	value, err := p.expect(text, "a string in quotes")
	out.values = []string{value.word}
	return out, err
}

// set reads {'a', 'b'}, which may be empty.
func (p *parser) set() (values []string, err error) {
	if _, err = p.expect(openSet, "{"); err != nil {
		return nil, err
	}
	for p.have.kind == text {
		value, err := p.take()
		if err != nil {
			return nil, err
		}
		values = append(values, value.word)
		if p.have.kind != comma {
			break
		}
		if err = p.advance(); err != nil {
			return nil, err
		}
	}
	_, err = p.expect(closeSet, "}")
	return values, err
}
