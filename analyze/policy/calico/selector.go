package calico

import (
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A Labels returns the value of a label of whatever a selector is asked about:
// Yes if it has that label, Maybe if that is not known.
type Labels func(name string) (value string, has netfilter.Answer)

// A Selector is an expression over labels. It does not change. The zero value
// matches everything.
type Selector struct{ root node }

// A node is a part of an expression.
type node interface {
	match(Labels) netfilter.Answer
	write(*strings.Builder)
	// rewrite returns the node with every leaf replaced.
	rewrite(leaf func(node) node) node
}

// Match reports whether the selector matches what has the labels.
func (s *Selector) Match(labels Labels) netfilter.Answer {
	if s.root == nil {
		return netfilter.Yes
	}
	return s.root.match(labels)
}

// String prints the selector, so that Parse reads it to an equal one.
func (s *Selector) String() string {
	if s.root == nil {
		return "all()"
	}
	var b strings.Builder
	s.root.write(&b)
	return b.String()
}

// Prefixed returns the selector with prefix before the name of each label: what
// a selector of namespaces ("pcns.") or of service accounts ("pcsa.") asks of
// a pod.
func (s *Selector) Prefixed(prefix string) *Selector {
	return s.rewritten(func(n node) node {
		if l, ok := n.(leaf); ok {
			l.label = prefix + l.label
			return l
		}
		return n
	})
}

// Within returns the selector with has(label) for all(), and !has(label) for
// global(): what they mean where namespaces or service accounts are selected.
func (s *Selector) Within(label string) *Selector {
	return s.rewritten(func(n node) node {
		c, ok := n.(constant)
		switch {
		case !ok:
			return n
		case c == "global":
			return negation{leaf{label: label, op: "has"}}
		}
		return leaf{label: label, op: "has"}
	})
}

func (s *Selector) rewritten(leaf func(node) node) *Selector {
	if s.root == nil {
		return s
	}
	return &Selector{s.root.rewrite(leaf)}
}

// And returns the selector of what all of them match. Those that match
// everything because they were empty do not count.
func And(selectors ...*Selector) *Selector {
	var parts []node
	for _, s := range selectors {
		if s != nil && s.root != nil {
			parts = append(parts, s.root)
		}
	}
	switch len(parts) {
	case 0:
		return &Selector{}
	case 1:
		return &Selector{parts[0]}
	}
	return &Selector{list{and: true, parts: parts}}
}

// Not returns the selector of what s does not match.
func Not(s *Selector) *Selector {
	if s.root == nil {
		return &Selector{negation{constant("all")}}
	}
	return &Selector{negation{s.root}}
}

// Equal returns the selector of what has the label with one of the values.
func Equal(label string, values ...string) *Selector {
	return &Selector{leaf{label: label, op: "in", values: values}}
}

// IsEmpty reports whether the selector has no expression, and so matches
// everything.
func (s *Selector) IsEmpty() bool { return s.root == nil }

// A leaf asks about one label.
type leaf struct {
	label, op string
	values    []string
}

// match asks the label. What has no such label is unlike any value.
func (l leaf) match(labels Labels) netfilter.Answer {
	value, has := labels(l.label)
	switch {
	case has == netfilter.Maybe:
		return netfilter.Maybe
	case has == netfilter.No:
		return netfilter.AnswerOf(l.op == "!=" || l.op == "not in")
	}
	return netfilter.AnswerOf(l.holds(value))
}

func (l leaf) holds(value string) bool {
	switch l.op {
	case "has":
		return true
	case "==":
		return value == l.values[0]
	case "!=":
		return value != l.values[0]
	case "contains":
		return strings.Contains(value, l.values[0])
	case "starts with":
		return strings.HasPrefix(value, l.values[0])
	case "ends with":
		return strings.HasSuffix(value, l.values[0])
	case "in":
		return slices.Contains(l.values, value)
	}
	return !slices.Contains(l.values, value) // not in
}

func (l leaf) rewrite(f func(node) node) node { return f(l) }

func (l leaf) write(b *strings.Builder) {
	switch l.op {
	case "has":
		b.WriteString("has(" + l.label + ")")
	case "in", "not in":
		b.WriteString(l.label + " " + l.op + " {")
		for i, v := range l.values {
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(quoted(v))
		}
		b.WriteString("}")
	default:
		b.WriteString(l.label + " " + l.op + " " + quoted(l.values[0]))
	}
}

// quoted quotes a literal, which has at most one of the two quotes in it.
func quoted(s string) string {
	if strings.Contains(s, "'") {
		return `"` + s + `"`
	}
	return "'" + s + "'"
}

// A constant is all() or global(), which match everything.
type constant string

func (c constant) match(Labels) netfilter.Answer  { return netfilter.Yes }
func (c constant) rewrite(f func(node) node) node { return f(c) }
func (c constant) write(b *strings.Builder)       { b.WriteString(string(c) + "()") }

// A negation is !x.
type negation struct{ of node }

func (n negation) match(labels Labels) netfilter.Answer { return n.of.match(labels).Not() }
func (n negation) rewrite(f func(node) node) node       { return negation{n.of.rewrite(f)} }

func (n negation) write(b *strings.Builder) {
	b.WriteString("!")
	n.of.write(b)
}

// A list is x && y && z, or x || y || z.
type list struct {
	and   bool
	parts []node
}

func (l list) match(labels Labels) netfilter.Answer {
	decides, out := netfilter.Yes, netfilter.No
	if l.and {
		decides, out = out, decides
	}
	for _, p := range l.parts {
		switch p.match(labels) {
		case decides:
			return decides
		case netfilter.Maybe:
			out = netfilter.Maybe
		}
	}
	return out
}

func (l list) rewrite(f func(node) node) node {
	out := list{and: l.and}
	for _, p := range l.parts {
		out.parts = append(out.parts, p.rewrite(f))
	}
	return out
}

func (l list) write(b *strings.Builder) {
	sep := " || "
	if l.and {
		sep = " && "
	}
	b.WriteString("(")
	for i, p := range l.parts {
		if i > 0 {
			b.WriteString(sep)
		}
		p.write(b)
	}
	b.WriteString(")")
}
