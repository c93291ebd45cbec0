package calico

import (
	"fmt"
	"strings"
)

// A kind says what a token is.
type kind uint8

const (
	end kind = iota
	label
	text // a string literal
	open
	closing
	openSet
	closeSet
	comma
	not
	and
	or
	operator // between a label and its value
	call     // has, all or global, with its argument
)

// A token is a piece of a selector.
type token struct {
	kind kind
	at   int    // where it begins, in bytes
	word string // the label, the literal, the operator, the function
	arg  string // of has()
}

// maxLabel is the length of the longest name of a label that Calico takes.
const maxLabel = 512

// An Error says where a selector cannot be read.
type Error struct {
	Selector string
	At       int // byte, from 0
	Problem  string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("selector %q: at byte %d: %s", e.Selector, e.At+1, e.Problem)
}

// A scanner cuts a selector into tokens.
type scanner struct {
	all   string
	at    int
	after kind // of the token before
}

func (s *scanner) bad(at int, format string, args ...any) error {
	return &Error{Selector: s.all, At: at, Problem: fmt.Sprintf(format, args...)}
}

func (s *scanner) rest() string { return s.all[s.at:] }

// blanks skips what separates tokens. A line break does not.
func (s *scanner) blanks() {
	for s.at < len(s.all) && (s.all[s.at] == ' ' || s.all[s.at] == '\t') {
		s.at++
	}
}

// next returns the next token.
func (s *scanner) next() (t token, err error) {
	s.blanks()
	t.at = s.at
	switch {
	case s.at == len(s.all):
		return t, nil
	case s.rest()[0] == '\'', s.rest()[0] == '"':
		t, err = s.literal()
	default:
		var ok bool
		if t, ok = s.sign(); !ok {
			t, err = s.worded()
		}
	}
	s.after = t.kind
	return t, err
}

// A mark is a token that is always spelled alike.
type mark struct {
	text string
	kind kind
}

// marks lists them, longer ones before their beginnings.
func marks() []mark {
	return []mark{
		{"==", operator}, {"!=", operator}, {"&&", and}, {"||", or},
		{"!", not}, {"(", open}, {")", closing}, {"{", openSet}, {"}", closeSet}, {",", comma},
	}
}

func (s *scanner) sign() (token, bool) {
	for _, m := range marks() {
		if strings.HasPrefix(s.rest(), m.text) {
			t := token{kind: m.kind, at: s.at, word: m.text}
			s.at += len(m.text)
			return t, true
		}
	}
	return token{}, false
}

// literal reads a string, which has no escapes.
func (s *scanner) literal() (token, error) {
	t := token{kind: text, at: s.at}
	value, _, ok := strings.Cut(s.rest()[1:], s.rest()[:1])
	if !ok {
		return t, s.bad(s.at, "the string has no end")
	}
	t.word = value
	s.at += len(value) + 2
	return t, nil
}

// worded reads an operator that is a word, a function or a label. A label is
// followed by an operator, so that labels may be called like operators.
func (s *scanner) worded() (token, error) {
	if s.after == label {
		return s.wordedOperator()
	}
	for _, name := range []string{"has", "all", "global"} {
		if strings.HasPrefix(s.rest(), name+"(") {
			return s.function(name)
		}
	}
	t := token{kind: label, at: s.at}
	var err error
	t.word, err = s.identifier()
	return t, err
}

// wordedOperators lists the operators that are words; the blank in between may
// be missing.
func wordedOperators() [][]string {
	return [][]string{{"contains"}, {"starts", "with"}, {"ends", "with"}, {"not", "in"}, {"in"}}
}

func (s *scanner) wordedOperator() (token, error) {
	t := token{kind: operator, at: s.at}
	for _, words := range wordedOperators() {
		if s.words(words) {
			t.word = strings.Join(words, " ")
			return t, nil
		}
	}
	return t, s.bad(s.at, "want an operator behind the label: ==, !=, in, not in, contains, starts with, ends with")
}

// words skips the words of an operator, if they are there and end there.
func (s *scanner) words(words []string) bool {
	from := s.at
	for i, w := range words {
		if i > 0 {
			s.blanks()
		}
		if !strings.HasPrefix(s.rest(), w) {
			s.at = from
			return false
		}
		s.at += len(w)
	}
	if len(words) > 1 {
		s.blanks()
	}
	if s.at < len(s.all) && inIdentifier(s.all[s.at]) {
		s.at = from
		return false
	}
	return true
}

// function reads has(label), all() or global().
func (s *scanner) function(name string) (token, error) {
	t := token{kind: call, at: s.at, word: name}
	s.at += len(name) + 1
	s.blanks()
	if name == "has" {
		var err error
		if t.arg, err = s.identifier(); err != nil {
			return t, err
		}
		s.blanks()
	}
	if !strings.HasPrefix(s.rest(), ")") {
		return t, s.bad(s.at, "want ) to end %s()", name)
	}
	s.at++
	return t, nil
}

func (s *scanner) identifier() (string, error) {
	from := s.at
	for s.at < len(s.all) && inIdentifier(s.all[s.at]) {
		s.at++
	}
	switch n := s.at - from; {
	case n == 0:
		return "", s.bad(from, "want a label")
	case n > maxLabel:
		return "", s.bad(from, "the label has %d characters, at most %d are allowed", n, maxLabel)
	}
	return s.all[from:s.at], nil
}

// inIdentifier reports whether c may be part of a label's name.
func inIdentifier(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_./-", c) >= 0
}
