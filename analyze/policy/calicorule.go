package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/policy/calico"
	"github.com/pathsnap/pathsnap/snapshot"
)

// A calicoMaker compiles one policy of Calico.
type calicoMaker struct {
	maker
	world     *calicoWorld
	namespace string // "" for a GlobalNetworkPolicy
	failed    bool
}

// wrong keeps an error because of which the policy does not count.
func (m *calicoMaker) wrong(err error) {
	m.failed = true
	m.bad(fmt.Errorf("%w: Calico does not take such a policy, it is left out", err))
}

func (m *calicoMaker) parse(text string) *calico.Selector {
	s, err := calico.Parse(text)
	if err != nil {
		m.wrong(err)
		return &calico.Selector{}
	}
	return s
}

func (m *calicoMaker) rules(from []snapshot.CalicoRule) (out []Rule) {
	for i := range from {
		out = append(out, m.rule(&from[i]))
	}
	return out
}

// rule compiles a rule. All that it asks for must hold.
func (m *calicoMaker) rule(from *snapshot.CalicoRule) Rule {
	r := Rule{Src: m.entity(&from.Source, from.IPVersion), Dst: m.entity(&from.Destination, from.IPVersion)}
	switch from.Action {
	case "Allow":
		r.Action = Allow
	case "Deny":
		r.Action = Deny
	case "Pass":
		r.Action = Pass
	case "Log":
		r.Action, r.Never = Pass, "it only logs"
	default:
		m.wrong(fmt.Errorf("action %q: there are Allow, Deny, Log and Pass", from.Action))
	}
	m.protocols(&r, from)
	m.ports(&r, from)
	m.icmp(&r, from)
	if s := from.Destination.Services; s != nil {
		m.serves(&r, m.service(s))
	}
	switch {
	case len(from.Source.Ports) > 0 || len(from.Source.NotPorts) > 0:
		r.Doubt = "it asks for the port of the source, which is not given"
	case len(from.HTTP) > 0 && string(from.HTTP) != "null":
		r.Doubt = "it asks for HTTP, which a packet does not show"
	}
	return r
}

// serves compiles the endpoints of a Service: their ports. Endpoints with
// different ports are not told apart.
func (m *calicoMaker) serves(r *Rule, service string) {
	ports, same := m.world.servicePorts(service)
	if !same {
		r.Doubt = "the endpoints of the service have different ports"
	}
	if len(ports) == 0 && m.world.slices != nil {
		r.Never = "the service has no endpoints with ports"
	}
	r.Also = append(r.Also, r.Ports...)
	r.Ports = ports
}

// protocols compiles protocol and notProtocol.
func (m *calicoMaker) protocols(r *Rule, from *snapshot.CalicoRule) {
	if from.Protocol != nil {
		r.Ports = []Port{{Protocol: m.protocol(from.Protocol)}}
	}
	if from.NotProtocol != nil {
		r.Also = append(r.Also, Port{Protocol: m.protocol(from.NotProtocol), Other: true})
	}
}

// protocol reads a name or a number.
func (m *calicoMaker) protocol(from *intstr.IntOrString) model.Protocol {
	p, err := model.ParseProtocol(from.String())
	if err != nil {
		m.wrong(err)
	}
	return p
}

// ports compiles the ports of the destination.
func (m *calicoMaker) ports(r *Rule, from *snapshot.CalicoRule) {
	for _, one := range []struct {
		ports []intstr.IntOrString
		not   bool
	}{{from.Destination.Ports, false}, {from.Destination.NotPorts, true}} {
		if len(one.ports) == 0 {
			continue
		}
		p := Port{Except: one.not}
		for i := range one.ports {
			m.port(&p, &one.ports[i])
		}
		if len(r.Ports) > 0 {
			p.Protocol = r.Ports[0].Protocol
		}
		if one.not || len(r.Ports) == 0 {
			r.Also = append(r.Also, p)
		} else {
			r.Ports = []Port{p}
		}
		if m.world.hostCalls(p.Names) {
			r.Doubt = "a host endpoint calls a port so: whether it is the destination is not looked up"
		}
	}
}

// port reads 80, "80:90" or the name of a port.
func (m *calicoMaker) port(to *Port, from *intstr.IntOrString) {
	first, last, isRange := strings.Cut(from.String(), ":")
	if !isRange {
		last = first
	}
	a, err1 := strconv.ParseUint(first, 10, 16)
	b, err2 := strconv.ParseUint(last, 10, 16)
	switch {
	case err1 == nil && err2 == nil && a <= b:
		to.Ranges = append(to.Ranges, Range{uint16(a), uint16(b)})
	case isRange || from.Type == intstr.Int || err1 == nil || allDigits(first):
		m.wrong(fmt.Errorf("port %q: it is a number, a range like 80:90, or a name", from.String()))
	default:
		to.Names = append(to.Names, first)
	}
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }

// service names a Service. It is of the policy's namespace if that is all that
// there is.
func (m *calicoMaker) service(s *snapshot.CalicoService) string {
	if s.Namespace == "" {
		return m.namespace + "/" + s.Name
	}
	return s.Namespace + "/" + s.Name
}

// entity compiles what is asked of one end, nil if that is nothing.
func (m *calicoMaker) entity(from *snapshot.CalicoEntity, version *int) []Peer {
	p := &entity{world: m.world, nets: m.nets(from.Nets), notNets: m.nets(from.NotNets)}
	m.selectors(p, from)
	if from.Services != nil {
		p.service = m.service(from.Services)
	}
	if version != nil {
		p.version = *version
	}
	p.text = m.entityText(p, from)
	if p.text == "" {
		return nil
	}
	return []Peer{p}
}

// selectors makes one selector of those of an end as libcalico-go does
// (updateprocessors/rules.go, GetEntityRuleSelector): as soon as a policy of a
// namespace selects at all, it selects in that namespace, unless it names
// others.
func (m *calicoMaker) selectors(p *entity, from *snapshot.CalicoEntity) {
	var namespaces *calico.Selector
	switch {
	case from.NamespaceSelector != "":
		namespaces = m.parse(from.NamespaceSelector).Prefixed(namespacePrefix).Within(labelNamespace)
	case m.namespace != "":
		namespaces = calico.Equal(labelNamespace, m.namespace)
	}
	var accounts *calico.Selector
	if a := from.ServiceAccounts; a != nil {
		accounts = m.parse(a.Selector).Prefixed(accountPrefix)
		if len(a.Names) > 0 {
			accounts = calico.And(accounts, calico.Equal(labelAccount, a.Names...))
		}
	}
	selected := calico.And(accounts, m.parse(from.Selector))
	if namespaces != nil && (!selected.IsEmpty() || from.NotSelector != "" || from.NamespaceSelector != "") {
		selected = calico.And(namespaces, selected)
	}
	if !selected.IsEmpty() {
		p.selector = selected
	}
	if from.NotSelector == "" {
		return
	}
	not := m.parse(from.NotSelector)
	if p.selector == nil {
		p.not = not
		return
	}
	p.selector = calico.And(p.selector, calico.Not(not))
}

// entityText names what is asked of an end, "" if that is nothing.
func (m *calicoMaker) entityText(p *entity, from *snapshot.CalicoEntity) string {
	var list []string
	add := func(name, text string) {
		if text != "" {
			list = append(list, name+text)
		}
	}
	add("", from.Selector)
	if from.Selector != "" && from.NamespaceSelector == "" && m.namespace != "" {
		add("namespace ", m.namespace)
	}
	add("not ", from.NotSelector)
	add("namespaces ", from.NamespaceSelector)
	if a := from.ServiceAccounts; a != nil {
		add("service accounts ", strings.Join(a.Names, ", "))
		add("service accounts with ", a.Selector)
	}
	add("endpoints of service ", p.service)
	add("addresses ", strings.Join(from.Nets, ", "))
	add("addresses other than ", strings.Join(from.NotNets, ", "))
	if p.version != 0 {
		add("IPv", strconv.Itoa(p.version))
	}
	return strings.Join(list, " and ")
}

func (m *calicoMaker) nets(from []string) (out []netip.Prefix) {
	for _, text := range from {
		p, ok := m.net(text)
		if !ok {
			m.failed = true
			continue
		}
		out = append(out, p)
	}
	return out
}

// net reads a prefix or an address.
func (m *maker) net(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		m.bad(fmt.Errorf("%q is neither an address nor a network", text))
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// icmp compiles types of ICMP. A conversation of ICMP is echo requests: type 8,
// or 128 in IPv6, and code 0.
func (m *calicoMaker) icmp(r *Rule, from *snapshot.CalicoRule) {
	const others = "it is for other messages than echo requests, which open a conversation"
	if c := from.ICMP; c != nil && c.Type != nil && !isEcho(c, r.Ports) {
		r.Never = others
	}
	c := from.NotICMP
	switch {
	case c == nil || c.Type == nil || !isEcho(c, r.Ports):
	case len(r.Ports) > 0:
		r.Never = others
	case *c.Type == echoRequest:
		r.Also = append(r.Also, Port{Protocol: model.ICMP, Other: true})
	default:
		r.Also = append(r.Also, Port{Protocol: model.ICMPv6, Other: true})
	}
}

// The types of echo requests.
const (
	echoRequest  = 8
	echoRequest6 = 128
)

// isEcho reports whether a type and code are an echo request of the protocol of
// a rule.
func isEcho(c *snapshot.CalicoICMP, protocols []Port) bool {
	if c.Code != nil && *c.Code != 0 {
		return false
	}
	if len(protocols) == 0 {
		return *c.Type == echoRequest || *c.Type == echoRequest6
	}
	return protocols[0].Protocol == model.ICMP && *c.Type == echoRequest || protocols[0].Protocol == model.ICMPv6 && *c.Type == echoRequest6
}

// admitByCalico is the change of a policy of Calico: a rule before the one that
// denies, or another one.
func admitByCalico(p *Policy, namespace string) func(Direction, int, *Flow) string {
	return func(d Direction, rule int, f *Flow) string {
		text, err := calicoRuleText(d, f, namespace)
		switch {
		case err != nil:
			return ""
		case rule < 0:
			return fmt.Sprintf("add to %s of %s: %s", d, p, text)
		}
		return fmt.Sprintf("put before %s of %s: %s", ruleName(p, d, rule), p, text)
	}
}

// calicoRuleText is a rule that allows a flow.
func calicoRuleText(d Direction, f *Flow, namespace string) (string, error) {
	peer, err := calicoPeerText(f.other(d), namespace)
	if err != nil {
		return "", err
	}
	protocol, port := strings.ToUpper(string(f.Protocol)), ""
	switch {
	case f.Protocol.HasPorts():
		port = fmt.Sprintf("ports: [%d]", f.Port)
	case f.Protocol == model.ICMPv6:
		protocol = "ICMPv6"
	case f.Protocol != model.ICMP:
		protocol = strconv.Itoa(f.Protocol.Number())
	}
	head := "{action: Allow, protocol: " + protocol
	if d == Egress {
		return head + ", destination: {" + strings.Trim(peer+", "+port, ", ") + "}}", nil
	}
	if port != "" {
		port = ", destination: {" + port + "}"
	}
	return head + ", source: {" + peer + "}" + port + "}", nil
}

// calicoPeerText is what holds an end.
func calicoPeerText(e *End, namespace string) (string, error) {
	if e.Pod == nil {
		if !e.IP.IsValid() {
			return "", errors.New("no address")
		}
		return fmt.Sprintf("nets: [%s]", netip.PrefixFrom(e.IP, e.IP.BitLen())), nil
	}
	selector := "all()"
	for i, l := range sortedLabels(stableLabels(e.Pod.Labels)) {
		if i == 0 {
			selector = l
			continue
		}
		selector += " && " + l
	}
	out := fmt.Sprintf("selector: %q", selector)
	if e.Pod.Namespace != namespace {
		out += fmt.Sprintf(", namespaceSelector: \"%s == '%s'\"", labelName, e.Pod.Namespace)
	}
	return out, nil
}
