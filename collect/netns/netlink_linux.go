package netns

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// maxInterrupted is how often a dump that changed while it was read is read
// again.
const maxInterrupted = 4

// A connection talks netlink with one network namespace.
type connection struct {
	sockets map[int]*nl.SocketHandle // by protocol
}

// close closes every socket.
func (c *connection) close() {
	for _, handle := range c.sockets {
		handle.Socket.Close()
	}
	c.sockets = nil
}

// open makes sure that there is a socket for a protocol. The thread must be in
// the namespace.
func (c *connection) open(proto int) (*nl.SocketHandle, error) {
	if handle := c.sockets[proto]; handle != nil {
		return handle, nil
	}
	socket, err := nl.Subscribe(proto)
	if err != nil {
		return nil, fmt.Errorf("netlink socket for protocol %d: %w", proto, err)
	}
	_ = socket.SetReceiveBufferSize(4<<20, true) // smaller is slower, not wrong
	if c.sockets == nil {
		c.sockets = map[int]*nl.SocketHandle{}
	}
	c.sockets[proto] = &nl.SocketHandle{Socket: socket}
	return c.sockets[proto], nil
}

// A query is one netlink request.
type query struct {
	proto int    // NETLINK_ROUTE ...
	typ   int    // RTM_GETLINK ...
	flags int    // besides NLM_F_REQUEST
	data  []byte // the header of the family and its attributes
}

// each sends a query and calls f with every answer until f returns false.
func (c *connection) each(q query, deadline time.Time, f func(msg []byte) bool) error {
	handle, err := c.open(q.proto)
	if err != nil {
		return err
	}
	left := time.Until(deadline)
	if left <= 0 {
		return &statusError{"timed-out", "no time left"}
	}
	limit := unix.NsecToTimeval(left.Nanoseconds())
	_ = handle.Socket.SetReceiveTimeout(&limit)
	_ = handle.Socket.SetSendTimeout(&limit)
	late := false
	request := nl.NewNetlinkRequest(q.typ, q.flags)
	request.Sockets = c.sockets
	request.AddRawData(q.data)
	err = request.ExecuteIter(q.proto, 0, func(msg []byte) bool {
		if late = time.Now().After(deadline); late {
			return false
		}
		return f(msg)
	})
	if late || errors.Is(err, unix.EAGAIN) {
		// The rest of the answer may still come: the socket is of no more use.
		handle.Socket.Close()
		delete(c.sockets, q.proto)
		return &statusError{"timed-out", "the kernel did not answer in time"}
	}
	return err
}

// all returns every answer to a query. A dump that changed meanwhile is read
// again, and in the end returned as truncated.
func (c *connection) all(q query, deadline time.Time) (msgs [][]byte, err error) {
	for range maxInterrupted {
		msgs = msgs[:0]
		err = c.each(q, deadline, func(msg []byte) bool {
			msgs = append(msgs, msg)
			return true
		})
		if !errors.Is(err, nl.ErrDumpInterrupted) {
			return msgs, err
		}
	}
	return msgs, truncated("the table kept changing while it was read")
}

// attrs are the attributes of a netlink message by type.
type attrs map[uint16][]byte

// parseAttrs reads attributes; what is cut off is left out. Of a type that
// repeats the last one counts.
func parseAttrs(b []byte) attrs {
	out := attrs{}
	eachAttr(b, func(typ uint16, value []byte) { out[typ] = value })
	return out
}

// eachAttr calls f with every attribute in order.
func eachAttr(b []byte, f func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&nl.NLA_TYPE_MASK, b[unix.SizeofRtAttr:size])
		b = b[min(len(b), (size+3)&^3):]
	}
}

// after parses the attributes that follow a header of n bytes.
func after(msg []byte, n int) attrs {
	if len(msg) < n {
		return attrs{}
	}
	return parseAttrs(msg[n:])
}

// nest returns the attributes inside an attribute.
func (a attrs) nest(typ uint16) attrs { return parseAttrs(a[typ]) }

// num returns a number in the byte order of this machine, 0 if there is none.
func (a attrs) num(typ uint16) int { return number(a[typ], binary.NativeEndian) }

// big returns a number in network byte order, 0 if there is none.
func (a attrs) big(typ uint16) int { return number(a[typ], binary.BigEndian) }

// number reads an unsigned number of any size.
func number(b []byte, order binary.ByteOrder) int {
	switch len(b) {
	case 1:
		return int(b[0])
	case 2:
		return int(order.Uint16(b))
	case 4:
		return int(order.Uint32(b))
	case 8:
		return int(order.Uint64(b))
	}
	return 0
}

// on reports whether a number is there and not 0.
func (a attrs) on(typ uint16) bool { return a.num(typ) != 0 }

// off reports whether a number is there and 0.
func (a attrs) off(typ uint16) bool { return a.has(typ) && a.num(typ) == 0 }

// has reports whether the attribute is there, perhaps without a value.
func (a attrs) has(typ uint16) bool { _, ok := a[typ]; return ok }

// str returns a text.
func (a attrs) str(typ uint16) string {
	return strings.TrimRight(string(a[typ]), "\x00")
}

// addr returns an address, the zero value if there is none.
func (a attrs) addr(typ uint16) netip.Addr {
	addr, _ := netip.AddrFromSlice(a[typ])
	return addr
}

// ip returns an address as text, "" if there is none or it is all zero.
func (a attrs) ip(typ uint16) string {
	addr := a.addr(typ)
	if !addr.IsValid() || addr.IsUnspecified() {
		return ""
	}
	return addr.String()
}

// mac returns a link-layer address as text.
func (a attrs) mac(typ uint16) string {
	b := a[typ]
	var out strings.Builder
	for i, octet := range b {
		if i > 0 {
			out.WriteByte(':')
		}
		fmt.Fprintf(&out, "%02x", octet)
	}
	return out.String()
}

// attr builds one attribute.
func attr(typ int, value []byte) []byte {
	out := make([]byte, (unix.SizeofRtAttr+len(value)+3)&^3)
	binary.NativeEndian.PutUint16(out, uint16(unix.SizeofRtAttr+len(value)))
	binary.NativeEndian.PutUint16(out[2:], uint16(typ))
	copy(out[unix.SizeofRtAttr:], value)
	return out
}

// u32 is the value of an attribute.
func u32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

// routeDump is a dump of a kind of object for a family, the header being size
// bytes long.
func routeDump(typ, family, size int) query {
	data := make([]byte, size)
	data[0] = byte(family)
	return query{proto: unix.NETLINK_ROUTE, typ: typ, flags: unix.NLM_F_DUMP, data: data}
}

// nfDump is a dump from a netfilter subsystem.
func nfDump(subsystem, command, family int, attributes ...[]byte) query {
	data := []byte{byte(family), 0, 0, 0}
	for _, a := range attributes {
		data = append(data, a...)
	}
	return query{proto: unix.NETLINK_NETFILTER, typ: subsystem<<8 | command, flags: unix.NLM_F_DUMP, data: data}
}
