package nftables

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// A node is one JSON value. Its bytes lie in the text that it was read from, so
// that reading costs no memory but the nodes, which are used again.
type node struct {
	kind        kind
	key         []byte // in its object
	text        []byte // of a string, without its quotes, or of a number
	first, next *node  // children of an array or object; the next of the same parent
}

type kind uint8

const (
	isNull kind = iota
	isTrue
	isFalse
	isNumber
	isString
	isArray
	isObject
)

// get returns the value of a key of an object, nil if there is none.
func (n *node) get(key string) *node {
	if n == nil || n.kind != isObject {
		return nil
	}
	for c := n.first; c != nil; c = c.next {
		if string(c.key) == key {
			return c
		}
	}
	return nil
}

// str returns the text of a string or number, "" for all else.
func (n *node) str() string {
	if n == nil || n.kind != isString && n.kind != isNumber {
		return ""
	}
	return string(n.text)
}

// is reports whether n is a string or number of that text.
func (n *node) is(s string) bool {
	return n != nil && (n.kind == isString || n.kind == isNumber) && string(n.text) == s
}

// only returns the one entry of an object that has no other, nil for all else.
func (n *node) only() *node {
	if n == nil || n.kind != isObject || n.first == nil || n.first.next != nil {
		return nil
	}
	return n.first
}

// items returns the first of the elements of an array, or n itself if it is
// none: nft prints a list of one as the one.
func (n *node) items() *node {
	if n == nil {
		return nil
	}
	if n.kind == isArray {
		return n.first
	}
	alone := *n
	alone.next = nil
	return &alone
}

// has reports whether a list, or what is printed instead of a list of one, has
// an element of that text.
func (n *node) has(s string) bool {
	for i := n.items(); i != nil; i = i.next {
		if i.is(s) {
			return true
		}
	}
	return false
}

// A reader reads JSON values one after the other.
type reader struct {
	data   []byte
	pos    int
	blocks [][]node
	block  int // in use, and how many of its nodes
	used   int
	size   int // of a block, 0 for smallBlock
}

const (
	smallBlock = 32  // for the nodes of one rule
	largeBlock = 256 // for a whole text
	maxDepth   = 100 // of values in values
)

var (
	errSyntax = errors.New("syntax error")
	errDepth  = errors.New("values nested too deep")
)

// forget makes room for new nodes: those that were read so far are gone.
func (r *reader) forget() { r.block, r.used = 0, 0 }

func (r *reader) node() *node {
	if r.block < len(r.blocks) && r.used == len(r.blocks[r.block]) {
		r.block, r.used = r.block+1, 0
	}
	if r.block == len(r.blocks) {
		r.blocks = append(r.blocks, make([]node, max(r.size, smallBlock)))
	}
	n := &r.blocks[r.block][r.used]
	r.used++
	*n = node{}
	return n
}

// space skips white space and returns the byte after it, 0 at the end.
func (r *reader) space() byte {
	for ; r.pos < len(r.data); r.pos++ {
		switch c := r.data[r.pos]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// expect takes one byte of punctuation.
func (r *reader) expect(c byte) error {
	got := r.space()
	if got != c {
		return r.wrong()
	}
	r.pos++
	return nil
}

func (r *reader) wrong() error {
	if r.pos >= len(r.data) {
		return io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w at %q", errSyntax, r.data[r.pos])
}

// value reads one value.
func (r *reader) value(depth int) (*node, error) {
	if depth > maxDepth {
		return nil, errDepth
	}
	n := r.node()
	switch c := r.space(); {
	case c == '{':
		n.kind = isObject
		return n, r.list(n, '}', depth)
	case c == '[':
		n.kind = isArray
		return n, r.list(n, ']', depth)
	case c == '"':
		n.kind = isString
		text, err := r.quoted()
		n.text = text
		return n, err
	case c == '-' || '0' <= c && c <= '9':
		n.kind = isNumber
		start := r.pos
		for r.pos < len(r.data) && numeric(r.data[r.pos]) {
			r.pos++
		}
		n.text = r.data[start:r.pos]
		return n, nil
	}
	return n, r.word(n)
}

func numeric(c byte) bool {
	return '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'
}

// word reads null, true or false.
func (r *reader) word(n *node) error {
	for _, w := range []struct {
		text string
		kind kind
	}{{"null", isNull}, {"true", isTrue}, {"false", isFalse}} {
		if end := r.pos + len(w.text); end <= len(r.data) && string(r.data[r.pos:end]) == w.text {
			r.pos, n.kind = end, w.kind
			return nil
		}
	}
	return r.wrong()
}

// list reads the entries of an array or object up to its end.
func (r *reader) list(n *node, end byte, depth int) error {
	r.pos++
	last := &n.first
	for c := r.space(); c != end; c = r.space() {
		if n.first != nil {
			if err := r.expect(','); err != nil {
				return err
			}
		}
		child, err := r.entry(end == '}', depth+1)
		if err != nil {
			return err
		}
		*last, last = child, &child.next
	}
	r.pos++
	return nil
}

// entry reads one entry of an array, or of an object with its key.
func (r *reader) entry(keyed bool, depth int) (*node, error) {
	if !keyed {
		return r.value(depth)
	}
	if r.space() != '"' {
		return nil, r.wrong()
	}
	key, err := r.quoted()
	if err != nil {
		return nil, err
	}
	if err = r.expect(':'); err != nil {
		return nil, err
	}
	n, err := r.value(depth)
	if n != nil {
		n.key = key
	}
	return n, err
}

// quoted reads a string.
func (r *reader) quoted() ([]byte, error) {
	start := r.pos
	escaped := false
	for r.pos++; r.pos < len(r.data); r.pos++ {
		switch r.data[r.pos] {
		case '\\':
			escaped = true
			r.pos++
		case '"':
			r.pos++
			if !escaped {
				return r.data[start+1 : r.pos-1], nil
			}
			var s string
			err := json.Unmarshal(r.data[start:r.pos], &s)
			return []byte(s), err
		}
	}
	r.pos = len(r.data)
	return nil, io.ErrUnexpectedEOF
}
