package nftables

import (
	"math/bits"
	"net/netip"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// A word is what one register holds: a number of up to 128 bits. Addresses,
// names of devices and the like are numbers in the order of their bytes.
type word struct{ hi, lo uint64 }

// ones is all bits.
func ones() word { return word{^uint64(0), ^uint64(0)} }

func number(n uint64) word { return word{lo: n} }

func (a word) and(b word) word { return word{a.hi & b.hi, a.lo & b.lo} }
func (a word) or(b word) word  { return word{a.hi | b.hi, a.lo | b.lo} }
func (a word) xor(b word) word { return word{a.hi ^ b.hi, a.lo ^ b.lo} }
func (a word) not() word       { return word{^a.hi, ^a.lo} }
func (a word) zero() bool      { return a == word{} }

func (a word) less(b word) bool { return a.hi < b.hi || a.hi == b.hi && a.lo < b.lo }

func (a word) shl(n uint) word {
	if n >= 64 {
		return word{hi: a.lo << (n - 64)}
	}
	return word{a.hi<<n | a.lo>>(64-n), a.lo << n}
}

func (a word) shr(n uint) word {
	if n >= 64 {
		return word{lo: a.hi >> (n - 64)}
	}
	return word{a.hi >> n, a.lo>>n | a.hi<<(64-n)}
}

func (a word) inc() word {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return word{a.hi + carry, lo}
}

func (a word) dec() word {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return word{a.hi - borrow, lo}
}

// mask returns a number of n ones.
func mask(n int) word { return ones().shr(uint(128 - n)) }

// addrWord turns an address into a number; one that is not valid is 0.
func addrWord(a netip.Addr) word {
	if a.Is4() {
		b := a.As4()
		return number(uint64(b[0])<<24 | uint64(b[1])<<16 | uint64(b[2])<<8 | uint64(b[3]))
	}
	if !a.IsValid() {
		return word{}
	}
	b := a.As16()
	return bytesWord(b[:])
}

// bytesWord reads up to 16 bytes as a number of 128 bits, the first in front.
func bytesWord[T string | []byte](b T) (w word) {
	for i := range 16 {
		c := byte(0)
		if i < len(b) {
			c = b[i]
		}
		w = w.shl(8)
		w.lo |= uint64(c)
	}
	return w
}

// wordAddr turns a number into an address.
func wordAddr(w word, ipv6 bool) netip.Addr {
	var b [16]byte
	for i := range b {
		b[i] = byte(w.shr(uint(8 * (15 - i))).lo)
	}
	if ipv6 {
		return netip.AddrFrom16(b)
	}
	return netip.AddrFrom4([4]byte(b[12:]))
}

// A reg is what an expression puts into a register: the bits of unk are not
// known. If it broke, the rule does not match (NFT_BREAK).
type reg struct {
	v, unk word
	broke  bool
}

func broken() reg { return reg{broke: true} }

func known(w word) reg         { return reg{v: w} }
func knownNumber(n uint64) reg { return reg{v: number(n)} }

// open is a value of which nothing is known but its size.
func open(n int) reg { return reg{unk: mask(n)} }

// A span is all values from lo to hi.
type span struct{ lo, hi word }

func one(w word) span { return span{w, w} }

// has answers whether the value of r lies in s.
func (s span) has(r reg) netfilter.Answer {
	if r.unk.zero() {
		return netfilter.AnswerOf(!r.v.less(s.lo) && !s.hi.less(r.v))
	}
	least := r.v.and(r.unk.not())
	most := r.v.or(r.unk)
	switch {
	case most.less(s.lo), s.hi.less(least), s.hi.less(s.lo):
		return netfilter.No
	case s.lo == s.hi && !r.v.xor(s.lo).and(r.unk.not()).zero():
		return netfilter.No
	case !least.less(s.lo) && !s.hi.less(most):
		return netfilter.Yes
	}
	return netfilter.Maybe
}

// anyBit answers whether r has one of the bits of m.
func (r reg) anyBit(m word) netfilter.Answer {
	switch {
	case !r.v.and(r.unk.not()).and(m).zero():
		return netfilter.Yes
	case !r.unk.and(m).zero():
		return netfilter.Maybe
	}
	return netfilter.No
}
