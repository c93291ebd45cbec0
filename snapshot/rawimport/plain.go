package rawimport

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// What ip and bridge print without -j is read word by word into the entries of
// their JSON: only the words that these have are known, others are passed over.

// plain calls read for each line that is not blank and does not begin with a
// blank, with the lines below it that do.
func plain[R, T any](data []byte, read func(head string, below []string) (*R, error), convert func(*R, int) (T, error)) (out []T, bads []bad) {
	add := func(block []string, line int) {
		r, err := read(block[0], block[1:])
		var v T
		if err == nil {
			v, err = convert(r, line)
		}
		if err != nil {
			bads = append(bads, bad{line, err})
			return
		}
		out = append(out, v)
	}
	var block []string
	n, first := 0, 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), " \t\r\n")
		switch {
		case text == "":
		case (text[0] == ' ' || text[0] == '\t') && block != nil:
			block = append(block, text)
		default:
			if block != nil {
				add(block, first)
			}
			block, first = []string{text}, n
		}
	}
	if block != nil {
		add(block, first)
	}
	return out, bads
}

// A words reads a line word by word.
type words struct {
	list []string
	err  error
}

func wordsOf(line string) *words { return &words{list: strings.Fields(line)} }

// next returns the next word, "" at the end.
func (w *words) next() string {
	if len(w.list) == 0 {
		return ""
	}
	word := w.list[0]
	w.list = w.list[1:]
	return word
}

// value returns the word behind key, and remembers that there is none.
func (w *words) value(key string) string {
	if len(w.list) == 0 && w.err == nil {
		w.err = fmt.Errorf("nothing behind %q", key)
	}
	return w.next()
}

func (w *words) number(key string) number {
	text := w.value(key)
	n, err := strconv.ParseInt(text, 0, 64)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("%s %q is no number", key, text)
	}
	return number(n)
}

// take reads the value behind a word that one of the tables has.
func (w *words) take(key string, texts map[string]*string, names map[string]*word, numbers map[string]*number) bool {
	if to, ok := texts[key]; ok {
		*to = w.value(key)
		return true
	}
	if to, ok := names[key]; ok {
		*to = word(w.value(key))
		return true
	}
	to, ok := numbers[key]
	if ok {
		*to = w.number(key)
	}
	return ok
}

// via reads the next hop: "via ADDRESS", or "via inet6 ADDRESS" for another
// family.
func (w *words) via() (string, rawVia) {
	a := w.value("via")
	if a == "inet" || a == "inet6" {
		return "", rawVia{w.value("via")}
	}
	return a, rawVia{}
}

// routeTypes are the words that may stand before the destination.
func routeTypes() []string {
	return []string{"unicast", "local", "broadcast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "anycast"}
}

// routesOfText reads "ip route", of any table.
func routesOfText(data []byte, convert func(*rawRoute, int) (nodedump.Route, error)) ([]nodedump.Route, []bad, error) {
	out, bads := plain(data, func(head string, below []string) (*rawRoute, error) {
		w := wordsOf(head)
		r := &rawRoute{Dst: w.next()}
		if slices.Contains(routeTypes(), r.Dst) {
			r.Type, r.Dst = r.Dst, w.value(r.Dst)
		}
		for len(w.list) > 0 {
			r.word(w, w.next())
		}
		for _, line := range below {
			h := wordsOf(line)
			if h.next() == "nexthop" {
				r.NextHops = append(r.NextHops, hopOf(h))
			}
			w.err = errors.Join(w.err, h.err)
		}
		return r, w.err
	}, convert)
	return out, bads, nil
}

// word reads what belongs to one word of a route.
func (r *rawRoute) word(w *words, key string) {
	texts := map[string]*string{"from": &r.From, "dev": &r.Dev, "src": &r.Src, "encap": &r.Encap}
	names := map[string]*word{"table": &r.Table, "proto": &r.Protocol, "scope": &r.Scope, "pref": &r.Pref}
	numbers := map[string]*number{"metric": &r.Metric, "tos": &r.TOS, "nhid": &r.NHID}
	if w.take(key, texts, names, numbers) {
		return
	}
	switch key {
	case "via":
		r.Gateway, r.Via = w.via()
	case "hoplimit":
		r.Metrics = append(r.Metrics, rawMetrics{HopLimit: w.number(key)})
	case "mtu":
		r.mtu(w)
	case "onlink", "linkdown", "dead", "pervasive", "offload", "trap":
		r.Flags = append(r.Flags, key)
	case "nexthop":
		r.NextHops = append(r.NextHops, hopOf(w))
	}
}

// mtu reads "mtu 1400" and "mtu lock 1400".
func (r *rawRoute) mtu(w *words) {
	if len(w.list) > 0 && w.list[0] == "lock" {
		w.next()
	}
	r.Metrics = append(r.Metrics, rawMetrics{MTU: w.number("mtu")})
}

// hopOf reads the rest of "nexthop via ADDRESS dev NAME weight N".
func hopOf(w *words) (h rawNextHop) {
	for len(w.list) > 0 {
		switch key := w.next(); key {
		case "via":
			h.Gateway, h.Via = w.via()
		case "dev":
			h.Dev = w.value(key)
		case "weight":
			h.Weight = w.number(key)
		case "encap":
			h.Encap = w.value(key)
		case "onlink", "linkdown", "dead", "offload", "trap":
			h.Flags = append(h.Flags, key)
		}
	}
	return h
}

// neighboursOfText reads "ip neigh".
func neighboursOfText(data []byte, convert func(*rawNeighbour, int) (nodedump.Neighbour, error)) ([]nodedump.Neighbour, []bad, error) {
	out, bads := plain(data, func(head string, _ []string) (*rawNeighbour, error) {
		w := wordsOf(head)
		n := &rawNeighbour{Dst: w.next()}
		for len(w.list) > 0 {
			switch key := w.next(); key {
			case "dev":
				n.Dev = w.value(key)
			case "lladdr":
				n.LLAddr = w.value(key)
			case "proxy":
				n.Proxy = true
			default:
				if key == strings.ToUpper(key) {
					n.State = append(n.State, key)
				}
			}
		}
		return n, w.err
	}, convert)
	return out, bads, nil
}

// fdbOfText reads "bridge fdb".
func fdbOfText(data []byte, convert func(*rawFDB, int) (nodedump.FDBEntry, error)) ([]nodedump.FDBEntry, []bad, error) {
	out, bads := plain(data, func(head string, _ []string) (*rawFDB, error) {
		w := wordsOf(head)
		f := &rawFDB{MAC: w.next()}
		for len(w.list) > 0 {
			f.word(w, w.next())
		}
		return f, w.err
	}, convert)
	return out, bads, nil
}

func (f *rawFDB) word(w *words, key string) {
	switch key {
	case "dev":
		f.Name = w.value(key)
	case "master":
		f.Master = w.value(key)
	case "vlan":
		f.VLAN = w.number(key)
	case "dst":
		f.Dst = w.value(key)
	case "port":
		f.Port = w.number(key)
	case "vni":
		f.VNI = w.number(key)
	case "via":
		f.Via = w.value(key)
	case "permanent", "static", "stale", "reachable":
		f.State = word(key)
	case "self", "extern_learn", "offload", "sticky", "router":
		f.Flags = append(f.Flags, key)
	}
}
