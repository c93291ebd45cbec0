package aliyun

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot"
)

// A parser reads the documents of one file and knows the lines of the objects
// in their lists.
type parser struct {
	name string
	d    *snapshot.LineDecoder
}

func (p *parser) here() Place { return Place{p.name, p.d.Position()} }

// document reads one response.
func (p *parser) document() (*document, error) {
	d := &document{Place: p.here(), members: map[string]json.RawMessage{}, lists: map[string][]element{}}
	t, err := p.d.Token()
	if err != nil {
		return nil, err
	}
	if t != json.Delim('{') {
		return nil, fmt.Errorf("%w: expected an object, not %v", ErrUnknown, t)
	}
	return d, p.members(func(key string) error {
		inner, isList := lists()[key]
		if !isList {
			var raw json.RawMessage
			err := p.d.Decode(&raw)
			d.members[key] = raw
			return err
		}
		read := p.elements
		if inner != "" {
			read = func() ([]element, error) { return p.list(inner) }
		}
		elements, err := read()
		d.lists[key] = elements
		return err
	})
}

// members calls member behind each key of an object that is open, whose value
// it must read.
func (p *parser) members(member func(key string) error) error {
	for p.d.More() {
		t, err := p.d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("%v is no key", t)
		}
		if err := member(key); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	_, err := p.d.Token()
	return err
}

// list reads {"inner": [...]}, or null.
func (p *parser) list(inner string) (elements []element, err error) {
	t, err := p.d.Token()
	switch {
	case err != nil || t == nil:
		return nil, err
	case t != json.Delim('{'):
		return nil, errors.New(`expected an object with "` + inner + `"`)
	}
	return elements, p.members(func(key string) error {
		if key != inner {
			var skip json.RawMessage
			return p.d.Decode(&skip)
		}
		elements, err = p.elements()
		return err
	})
}

// elements reads an array, or null.
func (p *parser) elements() (elements []element, err error) {
	t, err := p.d.Token()
	switch {
	case err != nil || t == nil:
		return nil, err
	case t != json.Delim('['):
		return nil, errors.New("expected an array")
	}
	for p.d.More() {
		e := element{Place: p.here()}
		if err := p.d.Decode(&e.raw); err != nil {
			return nil, err
		}
		elements = append(elements, e)
	}
	_, err = p.d.Token()
	return elements, err
}
