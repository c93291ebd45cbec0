package nftables

import (
	"fmt"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// maxWays bounds the numbers of a numgen or a hash that are followed each on
// its own, and maxCounted those that are counted by what they lead to.
const (
	maxWays    = 64
	maxCounted = 16384
)

// A chance is numgen or a hash: each number from offset on has the same share
// (nft_ng_random_eval, nft_ng_inc_eval, nft_jhash_eval, nft_symhash_eval).
type chance struct {
	mod, offset uint64
	of          []expr // what is hashed: where that breaks, the hash does
}

func (c *chance) breaks(f *netfilter.Frame) bool {
	for _, e := range c.of {
		if e.load(f).broke {
			return true
		}
	}
	return false
}

func (c *chance) load(f *netfilter.Frame) reg {
	if c.breaks(f) {
		return broken()
	}
	if c.mod > maxWays {
		return open(32)
	}
	weights := make([]float64, c.mod)
	for i := range weights {
		weights[i] = 1
	}
	return knownNumber(c.offset + uint64(f.Choices.Pick(weights)))
}

func (c *chance) doubt() string { return fmt.Sprintf("which of %d numbers it is", c.mod) }

func readNumgen(p *parser, _ *table, n *node) (expr, error) {
	c, err := readChance(n)
	return expr{c, p.types["integer"]}, err
}

func readHash(p *parser, t *table, n *node) (expr, error) {
	c, err := readChance(n)
	if err == nil && n.get("expr") != nil {
		c.of, err = p.parts(t, n.get("expr"))
	}
	return expr{c, p.types["integer"]}, err
}

func readChance(n *node) (*chance, error) {
	mod, err := strconv.ParseUint(n.get("mod").str(), 0, 32)
	if err != nil || mod == 0 {
		return nil, notUnderstood("%s mod %q", n.key, n.get("mod").str())
	}
	offset, err := strconv.ParseUint(orZero(n.get("offset")), 0, 32)
	if err != nil {
		return nil, notUnderstood("%s offset %q", n.key, n.get("offset").str())
	}
	return &chance{mod: mod, offset: offset}, nil
}

func orZero(n *node) string {
	if s := n.str(); s != "" {
		return s
	}
	return "0"
}

// A fib is a question to the routing tables.
type fib struct {
	dst, mark, iif, oif bool   // of the destination, or of the source; limited to a device
	result              string // type oif oifname check
	exists              bool   // oif is asked for only whether there is one
}

func readFib(p *parser, _ *table, n *node) (expr, error) {
	x := &fib{result: n.get("result").str(), dst: n.get("flags").has("daddr"), mark: n.get("flags").has("mark"),
		iif: n.get("flags").has("iif"), oif: n.get("flags").has("oif")}
	if !x.dst && !n.get("flags").has("saddr") {
		return expr{}, notUnderstood("fib of no address")
	}
	switch x.result {
	case "type":
		return expr{x, p.types["fib_addrtype"]}, nil
	case "oif":
		return expr{x, p.types["iface_index"]}, nil
	case "oifname":
		return expr{x, p.types["ifname"]}, nil
	case "check":
		x.exists = true
		return expr{x, p.types["boolean"]}, nil
	}
	return expr{}, notUnderstood("fib result %q", x.result)
}

// device is the one that the question is limited to.
func (x *fib) device(f *netfilter.Frame) string {
	switch {
	case x.oif:
		return f.Out
	case x.iif:
		return f.In
	}
	return ""
}

func (x *fib) load(f *netfilter.Frame) reg {
	a := f.Packet.Src.Addr()
	if x.dst {
		a = f.Packet.Dst.Addr()
	}
	if x.result == "type" && f.Blind && !a.IsLoopback() && !a.IsMulticast() {
		return open(32)
	}
	if x.result == "type" {
		return addrType(f.Env.AddrType(a, x.device(f)))
	}
	dev, ok := x.way(f)
	switch {
	case !ok && x.exists:
		return open(8)
	case !ok:
		return open(128)
	case x.exists && dev != "":
		return knownNumber(1)
	}
	return known(bytesWord(dev))
}

// way returns the device that the routes lead to the address by, "" if there is
// none (nft_fib4_eval, nft_fib6_eval).
func (x *fib) way(f *netfilter.Frame) (dev string, ok bool) {
	switch {
	case f.Blind:
		return "", false
	case f.Hook == netfilter.Prerouting && f.In == "lo":
		return "lo", true // nft_fib_is_loopback
	case f.Hook == netfilter.Input && f.In == "lo":
		return "", false // as in PREROUTING since Linux 6.16 (nft_fib_can_skip), and a local route before
	}
	env, ok := f.Env.(netfilter.Router)
	if !ok {
		return "", false
	}
	return env.FibDevice(f, x.dst, x.mark, x.device(f)), true
}

func (x *fib) doubt() string {
	return "where the routes of the namespace lead is not known, or depends on the kernel's version"
}

func addrType(t netfilter.AddrType) reg {
	for i, name := range [...]netfilter.AddrType{netfilter.AddrUnspec, netfilter.AddrUnicast, netfilter.AddrLocal, netfilter.AddrBroadcast, "ANYCAST",
		netfilter.AddrMulticast, netfilter.AddrBlackhole, netfilter.AddrUnreachable, netfilter.AddrProhibit} {
		if t == name {
			return knownNumber(uint64(i))
		}
	}
	return open(32)
}

func isTCP(f *netfilter.Frame) bool { return f.Packet.Protocol == model.TCP }

func readTCPOption(p *parser, _ *table, n *node) (expr, error) {
	const why = "the options of a TCP header are not simulated"
	if n.get("field") == nil && n.get("base") == nil {
		return expr{&partial{isTCP, known(word{}), 1, why}, p.types["boolean"]}, nil
	}
	return expr{&partial{isTCP, broken(), 128, why}, p.types["whatever"]}, nil
}

func readOSF(p *parser, _ *table, _ *node) (expr, error) {
	return expr{&partial{func(f *netfilter.Frame) bool { return isTCP(f) && f.Packet.Kind == model.KindOpen }, broken(), 128,
		"what the SYN of a system looks like is not simulated"}, p.types["whatever"]}, nil
}

// A chunk asks whether an SCTP packet has a chunk. One that opens, answers or
// refuses an association has one.
type chunk struct {
	name  string
	field bool
}

func readChunk(p *parser, _ *table, n *node) (expr, error) {
	x := &chunk{n.get("name").str(), n.get("field") != nil}
	if x.field {
		return expr{x, p.types["whatever"]}, nil
	}
	return expr{x, p.types["boolean"]}, nil
}

func (x *chunk) load(f *netfilter.Frame) reg {
	has := map[model.Kind]string{model.KindOpen: "init", model.KindReply: "init-ack", model.KindReset: "abort"}[f.Packet.Kind]
	switch {
	case f.Packet.Protocol != model.SCTP && x.field, has != "" && has != x.name && x.field:
		return broken()
	case f.Packet.Protocol != model.SCTP, has != "" && has != x.name:
		return known(word{})
	case has == x.name && !x.field:
		return knownNumber(1)
	}
	return open(128)
}

func (x *chunk) doubt() string { return "the chunks of an SCTP packet are not simulated" }
