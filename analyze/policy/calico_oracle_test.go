package policy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pathsnap/pathsnap/snapshot"
)

// A calicoPod is a pod as the oracle of Calico's policies knows it.
type calicoPod struct {
	name, namespace, team string // team is the namespace's
	app                   string
	ip                    string
}

func calicoPods() []calicoPod {
	return []calicoPod{
		{"demo/client", "demo", "red", "client", "10.244.1.2"}, {"demo/web", "demo", "red", "web", "10.244.1.3"}, {"demo/db", "demo", "red", "db", "10.244.2.2"},
		{"other/web", "other", "blue", "web", "10.244.2.3"}, {"other/client", "other", "blue", "client", "10.244.2.4"},
	}
}

// A term is "label op value", of which the oracle has its own reading.
type term struct{ op, value string }

func (t term) text(label string) string {
	switch t.op {
	case "":
		return ""
	case "in", "not in":
		return fmt.Sprintf("%s %s {'%s', 'zz'}", label, t.op, t.value)
	}
	return fmt.Sprintf("%s %s '%s'", label, t.op, t.value)
}

func (t term) holds(value string) bool {
	switch t.op {
	case "==", "in":
		return value == t.value
	case "!=", "not in":
		return value != t.value
	case "starts with":
		return strings.HasPrefix(value, t.value)
	}
	return true
}

// A calicoCase is one random policy: the object, and its terms.
type calicoCase struct {
	object                   snapshot.CalicoPolicy
	selector, namespaces     term
	ingress, egress          []calicoAsk
	hasIngress, hasEgress    bool
	tierOrder, order         float64
	tier, namespace, sortKey string
}

// A calicoAsk is what one random rule asks.
type calicoAsk struct {
	action            string
	app, notApp, team term
	first, last       int // ports of TCP, 0 for any protocol
	not               bool
	net, namespace    string // a prefix of the address in dots, "" for any; of the policy
}

// holds asks for the peer and the port.
func (a *calicoAsk) holds(peer calicoPod, port int) bool {
	if a.last > 0 && (port >= a.first && port <= a.last) == a.not {
		return false
	}
	selects := a.app.op != "" || a.notApp.op != "" || a.team.op != ""
	if selects && a.team.op == "" && a.namespace != "" && peer.namespace != a.namespace {
		return false
	}
	return a.app.holds(peer.app) && (a.notApp.op == "" || !a.notApp.holds(peer.app)) && a.team.holds(peer.team) && strings.HasPrefix(peer.ip, a.net)
}

// calicoOracle answers for one end: tier by tier, policy by policy.
func calicoOracle(cases []calicoCase, self, peer calicoPod, port int, direction Direction) bool {
	sorted := slices.SortedFunc(slices.Values(cases), func(a, b calicoCase) int {
		return cmp.Or(cmp.Compare(a.tierOrder, b.tierOrder), cmp.Compare(a.order, b.order), strings.Compare(a.sortKey, b.sortKey))
	})
	passed, isolated := "", ""
	for i, c := range sorted {
		if i > 0 && sorted[i-1].tier != c.tier && isolated == sorted[i-1].tier && passed != isolated {
			return false // the end of the tier
		}
		rules, about := c.ingress, c.hasIngress
		if direction == Egress {
			rules, about = c.egress, c.hasEgress
		}
		if passed == c.tier || !about || c.namespace != "" && c.namespace != self.namespace || !c.selector.holds(self.app) || !c.namespaces.holds(self.team) {
			continue
		}
		isolated = c.tier
		for _, r := range rules {
			if r.action == "Log" || !r.holds(peer, port) {
				continue
			}
			if r.action != "Pass" {
				return r.action == "Allow"
			}
			passed = c.tier
			break
		}
	}
	return isolated == passed // no tier isolates it, or the last that does let it pass
}

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func randomTerm(r *rand.Rand, values ...string) term {
	return term{pick(r, "", "", "==", "!=", "in", "not in", "starts with"), pick(r, values...)}
}

func randomAsk(r *rand.Rand, namespace string, ingress bool) (calicoAsk, snapshot.CalicoRule) {
	a := calicoAsk{
		action: pick(r, "Allow", "Allow", "Deny", "Pass", "Log"), app: randomTerm(r, "web", "client", "db", "c"), team: randomTerm(r, "red", "blue"),
		net: pick(r, "", "", "10.244.1.", "10.244."), namespace: namespace,
	}
	if r.IntN(4) == 0 {
		a.notApp = randomTerm(r, "web", "client")
	}
	e := snapshot.CalicoEntity{Selector: a.app.text("app"), NotSelector: a.notApp.text("app"), NamespaceSelector: a.team.text("team")}
	switch a.net {
	case "10.244.1.":
		e.Nets = []string{"10.244.1.0/24"}
	case "10.244.":
		e.Nets = []string{"10.244.0.0/16"}
	}
	out := snapshot.CalicoRule{Action: a.action}
	if r.IntN(2) == 0 {
		tcp := intstr.FromString("TCP")
		out.Protocol = &tcp
		a.first = pick(r, 1, 80, 81)
		a.last, a.not = a.first+r.IntN(3), r.IntN(4) == 0
		ports := []intstr.IntOrString{intstr.FromString(fmt.Sprintf("%d:%d", a.first, a.last))}
		if a.not {
			out.Destination.NotPorts = ports
		} else {
			out.Destination.Ports = ports
		}
	}
	if ingress {
		out.Source = e
		return a, out
	}
	e.Ports, e.NotPorts = out.Destination.Ports, out.Destination.NotPorts
	out.Destination = e
	return a, out
}

func randomCalico(r *rand.Rand, n int) calicoCase {
	c := calicoCase{selector: randomTerm(r, "web", "client", "db"), tier: pick(r, "default", "first", "last"), order: math.Inf(1)}
	c.tierOrder = map[string]float64{"first": 1, "default": 1e6, "last": 2e6}[c.tier]
	name := fmt.Sprintf("p%d", n)
	c.object.Name, c.object.Spec.Tier, c.object.Spec.Selector = name, c.tier, c.selector.text("app")
	if r.IntN(2) == 0 {
		c.order = float64(r.IntN(3))
		c.object.Spec.Order = &c.order
	}
	c.object.Kind, c.sortKey = "GlobalNetworkPolicy", name
	if r.IntN(2) == 0 {
		c.namespace = pick(r, "demo", "other")
		c.object.Kind, c.object.Namespace = "NetworkPolicy", c.namespace
	} else {
		c.namespaces = randomTerm(r, "red", "blue")
		c.object.Spec.NamespaceSelector = c.namespaces.text("team")
	}
	types := pick(r, []string{"Ingress"}, []string{"Egress"}, []string{"Ingress", "Egress"})
	c.object.Spec.Types = types
	c.hasIngress, c.hasEgress = slices.Contains(types, "Ingress"), slices.Contains(types, "Egress")
	for range r.IntN(3) {
		ask, rule := randomAsk(r, c.namespace, true)
		c.ingress, c.object.Spec.Ingress = append(c.ingress, ask), append(c.object.Spec.Ingress, rule)
		ask, rule = randomAsk(r, c.namespace, false)
		c.egress, c.object.Spec.Egress = append(c.egress, ask), append(c.object.Spec.Egress, rule)
	}
	return c
}

func TestRandomCalicoPolicies(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	agent := "\n- {metadata: {namespace: kube-system, name: calico-node}, spec: {template: {spec: {containers: [{name: x, image: \"calico/node:v3.32.0\"}]}}}}"
	allowed := map[bool]int{}
	for range 300 {
		var cases []calicoCase
		np, global := "", ""
		for n := range 1 + r.IntN(6) {
			c := randomCalico(r, n)
			text, err := json.Marshal(c.object)
			require.NoError(t, err)
			if c.namespace != "" {
				np += "\n- " + string(text)
			} else {
				global += "\n- " + string(text)
			}
			cases = append(cases, c)
		}
		n, _, errs := admin(t, parts{partCalico: cmp.Or(np, "[]"), partGlobal: cmp.Or(global, "[]"), partTiers: tier("first", "order: 1") + tier("last", "order: 2000000"), "daemonsets": agent})
		require.Empty(t, errs)
		for _, src := range calicoPods() {
			for _, dst := range calicoPods() {
				if src == dst {
					continue
				}
				port := pick(r, 80, 81, 82, 90)
				f := &Flow{Src: End{Pod: n.Pod(src.name), IP: netip.MustParseAddr(src.ip)}, Dst: End{Pod: n.Pod(dst.name), IP: netip.MustParseAddr(dst.ip)}, Port: uint16(port), Protocol: "tcp"}
				want := calicoOracle(cases, src, dst, port, Egress) && calicoOracle(cases, dst, src, port, Ingress)
				v := n.CheckFlow(f)
				require.Equal(t, want, v.Allowed, "%s > %s:%d %+v\n%s%s", src.name, dst.name, port, v, np, global)
				require.Empty(t, v.Unknown)
				allowed[want]++
			}
		}
	}
	require.Greater(t, min(allowed[true], allowed[false]), 500, "both answers occur: %v", allowed)
}
