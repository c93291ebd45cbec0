package nftables

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// text prints a rule about as "nft list ruleset" does. It is read again from its
// JSON, so that rules cost no memory for it.
func (r *Ruleset) text(x *rule) string { return r.printed(x, func(string) bool { return true }) }

// printed prints those statements of a rule that are wanted.
func (r *Ruleset) printed(x *rule, wanted func(statement string) bool) string {
	if int(x.off)+int(x.size) > len(r.data) {
		return ""
	}
	rd := reader{data: r.data[x.off : x.off+x.size]}
	n, err := rd.value(0)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for s := n.get("rule").get("expr").items(); s != nil; s = s.next {
		name := s.str()
		if only := s.only(); only != nil {
			name = string(only.key)
		}
		if !wanted(name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(printStmt(s))
	}
	return b.String()
}

// printStmt prints a statement.
func printStmt(n *node) string {
	only := n.only()
	if only == nil {
		return n.str()
	}
	switch name := string(only.key); name {
	case "match":
		return printMatch(only)
	case "vmap":
		return printExpr(only.get("key")) + " vmap " + printSet(only.get("data"))
	case "jump", "goto":
		return name + " " + only.get("target").str()
	case "mangle":
		return printExpr(only.get("key")) + " set " + printValue(only.get("value"), only.get("key"))
	case "dnat", "snat", "masquerade", "redirect", "tproxy":
		return printNAT(name, only)
	case "set", "map":
		return printLearn(name, only)
	default:
		return printMore(name, only)
	}
}

func printLearn(name string, n *node) string {
	text := fmt.Sprintf("%s %s { %s", n.get("op").str(), n.get(name).str(), printExpr(n.get("elem")))
	if d := n.get("data"); d != nil {
		text += " : " + printExpr(d)
	}
	return text + " }"
}

func printMore(name string, n *node) string {
	switch name {
	case "reject":
		return printReject(n)
	case "limit":
		return printLimit(n)
	case "queue":
		return printQueue(n)
	case "xt":
		return "xt " + n.get("type").str() + " " + strconv.Quote(n.get("name").str())
	case "counter":
		return printCounter(n)
	}
	return printOther(name, n)
}

// printOther prints a statement of one argument, or of none.
func printOther(name string, n *node) string {
	switch {
	case name == "log" && n.get("prefix") != nil:
		return "log prefix " + strconv.Quote(n.get("prefix").str())
	case name == "flow":
		return "flow add " + n.get("flowtable").str()
	case name == "dup" && n.get("addr") != nil:
		return "dup to " + printExpr(n.get("addr"))
	case name == "ct count":
		text := "ct count "
		if n.get("inv") != nil {
			text += "over "
		}
		return text + n.get("val").str()
	case name == "quota" && n.get("val") != nil:
		return "quota " + n.get("val").str() + " " + n.get("val_unit").str()
	case n.kind == isString:
		return name + " " + strconv.Quote(n.str())
	}
	return name
}

func printCounter(n *node) string {
	switch {
	case n.kind == isString:
		return "counter name " + strconv.Quote(n.str())
	case n.get("map") != nil:
		return "counter name " + printMap(n.get("map"))
	case n.get("packets") != nil:
		return "counter packets " + n.get("packets").str() + " bytes " + n.get("bytes").str()
	}
	return "counter"
}

func printQueue(n *node) string {
	text := "queue"
	if f := n.get("flags"); f != nil {
		text += " flags " + printList(f)
	}
	if num := n.get("num"); num != nil {
		text += " to " + printExpr(num)
	}
	return text
}

func printLimit(n *node) string {
	if n.kind == isString {
		return "limit name " + strconv.Quote(n.str())
	}
	text := "limit rate "
	if inv := n.get("inv"); inv != nil && inv.kind == isTrue {
		text += "over "
	}
	text += n.get("rate").str()
	if unit := n.get("rate_unit").str(); unit != "" && unit != "packets" {
		text += " " + unit
	}
	text += "/" + n.get("per").str()
	if burst := n.get("burst").str(); burst != "" && burst != "0" {
		unit := n.get("burst_unit").str()
		if unit == "" {
			unit = "packets"
		}
		text += " burst " + burst + " " + unit
	}
	return text
}

func printReject(n *node) string {
	switch typ := n.get("type").str(); {
	case typ == "tcp reset":
		return "reject with tcp reset"
	case typ != "":
		return "reject with " + typ + " " + n.get("expr").str()
	}
	return "reject"
}

func printNAT(name string, n *node) string {
	text := name
	if f := n.get("family").str(); f != "" {
		text += " " + f
	}
	if n.get("type_flags").has("prefix") {
		text += " prefix"
	}
	addr, port := n.get("addr"), n.get("port")
	if addr != nil || port != nil {
		text += " to "
	}
	if addr != nil {
		a := printExpr(addr)
		if port != nil && strings.Contains(a, ":") && addr.kind == isString {
			a = "[" + a + "]"
		}
		text += a
	}
	if port != nil {
		text += ":" + printExpr(port)
	}
	if f := n.get("flags"); f != nil && !f.is("netmap") {
		text += " " + printList(f)
	}
	return text
}

func printMatch(n *node) string {
	left, right, oper := n.get("left"), n.get("right"), n.get("op").str()
	text := printExpr(left)
	only := left.only()
	switch {
	case oper == "in", oper == "==" && (only == nil || !isBitwise(string(only.key))):
	default:
		text += " " + oper
	}
	if right != nil && (right.kind == isTrue || right.kind == isFalse) {
		word := map[kind]string{isTrue: "exists", isFalse: "missing"}[right.kind]
		return text + " " + word
	}
	return text + " " + printValue(right, left)
}

func isBitwise(key string) bool {
	switch key {
	case "&", "|", "^", "<<", ">>":
		return true
	}
	return false
}

// printValue prints a constant as values of an expression are printed.
func printValue(n, of *node) string {
	if n == nil {
		return ""
	}
	if isMark(of) && n.kind == isNumber {
		if v, err := strconv.ParseUint(n.str(), 10, 32); err == nil {
			return fmt.Sprintf("0x%08x", v)
		}
	}
	switch of.only().get("key").str() {
	case "iif", "oif", "iifname", "oifname", "helper", "ibrname", "obrname":
		if n.kind == isString && !strings.HasPrefix(n.str(), "@") {
			return strconv.Quote(n.str())
		}
	}
	if n.kind == isArray {
		return printList(n)
	}
	return printExpr(n)
}

// isMark reports whether an expression is a mark, or part of one.
func isMark(n *node) bool {
	only := n.only()
	if only != nil && isBitwise(string(only.key)) {
		only = only.first.only()
	}
	return only.get("key").is("mark")
}

func printList(n *node) string {
	var words []string
	for i := n.items(); i != nil; i = i.next {
		words = append(words, printExpr(i))
	}
	return strings.Join(words, ",")
}

// printSet prints a named set, or one that is written down.
func printSet(n *node) string {
	if n == nil || n.kind == isString {
		return n.str()
	}
	var words []string
	for e := n.get("set").items(); e != nil; e = e.next {
		if len(words) == 16 {
			words = append(words, "...")
			break
		}
		if e.kind == isArray && e.first != nil && e.first.next != nil {
			value := e.first.next
			text := printExpr(value)
			if o := value.only(); o != nil && !isExprKey(string(o.key)) {
				text = printStmt(value)
			}
			words = append(words, printExpr(e.first)+" : "+text)
			continue
		}
		words = append(words, printExpr(e))
	}
	return "{ " + strings.Join(words, ", ") + " }"
}

func isExprKey(key string) bool {
	switch key {
	case "concat", "prefix", "range", "elem", "payload", "meta", "ct", "set":
		return true
	}
	return isBitwise(key)
}

func printMap(n *node) string { return printExpr(n.get("key")) + " map " + printSet(n.get("data")) }

// printExpr prints an expression or a constant.
func printExpr(n *node) string {
	if n == nil {
		return ""
	}
	switch n.kind {
	case isString, isNumber:
		return n.str()
	case isArray:
		return "(" + strings.ReplaceAll(printList(n), ",", " | ") + ")"
	case isTrue:
		return "1"
	case isFalse:
		return "0"
	}
	only := n.only()
	if only == nil {
		return brief(n)
	}
	if only.key == nil || isBitwise(string(only.key)) {
		return printJoined(only, " "+string(only.key)+" ")
	}
	return printNamed(string(only.key), only, n)
}

// printNamed prints an expression by its name. Most are keys and fields.
func printNamed(name string, only, n *node) string {
	switch name {
	case "payload":
		return printPayload(only)
	case "meta":
		return printMeta(only.get("key").str())
	case "fib":
		return "fib " + strings.ReplaceAll(printList(only.get("flags")), ",", " . ") + " " + only.get("result").str()
	case "concat":
		return printJoined(only, " . ")
	case "range":
		return printJoined(only, "-")
	case "prefix":
		return only.get("addr").str() + "/" + only.get("len").str()
	case "elem":
		return printExpr(only.get("val"))
	case "set":
		return printSet(n)
	case "map":
		return printMap(only)
	}
	return printField(name, only)
}

func printPayload(n *node) string {
	if n.get("base") != nil && n.get("protocol") == nil {
		return fmt.Sprintf("@%s,%s,%s", n.get("base").str(), n.get("offset").str(), n.get("len").str())
	}
	return n.get("protocol").str() + " " + n.get("field").str()
}

func printField(name string, n *node) string {
	switch name {
	case "ct":
		return words("ct", n.get("dir").str(), n.get("key").str())
	case "rt", "socket":
		return words(name, n.get("key").str())
	case "numgen":
		return printChance(words("numgen", n.get("mode").str()), n)
	case "jhash":
		return printChance("jhash "+printExpr(n.get("expr")), n)
	case "symhash":
		return printChance("symhash", n)
	case "exthdr":
		if n.get("field") != nil {
			name = ""
		}
	}
	return words(name, n.get("name").str(), n.get("field").str())
}

func printChance(what string, n *node) string {
	text := what + " mod " + n.get("mod").str()
	if off := n.get("offset").str(); off != "" && off != "0" {
		text += " offset " + off
	}
	return text
}

func printMeta(key string) string {
	switch key {
	case "iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup":
		return key
	}
	return "meta " + key
}

func printJoined(n *node, sep string) string {
	var list []string
	for i := n.items(); i != nil; i = i.next {
		list = append(list, printExpr(i))
	}
	return strings.Join(list, sep)
}

// words joins what is not empty.
func words(list ...string) string {
	var b strings.Builder
	for _, w := range list {
		if w != "" && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}

// Print returns the rules of all chains about as "nft list ruleset" prints them,
// one a line, without sets.
func Print(r *Ruleset) string {
	var b strings.Builder
	for _, t := range r.tables {
		for _, name := range slices.Sorted(maps.Keys(t.chains)) {
			c := t.chains[name]
			for i := range c.rules {
				b.WriteString(c.where() + ": " + r.text(&c.rules[i]) + "\n")
			}
		}
	}
	return b.String()
}

// A Line is a rule of a chain, or a base chain's policy.
type Line struct {
	Family, Table, Chain string
	Text                 string // as "nft list ruleset" prints it, without counters
	Evidence             string // "file:line"
}

// Lines returns the rules of the tables that are read here, and the policies
// drop of their base chains: table by table, chains by name.
func (r *Ruleset) Lines() (list []Line) {
	for _, t := range r.tables {
		if !r.counts(t) {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(t.chains)) {
			c := t.chains[name]
			if c.base != nil && c.base.Policy == "drop" {
				list = append(list, Line{t.family, t.name, name, "policy drop", r.at(c.base.Line)})
			}
			for i := range c.rules {
				x := &c.rules[i]
				text := r.printed(x, func(statement string) bool { return statement != "counter" })
				list = append(list, Line{t.family, t.name, name, text, r.at(x.line)})
			}
		}
	}
	return list
}
