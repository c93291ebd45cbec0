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
	setDirs          string
	mark             bool // it asks for a mark
}

// chains has the rules of KUBE-* chains and the base chains, by "table/chain".
type chains map[string][]rule

// readChains reads iptables-save output. Chains that it declares are there even
// without rules. A table that is not committed is cut off.
func readChains(data []byte) (out chains, cut bool) {
	out = chains{}
	table, n := "", 0
	var words [][]byte
	for line := range bytes.Lines(data) {
		n++
		if len(line) < 3 {
			continue
		}
		switch line[0] {
		case '*':
			table, cut = string(bytes.TrimSpace(line[1:])), true
		case 'C':
			cut = false
		case ':':
			if name, _, ok := bytes.Cut(line[1:], []byte(" ")); ok && table != "" {
				out[table+"/"+string(name)] = nil
			}
		case '-', '[':
			words = split(words[:0], line)
			out.add(table, n, words)
		}
	}
	return out, cut
}

// add adds a rule, which may have counters in front.
func (c chains) add(table string, line int, words [][]byte) {
	if len(words) > 0 && words[0][0] == '[' {
		words = words[1:]
	}
	if len(words) < 2 || string(words[0]) != "-A" {
		return
	}
	name := table + "/" + string(words[1])
	c[name] = append(c[name], readRule(line, words[2:]))
}

// split cuts a line into words. Words in quotes are one, without the quotes.
func split(words [][]byte, line []byte) [][]byte {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
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
		if w == "--match-set" && len(words) > 0 {
			r.setDirs = string(words[0])
			words = words[1:]
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
	case "--mark":
		r.mark = true
	case "-m", "--comment", "--name", "--mask", "--mode", "--probability":
	default:
		return 0 // arguments that follow are no options
	}
	return 1
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
