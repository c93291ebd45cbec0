package nftables

import (
	"strings"
)

// set reads a named set or map. What is not understood of it makes every answer
// of it open.
func (p *parser) set(t *table, n *node) {
	name := n.get("name").str()
	s := &set{name: t.family + " " + t.name + " " + name, rest: -1, line: p.line}
	t.sets[name] = s
	if err := p.describe(t, s, n); err != nil {
		s.fault = "set " + name + " is not understood: " + plain(err)
		p.fail(err)
		return
	}
	s.dynamic = n.get("flags").has("dynamic") || n.get("timeout") != nil || n.get("flags").has("timeout")
	for st := n.get("stmt").items(); st != nil; st = st.next {
		if only := st.only(); only == nil || string(only.key) != "counter" && string(only.key) != "last" {
			s.gate = "whether the element's " + brief(st) + " is used up depends on other traffic"
		}
	}
	p.fill(t, s, n)
}

func plain(err error) string { return strings.TrimPrefix(err.Error(), errNot.Error()+": ") }

// elements reads elements that are an entry of their own.
func (p *parser) elements(t *table, n *node) error {
	s := t.sets[n.get("name").str()]
	if s == nil {
		return notUnderstood("elements of set %s, which is not there", n.get("name").str())
	}
	p.fill(t, s, n)
	return nil
}

func (p *parser) fill(t *table, s *set, n *node) {
	isMap := n.get("map") != nil || s.values != nil || s.data != nil
	for e := n.get("elem").items(); e != nil; e = e.next {
		if err := p.element(t, s, e, isMap); err != nil && s.fault == "" {
			s.fault = "an element of set " + n.get("name").str() + " is not understood: " + plain(err)
			p.fail(err)
		}
	}
}

// describe reads the types of a set.
func (p *parser) describe(t *table, s *set, n *node) (err error) {
	if s.fields, err = p.typesOf(t, n.get("type")); err != nil {
		return err
	}
	if len(s.fields) > maxFields {
		return notUnderstood("concatenation of %d", len(s.fields))
	}
	switch m := n.get("map"); {
	case m == nil:
	case m.is("verdict"), m.is("counter"), m.is("quota"), m.is("limit"), m.is("secmark"), m.is("synproxy"), strings.HasPrefix(m.str(), "ct "):
		s.values = []value{}
	default:
		s.data, err = p.typesOf(t, m)
	}
	return err
}

// typesOf reads a type, a list of types, or the type of an expression.
func (p *parser) typesOf(t *table, n *node) (list []*dtype, err error) {
	if of := n.get("typeof"); of != nil {
		exprs, err := p.parts(t, of)
		for _, e := range exprs {
			list = append(list, e.typ)
		}
		return list, err
	}
	for i := n.items(); i != nil; i = i.next {
		for name := range strings.SplitSeq(i.str(), " . ") { // of the data of a map
			typ := p.types[name]
			if typ == nil {
				return nil, notUnderstood("type %s", brief(i))
			}
			list = append(list, typ)
		}
	}
	if list == nil {
		return nil, notUnderstood("set without a type")
	}
	return list, nil
}

// element reads an element of a set, or of a map with its value.
func (p *parser) element(t *table, s *set, n *node, isMap bool) error {
	val := n
	if isMap {
		if n.kind != isArray || n.first == nil || n.first.next == nil {
			return notUnderstood("element %s of a map", brief(n))
		}
		n, val = n.first, n.first.next
	}
	n = s.unwrap(n)
	if n.is("*") && !(len(s.fields) == 1 && s.fields[0].name == "ifname") {
		s.rest = s.size()
		for range s.fields {
			s.keys = append(s.keys, span{number(1), word{}}) // no value is one of it
		}
	} else if err := p.elementKey(s, n); err != nil {
		return err
	}
	if isMap {
		s.values = append(s.values, p.elementValue(t, s, val))
	}
	return nil
}

// unwrap returns the value of an element that has more than a value. Elements
// with a timeout are there as long as nobody knows better.
func (s *set) unwrap(n *node) *node {
	inner := n.get("elem")
	if inner == nil {
		return n
	}
	if inner.get("limit") != nil || inner.get("quota") != nil || inner.get("ct count") != nil {
		s.gate = "whether the limit of an element is used up depends on other traffic"
	}
	return orNull(inner.get("val"))
}

func (p *parser) elementKey(s *set, n *node) error {
	parts, count := n, 0
	if only := n.only(); only != nil && string(only.key) == "concat" {
		parts = only.first
	} else if len(s.fields) != 1 {
		return notUnderstood("element %s of %d fields", brief(n), len(s.fields))
	}
	var spans [maxFields]span
	for c := parts; c != nil && count < len(s.fields); c = c.next {
		sp, err := s.fields[count].span(c)
		if err != nil {
			return notUnderstood("%v", err)
		}
		spans[count] = sp
		count++
		if parts == n {
			break
		}
	}
	if count != len(s.fields) {
		return notUnderstood("element of %d fields, not %d", count, len(s.fields))
	}
	s.keys = append(s.keys, spans[:count]...)
	return nil
}

// elementValue reads what a map has for an element: a verdict or values.
func (p *parser) elementValue(t *table, s *set, n *node) (v value) {
	if inner := n.get("elem"); inner != nil {
		n = orNull(inner.get("val"))
	}
	if s.data == nil && p.isVerdict(n) {
		verdict, err := p.verdictOf(t, n)
		if err != nil {
			v.open = plain(err)
		}
		v.verdict = verdict
		return v
	}
	parts := []*node{n}
	if only := n.only(); only != nil && string(only.key) == "concat" {
		parts = nil
		for c := only.first; c != nil; c = c.next {
			parts = append(parts, c)
		}
	}
	for i, c := range parts {
		sp, err := p.dataType(s, i, c).span(c)
		if err != nil {
			v.open = plain(err)
		}
		v.data = append(v.data, sp)
	}
	return v
}

func (p *parser) isVerdict(n *node) bool {
	only := n.only()
	return only != nil && p.stmts[string(only.key)] != nil || n.is("accept") || n.is("drop") || n.is("continue") || n.is("return")
}

// dataType is the type of a value. In a map that is written down at its place,
// it is guessed from how it is spelled.
func (p *parser) dataType(s *set, i int, n *node) *dtype {
	if i < len(s.data) {
		return s.data[i]
	}
	if only := n.only(); only != nil {
		if n = only.first; string(only.key) == "prefix" {
			n = only.get("addr")
		}
	}
	if n = orNull(n); n.kind != isString {
		return p.types["integer"]
	}
	for _, name := range []string{"ipv4_addr", "ipv6_addr", "ether_addr"} {
		if _, ok := p.types[name].parse(string(n.text)); ok {
			return p.types[name]
		}
	}
	return p.types["string"]
}
