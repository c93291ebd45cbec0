package kuberules

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// ReadNFTables reads what kube-proxy in the mode nftables has written into the
// output of "nft -j list ruleset": its table of one family, ip or ip6. It
// reports false if there is no such table.
//
// Source: kubernetes pkg/proxy/nftables/proxier.go, setupNFTables and
// syncProxyRules.
func ReadNFTables(data []byte, family string) (*Family, bool) {
	t := readTable(data, family)
	if !t.exists {
		return nil, false
	}
	r := &chainReader{chains: flat(t.chains), text: NFT, out: &Family{Entries: map[Frontend]*Entry{}, Cut: t.cut}}
	for _, m := range t.maps {
		nodePort := strings.HasSuffix(m.Name, "nodeports")
		if nodePort && t.used["@"+m.Name] {
			r.out.NodePorts = true
		}
		for _, raw := range m.Elem {
			var e nftElem
			if json.Unmarshal(raw, &e) != nil {
				continue
			}
			f, v, ok := e.read(nodePort)
			if ok && t.used["@"+m.Name] {
				t.element(r, f, v, m)
			}
		}
	}
	r.out.NodeAddrs = t.sets[t.nodeSet]
	for _, need := range []struct {
		hook, what, lacks string
		masq              bool
	}{
		{"prerouting", "@service-ips", "no chain of type nat at the hook prerouting comes to the map service-ips", false},
		{"output", "@service-ips", "no chain of type nat at the hook output comes to the map service-ips", false},
		{"postrouting", "masquerade", "no chain of type nat at the hook postrouting masquerades", true},
	} {
		if !t.reaches(need.hook, need.what) {
			r.out.Hooks = append(r.out.Hooks, Hook{What: need.lacks, Masq: need.masq, At: At{NFT, t.line}})
		}
	}
	if !t.marks {
		r.out.Hooks = append(r.out.Hooks, Hook{What: "the chain mark-for-masquerade marks nothing", Masq: true, At: At{NFT, t.line}})
	}
	return r.out, true
}

// flat returns the rules of chains as those of a table nat.
func flat(list map[string][]rule) *chains {
	c := &chains{nat: make(map[string]span, len(list))}
	for name, rules := range list {
		c.nat[name] = span{len(c.rules), len(c.rules) + len(rules)}
		c.rules = append(c.rules, rules...)
	}
	return c
}

// A nftTable is kube-proxy's table as the JSON has it.
type nftTable struct {
	exists  bool
	cut     bool
	marks   bool // what is to be masqueraded is marked
	line    int
	chains  map[string][]rule
	maps    []nftSet
	timeout map[string]int    // of the sets of affinity, by "@name"
	hooks   map[string]string // chain at a hook, of type nat
	lines   map[string]int    // of maps
	used    map[string]bool   // sets and maps that a rule names
	calls   map[string][]string
	guards  map[string][]netip.Prefix // sources that a chain firewall-... does not drop; a chain that drops nothing has none
	sets    map[string]*Addrs         // by "@name"
	nodeSet string                    // the one of addresses that have node ports, "" if there is none
}

type nftObject struct {
	Table, Chain *struct{ Family, Name, Table, Type, Hook string }
	Set, Map     *nftSet
	Rule         *struct {
		Family, Table, Chain string
		Expr                 []nftExpr
	}
}

type nftSet struct {
	Family, Table, Name string
	Timeout             int
	Elem                []json.RawMessage // of a map each is an nftElem
}

// An nftElem is one element: [key, verdict] of a map.
type nftElem []json.RawMessage

type nftTarget struct{ Target string }

type nftExpr struct {
	Match *struct {
		Op    string
		Left  json.RawMessage
		Right json.RawMessage
	}
	Jump, Goto *nftTarget
	VMap       *struct{ Data json.RawMessage }
	DNAT       *struct {
		Addr json.RawMessage
		Port json.RawMessage
	} `json:"dnat"`
	Set        *struct{ Op string }
	Mangle     json.RawMessage
	Masquerade json.RawMessage
}

// readTable reads the table of one family. Lines are counted to the end of an
// object: the bundle has one a line.
func readTable(data []byte, family string) *nftTable {
	t := &nftTable{chains: map[string][]rule{}, timeout: map[string]int{}, hooks: map[string]string{}, lines: map[string]int{}, used: map[string]bool{}, calls: map[string][]string{},
		guards: map[string][]netip.Prefix{}, sets: map[string]*Addrs{}}
	if !bytes.Contains(data, []byte(`"kube-proxy"`)) {
		return t
	}
	d := json.NewDecoder(bytes.NewReader(data))
	t.cut = true
	for range 3 { // {"nftables": [
		if _, err := d.Token(); err != nil {
			return t
		}
	}
	line, at, odd := 1, 0, false
	var rules []nftObject
	var lines []int
	for d.More() {
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return t
		}
		line += bytes.Count(data[at:d.InputOffset()], []byte("\n"))
		at = int(d.InputOffset())
		var o nftObject
		if !bytes.Contains(raw, []byte(`"kube-proxy"`)) {
			continue
		}
		if json.Unmarshal(raw, &o) != nil {
			odd = true
			continue
		}
		if o.Rule != nil && o.Rule.Table == "kube-proxy" && o.Rule.Family == family {
			rules, lines = append(rules, o), append(lines, line)
			continue
		}
		t.object(&o, family, line)
	}
	t.cut = odd
	for i := range rules {
		t.rule(rules[i].Rule.Chain, rules[i].Rule.Expr, lines[i])
	}
	return t
}

func (t *nftTable) object(o *nftObject, family string, line int) {
	ours := func(f, table string) bool { return f == family && table == "kube-proxy" }
	switch {
	case o.Table != nil && ours(o.Table.Family, o.Table.Name):
		t.exists, t.line = true, line
	case o.Chain != nil && ours(o.Chain.Family, o.Chain.Table) && o.Chain.Type == "nat":
		t.hooks[o.Chain.Hook] = o.Chain.Name
	case o.Set != nil && ours(o.Set.Family, o.Set.Table):
		t.timeout["@"+o.Set.Name] = o.Set.Timeout
		if o.Set.Name == "nodeport-ips" {
			t.sets["@"+o.Set.Name] = &Addrs{Name: o.Set.Name, Has: addresses(o.Set.Elem), At: At{NFT, line}}
		}
	case o.Map != nil && ours(o.Map.Family, o.Map.Table):
		t.maps = append(t.maps, *o.Map)
		t.lines[o.Map.Name] = line
	}
}

// rule notes a rule as one of iptables that does the same.
func (t *nftTable) rule(chain string, exprs []nftExpr, line int) {
	r := rule{line: line}
	for i := range exprs {
		x := &exprs[i]
		switch {
		case x.Match != nil:
			t.match(&r, chain, x)
		case x.Jump != nil:
			r.to = kubeName(x.Jump.Target)
		case x.Goto != nil:
			r.to = kubeName(x.Goto.Target)
		case x.DNAT != nil:
			r.to, r.nat = "DNAT", destination(x.DNAT.Addr, x.DNAT.Port)
		case x.Mangle != nil && chain == "mark-for-masquerade":
			t.marks = true
		case x.Masquerade != nil:
			t.calls[chain] = append(t.calls[chain], "masquerade")
		case x.Set != nil:
			t.chains[chain] = append(t.chains[chain], rule{line: line, remembers: true})
			return
		case x.VMap != nil:
			t.verdicts(chain, r, x.VMap.Data)
			return
		}
	}
	if r.to != "" {
		r.remembers = slices.ContainsFunc(t.chains[chain], func(before rule) bool { return before.remembers })
		t.chains[chain] = append(t.chains[chain], r)
		t.calls[chain] = append(t.calls[chain], r.to)
	}
}

// kubeName returns the name that package kuberules has for a chain.
func kubeName(chain string) string {
	if chain == "mark-for-masquerade" {
		return masqChain
	}
	return chain
}

// verdicts notes a verdict map: a named one, or one rule for each element.
func (t *nftTable) verdicts(chain string, r rule, data json.RawMessage) {
	var named string
	if json.Unmarshal(data, &named) == nil {
		t.used[named] = true
		t.calls[chain] = append(t.calls[chain], named)
		return
	}
	var anonymous struct{ Set []nftElem }
	if json.Unmarshal(data, &anonymous) != nil {
		return
	}
	for _, e := range anonymous.Set {
		var v struct{ Goto, Jump *nftTarget }
		if len(e) < 2 || json.Unmarshal(e[1], &v) != nil {
			continue
		}
		if v.Goto == nil {
			v.Goto = v.Jump
		}
		if v.Goto != nil {
			r.to, r.asks = v.Goto.Target, true // a share of the packets
			t.chains[chain] = append(t.chains[chain], r)
		}
	}
}

// match notes what a rule of a chain asks for.
func (t *nftTable) match(r *rule, chain string, x *nftExpr) {
	var left struct {
		Payload struct{ Field string }
		Meta    struct{ Key string }
		Fib     struct{ Flags json.RawMessage }
	}
	if json.Unmarshal(x.Match.Left, &left) != nil {
		return
	}
	not := x.Match.Op == "!="
	switch {
	case left.Payload.Field == "daddr" && !not:
		t.destination(x.Match.Right)
	case left.Payload.Field == "saddr" && not && strings.HasPrefix(chain, "firewall-"):
		t.guards[chain] = append(t.guards[chain], prefixesOf(x.Match.Right)...)
	case left.Payload.Field == "saddr":
		var set string
		if json.Unmarshal(x.Match.Right, &set) == nil && strings.HasPrefix(set, "@") {
			r.affine = max(t.timeout[set], 1)
			return
		}
		r.src, r.notSrc = prefixOf(x.Match.Right), not
	case left.Meta.Key == "iifname":
		r.device = true
	case bytes.Contains(left.Fib.Flags, []byte("saddr")):
		r.srcLocal, r.notLoc = !not, not
	}
}

// destination notes that a rule asks for the addresses that have node ports.
func (t *nftTable) destination(right json.RawMessage) {
	var set string
	if json.Unmarshal(right, &set) == nil && t.sets[set] != nil {
		t.nodeSet = set
	}
}

// addresses reads the elements of a set of addresses.
func addresses(elems []json.RawMessage) map[netip.Addr]bool {
	has := make(map[netip.Addr]bool, len(elems))
	for _, e := range elems {
		if p := prefixOf(e); p.IsSingleIP() {
			has[p.Addr()] = true
		}
	}
	return has
}

// prefixesOf reads what prefixOf does, or {"set": [...]} of such.
func prefixesOf(raw json.RawMessage) (out []netip.Prefix) {
	var many struct{ Set []json.RawMessage }
	if json.Unmarshal(raw, &many) != nil || many.Set == nil {
		many.Set = []json.RawMessage{raw}
	}
	for _, one := range many.Set {
		if p := prefixOf(one); p.IsValid() {
			out = append(out, p)
		}
	}
	return out
}

// prefixOf reads "10.0.0.1" or {"prefix": {"addr": "10.0.0.0", "len": 8}}.
func prefixOf(raw json.RawMessage) netip.Prefix {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return prefix(text)
	}
	var p struct {
		Prefix struct {
			Addr string
			Len  int
		}
	}
	if json.Unmarshal(raw, &p) != nil {
		return netip.Prefix{}
	}
	a, _ := netip.ParseAddr(p.Prefix.Addr)
	return netip.PrefixFrom(a, p.Prefix.Len)
}

func destination(addr, port json.RawMessage) netip.AddrPort {
	var text string
	var n uint16
	if json.Unmarshal(addr, &text) != nil || json.Unmarshal(port, &n) != nil {
		return netip.AddrPort{}
	}
	a, _ := netip.ParseAddr(text)
	return netip.AddrPortFrom(a, n)
}

// read returns what an element of a map of kube-proxy is for, and its verdict:
// the chain that it goes to, or "drop".
func (e nftElem) read(nodePort bool) (f Frontend, verdict string, ok bool) {
	if len(e) < 2 {
		return f, "", false
	}
	type concat struct{ Concat []any }
	var key struct {
		concat
		Elem struct{ Val concat }
	}
	var v map[string]*nftTarget
	if json.Unmarshal(e[0], &key) != nil || json.Unmarshal(e[1], &v) != nil {
		return f, "", false
	}
	parts := key.Concat
	if parts == nil {
		parts = key.Elem.Val.Concat
	}
	if !nodePort && len(parts) > 0 {
		text, _ := parts[0].(string)
		f.Addr, _ = netip.ParseAddr(text)
		parts = parts[1:]
	}
	if len(parts) != 2 {
		return f, "", false
	}
	proto, _ := parts[0].(string)
	port, _ := parts[1].(float64)
	f.Protocol, f.Port = model.Protocol(proto), uint16(port)
	for name, to := range v {
		if verdict = name; to != nil {
			verdict = to.Target
		}
	}
	return f, verdict, true
}

// element notes an element of a map.
func (t *nftTable) element(r *chainReader, f Frontend, verdict string, m nftSet) {
	at := At{NFT, t.lines[m.Name]}
	switch {
	case strings.HasPrefix(m.Name, "service-"):
		e := r.out.entry(f)
		e.At = at
		r.begin(verdict, e)
	case strings.HasPrefix(m.Name, "firewall-"):
		e := r.out.entry(f)
		e.Ranges, e.Guarded = t.guards[verdict]
		e.GuardAt = at
	case strings.HasPrefix(m.Name, "no-endpoint-"):
		e := r.out.entry(f)
		e.Refused, e.RefusedAt = Reject, at
		if verdict == "drop" {
			e.Refused = Drop
		}
	}
}

// reaches reports whether the chain of type nat at a hook comes to something:
// a verdict map, or masquerade.
func (t *nftTable) reaches(hook, what string) bool {
	todo, seen := []string{t.hooks[hook]}, map[string]bool{}
	for len(todo) > 0 {
		chain := todo[0]
		todo = todo[1:]
		if seen[chain] {
			continue
		}
		seen[chain] = true
		for _, to := range t.calls[chain] {
			if to == what {
				return true
			}
			todo = append(todo, to)
		}
	}
	return false
}
