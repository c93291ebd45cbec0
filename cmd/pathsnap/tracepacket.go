package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/trace"
)

// question is the packet of the flags.
func (t *tracing) question() (q trace.Question, err error) {
	if q.Packet, err = model.ParsePacket(t.c.String("packet")); err != nil {
		return q, usagef("--packet: %w", err)
	}
	q.In, q.Out = t.c.String("in"), t.c.String("out")
	if text := t.c.String("mark"); text != "" {
		n, err := strconv.ParseUint(text, 0, 32)
		if err != nil {
			return q, usagef("--mark %q: not a number up to 0xffffffff", text)
		}
		q.Packet.Mark = uint32(n)
	}
	if text := t.c.String("tos"); text != "" {
		n, err := strconv.ParseUint(text, 0, 8)
		if err != nil {
			return q, usagef("--tos %q: not a number up to 0xff", text)
		}
		q.Packet.TOS = uint8(n)
	}
	return q, nil
}

// A packetLine is one line of --packets.
type packetLine struct {
	Protocol string `json:"protocol"`
	Src      string `json:"src"`
	SPort    uint16 `json:"sport"`
	Dst      string `json:"dst"`
	DPort    uint16 `json:"dport"`
	In       string `json:"in"`
	Out      string `json:"out"`
	Mark     uint32 `json:"mark"`
	TOS      uint8  `json:"tos"`
	Type     *uint8 `json:"type"` // of an ICMP packet
	Code     uint8  `json:"code"`
}

// parsePacketLine parses one line.
func parsePacketLine(line []byte) (q trace.Question, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var l packetLine
	if err := dec.Decode(&l); err != nil {
		return q, usagef("not a packet: %w", err)
	}
	if dec.More() {
		return q, usagef("not a packet: more than one value on the line")
	}
	if l.Protocol == "" || l.Dst == "" {
		return q, usagef(`not a packet: it needs "protocol" and "dst"`)
	}
	text := l.Protocol + " " + l.Src + " > " + l.Dst
	if l.Type != nil {
		text += fmt.Sprintf(" type %d code %d", *l.Type, l.Code)
	}
	if q.Packet, err = model.ParsePacket(text); err != nil {
		return q, usageError{err}
	}
	p := &q.Packet
	if (l.SPort != 0 || l.DPort != 0) && !p.Protocol.HasPorts() {
		return q, usagef("%s has no ports", p.Protocol)
	}
	if l.SPort != 0 {
		p.Src = netip.AddrPortFrom(p.Src.Addr(), l.SPort)
	}
	if l.DPort != 0 {
		p.Dst = netip.AddrPortFrom(p.Dst.Addr(), l.DPort)
	}
	p.Mark, p.TOS = l.Mark, l.TOS
	q.In, q.Out = l.In, l.Out
	return q, nil
}

var (
	errInOut    = errors.New("a packet that comes in by a device was not sent by a socket that is bound to one; leave in or out out")
	errNoSource = errors.New("a packet that comes in by a device needs a source address")
)

// check looks whether a question can be asked of the namespace, and gives a
// packet the source port that it lacks.
func (s *space) check(q *trace.Question) error {
	switch {
	case q.In != "" && q.Out != "":
		return usageError{errInOut}
	case q.In != "" && !q.Packet.Src.Addr().IsValid():
		return usageError{errNoSource}
	}
	for _, dev := range []string{q.In, q.Out} {
		if _, ok := s.ns.Device(dev); dev != "" && !ok && len(s.ns.Info.Interfaces) > 0 {
			return usagef("there is no device %s; there are %s", dev, s.devices())
		}
	}
	if q.Packet.Protocol.HasPorts() && q.Packet.Src.Port() == 0 {
		q.Packet.Src = netip.AddrPortFrom(q.Packet.Src.Addr(), netstack.EphemeralPort)
	}
	return nil
}

// devices names the devices, or the first of them.
func (s *space) devices() string {
	const most = 12
	var names []string
	for i := range s.ns.Info.Interfaces {
		if i == most {
			names = append(names, fmt.Sprintf("%d more", len(s.ns.Info.Interfaces)-most))
			break
		}
		names = append(names, s.ns.Info.Interfaces[i].Name)
	}
	return strings.Join(names, ", ")
}
