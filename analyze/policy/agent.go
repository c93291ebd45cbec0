package policy

import "strings"

// An agentChain says by whom chains are written that do what policies say.
type agentChain struct{ prefix, agent string }

// agentChains lists the chains of policy agents, by how their names begin. Of
// Felix' chains only those that decide by policies, or by whether a workload is
// known: others guard tunnels and source addresses. In nftables its chains have
// the name of a table before that ("filter-cali-tw-eth0").
func agentChains() []agentChain {
	const felix, router = "Calico's Felix", "kube-router"
	var out []agentChain
	for _, prefix := range []string{"cali-tw-", "cali-fw-", "cali-pi-", "cali-po-", "cali-pri-", "cali-pro-", "cali-gi-", "cali-go-",
		"cali-th-", "cali-fh-", "cali-thfw-", "cali-fhfw-", "cali-to-wl-dispatch", "cali-from-wl-dispatch", "cali-to-hep", "cali-from-hep"} {
		out = append(out, agentChain{prefix, felix})
	}
	return append(out,
		agentChain{"KUBE-POD-FW-", router},
		agentChain{"KUBE-NWPLCY-", router},
		agentChain{"WEAVE-NPC", "Weave Net's policy controller"},
		agentChain{"kube-network-policies", "kube-network-policies"},
		agentChain{"kindnet-network-policies", "kindnet"},
	)
}

// AgentOf names the policy agent that writes a chain, which is called as in a
// step of the walk: "filter/cali-tw-eth0", "inet kube-network-policies/forward".
// It is "" for what is none of theirs.
func AgentOf(where string) string {
	for part := range strings.SplitSeq(where, "/") {
		for _, word := range strings.Fields(part) {
			for _, c := range agentChains() {
				if strings.HasPrefix(word, c.prefix) || strings.HasPrefix(word, "filter-"+c.prefix) {
					return c.agent
				}
			}
		}
	}
	return ""
}
