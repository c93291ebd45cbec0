package report

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// name returns who owns a, "" if nobody is known to.
func (d *Diagnosis) name(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a == d.Destination.IP && d.Destination.Name != "":
		return kindWord(d.Destination.Type) + " " + d.Destination.Name
	case d.Names == nil:
		return ""
	}
	return d.Names(a)
}

// named adds to each address in s who owns it.
func (d *Diagnosis) named(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		a, err := netip.ParseAddr(word)
		if ap, portErr := netip.ParseAddrPort(word); portErr == nil {
			a, err = ap.Addr(), nil
		}
		if err == nil {
			words[i] = word + d.inBrackets(a)
		}
	}
	return strings.Join(words, " ")
}

// inBrackets is " (pod demo/b)", not to be broken between lines, or "".
func (d *Diagnosis) inBrackets(a netip.Addr) string {
	if name := d.name(a); name != "" {
		return " (" + strings.ReplaceAll(name, " ", nbsp) + ")"
	}
	return ""
}

// nbsp is a space at which [wrap] does not break; it prints a plain one.
const nbsp = "\u00a0"

// host returns the node that h runs on, or is; "" if that is not known.
func (d *Diagnosis) host(h model.Hop) string {
	switch {
	case h.Type == model.NetNodeTypeNode:
		return h.ID
	case d.Host == nil:
		return ""
	}
	return d.Host(h)
}

// endText writes an address as the JSON and the texts do: with its port if the
// protocol has ports and one is known.
func endText(proto model.Protocol, a netip.AddrPort) string {
	switch {
	case !a.Addr().IsValid():
		return "?"
	case !proto.HasPorts() || a.Port() == 0:
		return a.Addr().String()
	}
	return a.String()
}

// hopName is a hop for people: "pod demo/a", "node n1".
func hopName(h model.Hop) string {
	if h == (model.Hop{}) {
		return "an unknown place"
	}
	return string(h.Type) + " " + h.ID
}

// kindWord is an endpoint's type for people, spelled as on the command line.
func kindWord(t model.EndpointType) string {
	if t == model.EndpointTypeService {
		return "svc"
	}
	return string(t)
}

// sourceText is "pod demo/a", or the bare address of nobody known.
func sourceText(e model.Endpoint) string {
	switch {
	case e.Name == "" && !e.IP.IsValid():
		return "?"
	case e.Name == "":
		return e.IP.String()
	}
	return kindWord(e.Type) + " " + e.Name
}

// destinationText is "svc demo/web:80 (10.96.10.1)", or the bare address.
func destinationText(e model.Endpoint) string {
	switch {
	case e.Name == "" && !e.IP.IsValid():
		return "?"
	case e.Name == "" && e.Port == 0:
		return e.IP.String()
	case e.Name == "":
		return e.AddrPort().String()
	}
	s := kindWord(e.Type) + " " + e.Name
	if e.Port != 0 {
		s += fmt.Sprintf(":%d", e.Port)
	}
	if e.IP.IsValid() {
		s += " (" + e.IP.String() + ")"
	}
	return s
}
