package kuberules

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// A rule is one line of iptables-save, as far as kube-proxy's rules go.
type rule struct {
	line             int
	src, dst         netip.Prefix // zero if not asked for
	notSrc           bool
	proto            model.Protocol
	dport            uint16
	to               string // target or chain
	nat              netip.AddrPort
	srcLocal, notLoc bool // --src-type LOCAL, and its contrary
	dstLocal         bool
	device           bool // it asks for a device
	affine           int  // seconds of -m recent --rcheck
	remembers        bool // -m recent --set
	set              string
	asks             bool // for something else
}

// chains has the rules of the chains of the tables nat and filter.
type chains struct {
	rules       []rule
	nat, filter map[string]span // chains that are declared are there even without rules
}

// A span is where the rules of a chain are. iptables-save has them in one piece.
type span struct{ from, to int }

// of returns the rules of a chain of the table nat.
func (c *chains) of(name string) []rule { return c.in(c.nat, name) }

func (c *chains) in(table map[string]span, name string) []rule {
	s := table[name]
	return c.rules[s.from:s.to]
}

// readChains reads iptables-save output. A table that is not committed is cut
// off.
func readChains(data []byte) (c *chains, cut bool) {
	c = &chains{nat: map[string]span{}, filter: map[string]span{}, rules: make([]rule, 0, bytes.Count(data, []byte("\n-A ")))}
	tables := map[string]map[string]span{"nat": c.nat, "filter": c.filter}
	var table map[string]span
	last, n := "", 0
	var words [][]byte
	for line := range bytes.Lines(data) {
		n++
		switch line[0] {
		case '*':
			table, last, cut = tables[string(bytes.TrimSpace(line[1:]))], "", true
		case 'C':
			cut = false
		case ':':
			if name, _, ok := bytes.Cut(line[1:], []byte(" ")); ok && table != nil {
				table[string(name)] = span{}
			}
		case '-', '[':
			if table != nil {
				words = split(words[:0], line)
				last = c.add(table, last, n, words)
			}
		}
	}
	return c, cut
}

// add adds a rule, which may have counters in front, and returns its chain. The
// rule before it belongs to the chain last.
func (c *chains) add(table map[string]span, last string, line int, words [][]byte) string {
	if len(words) > 0 && words[0][0] == '[' {
		words = words[1:]
	}
	if len(words) < 2 || string(words[0]) != "-A" {
		return last
	}
	if string(words[1]) != last {
		last = string(words[1])
	}
	s := table[last]
	if s.to != len(c.rules) { // begins, or goes on after others
		from := len(c.rules)
		c.rules = append(c.rules, c.rules[s.from:s.to]...)
		s.from = from
	}
	c.rules = append(c.rules, readRule(line, words[2:]))
	s.to = len(c.rules)
	table[last] = s
	return last
}

// split cuts a line into words. Words in quotes are one, without the quotes.
func split(words [][]byte, line []byte) [][]byte {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c <= ' ':
			i++
		case c == '"':
			end := quoted(line, i+1)
			words = append(words, line[i+1:end])
			i = end + 1
		default:
			end := i
			for end < len(line) && line[end] > ' ' {
				end++
			}
			words = append(words, line[i:end])
			i = end
		}
	}
	return words
}

// quoted returns where the text in quotes that starts at i ends.
func quoted(line []byte, i int) int {
	for ; i < len(line); i++ {
		switch line[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(line)
}

// readRule reads the words of a rule behind its chain.
func readRule(line int, words [][]byte) rule {
	r := rule{line: line}
	not := false
	for len(words) > 0 {
		w := string(words[0])
		words = words[1:]
		if w == "!" {
			not = true
			continue
		}
		arg := ""
		if len(words) > 0 {
			arg = string(words[0])
		}
		if n := r.option(w, arg, not); n > 0 {
			words = words[min(n, len(words)):]
		}
		not = false
	}
	return r
}

// option notes one option and returns how many arguments it has.
func (r *rule) option(name, arg string, not bool) int {
	switch name {
	case "-s":
		r.src, r.notSrc = prefix(arg), not
	case "-d":
		r.dst = prefix(arg)
	case "-p":
		r.proto = model.Protocol(arg)
	case "--dport":
		r.dport = number(arg)
	case "-j", "-g":
		r.to = arg
	case "--to-destination":
		r.nat, _ = netip.ParseAddrPort(arg)
	case "--src-type":
		r.srcLocal, r.notLoc = !not, not
	case "--dst-type":
		r.dstLocal = !not
	case "-i", "--physdev-in", "--physdev-is-in":
		r.device = true
		if name == "--physdev-is-in" {
			return 0
		}
	default:
		return r.rareOption(name, arg)
	}
	return 1
}

func (r *rule) rareOption(name, arg string) int {
	switch name {
	case "--rcheck":
		r.affine = max(r.affine, 1)
		return 0
	case "--seconds":
		r.affine, _ = strconv.Atoi(arg)
	case "--set":
		r.remembers = true
		return 0
	case "--match-set":
		r.set = arg
		return 2
	case "--mode", "--probability", "--every", "--mark":
		r.asks = true
	case "-m", "--comment", "--name", "--mask":
	case "--reap", "--rsource", "--random-fully", "--set-xmark", "--reject-with", "--nfacct-name":
		return 0
	default:
		r.asks = r.asks || strings.HasPrefix(name, "--") // arguments that follow are no options
		return 0
	}
	return 1
}

// always reports whether r takes every packet that comes to it.
func (r *rule) always() bool {
	return !r.src.IsValid() && !r.dst.IsValid() && !r.srcLocal && !r.notLoc && !r.dstLocal && !r.device && r.affine == 0 && r.set == "" && !r.asks && r.dport == 0
}

func prefix(text string) netip.Prefix {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}
		}
		return netip.PrefixFrom(a, a.BitLen())
	}
	p, _ := netip.ParsePrefix(text)
	return p
}

func number(text string) uint16 {
	n, _ := strconv.ParseUint(text, 10, 16)
	return uint16(n)
}
