package ipset

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

var (
	errWords  = errors.New("words missing")
	errTwice  = errors.New("set created twice")
	errNoSet  = errors.New("set not created")
	errType   = errors.New("unknown set type")
	errParts  = errors.New("wrong number of parts")
	errValue  = errors.New("unknown value")
	errMember = errors.New("list in a list")
)

// Parse reads the text of "ipset save". It always returns usable Sets; each
// line that could not be read is one [netfilter.UnsupportedError], and its set
// answers Maybe where it would say No.
func Parse(part nodedump.Part) (*Sets, []error) {
	p := &parser{sets: &Sets{part: part, sets: map[string]*set{}}, types: byName(kinds())}
	p.sets.part.Data = nil
	line := 0
	for text := range strings.SplitSeq(netfilter.Text(part.Data), "\n") {
		line++
		if err := p.read(strings.TrimSpace(text), line); err != nil {
			p.errs = append(p.errs, &netfilter.UnsupportedError{File: part.File, Line: line, What: fmt.Sprintf("ipset line: %v: %s", err, strings.TrimSpace(text))})
		}
	}
	for _, name := range p.sets.names {
		p.sets.sets[name].finish()
	}
	return p.sets, p.errs
}

type parser struct {
	sets  *Sets
	types map[string]kind
	errs  []error
	last  *set // of the line before
	words []string
}

func (p *parser) read(text string, line int) error {
	if text == "" || text[0] == '#' || text == "COMMIT" {
		return nil
	}
	p.words = words(p.words[:0], text)
	switch w := p.words; {
	case len(w) < 3:
		return errWords
	case w[0] == "create" || w[0] == "-N" || w[0] == "n":
		return p.create(w[1], w[2], w[3:], line)
	case w[0] == "add" || w[0] == "-A" || w[0] == "a":
		return p.add(w[1], w[2], w[3:])
	}
	return errValue
}

// words splits text at blanks; double quotes hold a word together.
func words(list []string, text string) []string {
	for i := 0; i < len(text); {
		switch text[i] {
		case ' ', '\t':
			i++
		case '"':
			end := strings.IndexByte(text[i+1:], '"')
			if end < 0 {
				end = len(text) - i - 1
			}
			list = append(list, text[i+1:i+1+end])
			i += end + 2
		default:
			end := strings.IndexAny(text[i:], " \t")
			if end < 0 {
				end = len(text) - i
			}
			list = append(list, text[i:i+end])
			i += end
		}
	}
	return list
}

func (p *parser) create(name, typ string, options []string, line int) error {
	if _, ok := p.sets.sets[name]; ok {
		return errTwice
	}
	s := &set{name: name, line: line, mark: 0xffffffff, list: typ == "list:set", bitmap: strings.HasPrefix(typ, "bitmap:")}
	p.sets.sets[s.name], p.last = s, s
	p.sets.names = append(p.sets.names, s.name)
	if s.dims = p.types[typ].dims; s.dims == nil && !s.list {
		s.faulty = true
		return fmt.Errorf("%w %s", errType, typ)
	}
	if slices.Contains(s.dims, dimIface) {
		s.ifaces = map[key][]ifaceEntry{}
	} else {
		s.entries = map[key]entry{}
	}
	if err := s.options(options); err != nil {
		s.faulty = true
		return err
	}
	return nil
}

// options reads what follows the type of a set. What does not change who is a
// member is skipped.
func (s *set) options(words []string) error {
	for i := 0; i < len(words); i++ {
		arg := ""
		if i+1 < len(words) {
			arg = words[i+1]
		}
		var err error
		switch words[i] {
		case "family":
			s.ipv6 = arg == "inet6"
		case "netmask":
			err = s.netmask(arg)
		case "bitmask":
			var m netip.Addr
			if m, err = netip.ParseAddr(arg); err == nil {
				s.mask = netfilter.WideMask(m)
			}
		case "markmask":
			var n uint64
			n, err = strconv.ParseUint(arg, 0, 32)
			s.mark = uint32(n)
		case "range", "hashsize", "maxelem", "bucketsize", "initval", "timeout", "size", "probes", "resize", "gc", "protocol":
		case "counters":
			s.counts = true
			continue
		case "comment", "skbinfo", "forceadd", "noexpire":
			continue
		default:
			return fmt.Errorf("%w: %s", errValue, words[i])
		}
		if err != nil {
			return err
		}
		i++
	}
	return nil
}

func (s *set) netmask(arg string) error {
	n, err := strconv.ParseUint(arg, 10, 8)
	size := 32
	if s.ipv6 {
		size = 128
	}
	if err != nil || int(n) > size {
		return fmt.Errorf("%w: netmask %s", errValue, arg)
	}
	ones := netKey{bits: uint8(size)}
	for i := range ones.bytes {
		ones.bytes[i] = 0xff
	}
	m := ones.cut(int(n)).bytes
	s.mask = &m
	return nil
}

func (p *parser) add(name, element string, options []string) error {
	s := p.last
	if s == nil || s.name != name {
		if s = p.sets.sets[name]; s == nil {
			return errNoSet
		}
		p.last = s
	}
	err := error(nil)
	switch {
	case s.list:
		err = p.addMember(s, element, options)
	case s.dims == nil:
		return nil // said once, of its creation
	default:
		err = s.add(element, options)
	}
	s.faulty = s.faulty || err != nil
	return err
}

// addMember adds a set to a list. A list has no lists in it.
func (p *parser) addMember(s *set, element string, options []string) error {
	m := p.sets.sets[element]
	if m == nil {
		return errNoSet
	}
	if m.list {
		return errMember
	}
	at := len(s.members)
	for i := 0; i+1 < len(options); i++ {
		if options[i] == "before" || options[i] == "after" {
			at = slices.IndexFunc(s.members, func(o *set) bool { return o.name == options[i+1] })
			if at < 0 {
				return errNoSet
			}
			if options[i] == "after" {
				at++
			}
		}
	}
	s.members = slices.Insert(s.members, at, m)
	return nil
}

func (s *set) finish() {
	for i := range s.lengths {
		slices.SortFunc(s.lengths[i], func(a, b int) int { return b - a })
	}
}
