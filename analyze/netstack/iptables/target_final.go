package iptables

import (
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// final is a target that only decides: ACCEPT, DROP or RETURN.
type final netfilter.Verdict

func (v final) apply(*netfilter.Frame, string) (netfilter.Verdict, string) {
	return netfilter.Verdict(v), netfilter.Verdict(v).String()
}

func targetAccept([]option) (target, error) { return final(netfilter.Accept), nil }
func targetDrop([]option) (target, error)   { return final(netfilter.Drop), nil }
func targetReturn([]option) (target, error) { return final(netfilter.Return), nil }

// passive is a target after which the packet goes on as before.
type passive string

func (a passive) apply(*netfilter.Frame, string) (netfilter.Verdict, string) {
	return netfilter.Continue, string(a)
}

func targetPassive(name string) func([]option) (target, error) {
	action := passive(strings.ToLower(name))
	return func([]option) (target, error) { return action, nil }
}

func (t *unknownTarget) apply(f *netfilter.Frame, at string) (netfilter.Verdict, string) {
	if f.Choices.Doubt(model.Doubt{What: t.what, Evidence: at}) {
		return netfilter.Unknown, "unknown"
	}
	return netfilter.Continue, "continue"
}

// openTarget is a target that is left open on purpose.
type openTarget string

func (t openTarget) apply(f *netfilter.Frame, at string) (netfilter.Verdict, string) {
	if f.Choices.Doubt(model.Doubt{What: "target not modelled: -j " + string(t), Evidence: at}) {
		return netfilter.Unknown, "unknown"
	}
	return netfilter.Continue, "continue"
}

func targetOpen(name string) func([]option) (target, error) {
	return func([]option) (target, error) { return openTarget(name), nil }
}

// reject is "-j REJECT". What the sender is told depends on the family if
// with is "" or an alias that both families have.
type reject string

func targetReject(options []option) (target, error) {
	t := reject("")
	for _, o := range options {
		t = reject(strings.Clone(o.arg()))
		if rejection(string(t), false) == "" && rejection(string(t), true) == "" {
			return nil, fmt.Errorf("%w: %q", errValue, o.arg())
		}
	}
	return t, nil
}

func (t reject) apply(f *netfilter.Frame, _ string) (netfilter.Verdict, string) {
	f.RejectWith = rejection(string(t), f.Packet.IPv6())
	if f.RejectWith == "" {
		f.RejectWith = string(t)
	}
	return netfilter.Reject, "reject with " + f.RejectWith
}

// rejection returns the full name of what the sender of a packet is told.
func rejection(with string, ipv6 bool) string {
	switch with {
	case "tcp-reset", "tcp-rst":
		return "tcp-reset"
	}
	if ipv6 {
		return rejection6(with)
	}
	switch with {
	case "icmp-net-unreachable", "net-unreach":
		return "icmp-net-unreachable"
	case "icmp-host-unreachable", "host-unreach":
		return "icmp-host-unreachable"
	case "icmp-proto-unreachable", "proto-unreach":
		return "icmp-proto-unreachable"
	case "icmp-port-unreachable", "port-unreach", "":
		return "icmp-port-unreachable"
	case "icmp-net-prohibited", "net-prohib":
		return "icmp-net-prohibited"
	case "icmp-host-prohibited", "host-prohib":
		return "icmp-host-prohibited"
	case "icmp-admin-prohibited", "admin-prohib":
		return "icmp-admin-prohibited"
	}
	return ""
}

func rejection6(with string) string {
	switch with {
	case "icmp6-no-route", "no-route":
		return "icmp6-no-route"
	case "icmp6-adm-prohibited", "adm-prohibited":
		return "icmp6-adm-prohibited"
	case "icmp6-addr-unreachable", "addr-unreach":
		return "icmp6-addr-unreachable"
	case "icmp6-port-unreachable", "port-unreach", "":
		return "icmp6-port-unreachable"
	case "icmp6-policy-fail", "policy-fail":
		return "icmp6-policy-fail"
	case "icmp6-reject-route", "reject-route":
		return "icmp6-reject-route"
	}
	return ""
}

// queue is NFQUEUE: a program decides. With bypass the packet is accepted if
// no program listens.
type queue struct{ bypass bool }

func targetNFQUEUE(options []option) (target, error) {
	t := &queue{}
	for _, o := range options {
		t.bypass = t.bypass || o.name == "queue-bypass"
	}
	return t, nil
}

func (t *queue) apply(f *netfilter.Frame, at string) (netfilter.Verdict, string) {
	if t.bypass && !f.Choices.Doubt(model.Doubt{What: "a program may decide about the packet (NFQUEUE)", Evidence: at}) {
		return netfilter.Accept, "accept: no program listens"
	}
	return netfilter.Unknown, "queue to a program"
}
