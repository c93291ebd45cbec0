package terway

import (
	"cmp"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/netstack/route"
	"github.com/pathsnap/pathsnap/analyze/plugin"
)

// A mode is how a pod is attached.
type mode string

const (
	modeVPC       mode = "vpc"       // a veth; the node's range is in the VPC's route table
	modeVeth      mode = "veth"      // ENIIP: a veth, and policy routing by an ENI
	modeIPvlan    mode = "ipvlan"    // ENIIP: an ipvlan on an ENI
	modeExclusive mode = "exclusive" // an ENI in the pod
	modeVLAN      mode = "vlan"      // a VLAN of a trunk ENI in the pod
)

const (
	podDevice     = "eth0"
	slavePrefix   = "ipvl_" // of the node's ipvlan on an ENI
	exclusiveVeth = "veth1" // of exclusive pods, to their node (defaultVethForENI)
	labelENIOnly  = "k8s.aliyun.com/exclusive-mode-eni-type"
)

// linkIP is what veths of pods have as their router (LinkIP).
func linkIP() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 1}) }

// modeOf tells how a pod is attached.
func (t *terway) modeOf(pod *corev1.Pod) mode {
	if m := cmp.Or(mode(t.cfg.Mode), t.byDevices(pod)); m != "" {
		return m
	}
	return t.byNode(pod)
}

// byDevices tells the mode by the pod's device, "" if it does not tell.
func (t *terway) byDevices(pod *corev1.Pod) mode {
	switch kind, _ := plugin.PodAttachment(t.Env, pod, podDevice); kind {
	case "ipvlan":
		return modeIPvlan
	case "vlan":
		return modeVLAN
	case "veth":
		return t.vethMode(pod)
	case plugin.Outward:
		return modeExclusive
	}
	return ""
}

// vethMode is the mode of a pod that has a veth: with an address of its node's own
// range it is of the mode VPC.
func (t *terway) vethMode(pod *corev1.Pod) mode {
	for _, ip := range plugin.PodIPs(pod) {
		if _, ok := t.PodCIDR(pod.Spec.NodeName, ip); ok {
			return modeVPC
		}
	}
	return modeVeth
}

// byNode tells the mode of a pod whose device does not: by what the node has for its
// address, or else by the configuration.
func (t *terway) byNode(pod *corev1.Pod) mode {
	node, ip := pod.Spec.NodeName, plugin.PodIPv4(pod)
	if ns := t.HostNS(node); ns != nil && ip.IsValid() {
		if _, ok := routing().RuleFrom(ns, ip); ok {
			return modeVeth
		}
		if strings.HasPrefix(ns.FIB.InTable(route.TableMain, route.Query{Dst: ip}).Dev, slavePrefix) {
			return modeIPvlan
		}
	}
	switch {
	case t.exclusiveNode(node):
		return modeExclusive
	case strings.EqualFold(t.conf(node).VirtualType, "ipvlan"):
		return modeIPvlan
	}
	return t.vethMode(pod)
}

// exclusiveNode reports whether all pods of a node have ENIs of their own
// (NodeExclusiveENIMode in types/k8s.go).
func (t *terway) exclusiveNode(name string) bool {
	node, ok := t.IPCache.GetNodeFromName(name)
	return ok && strings.EqualFold(node.Labels[labelENIOnly], "eniOnly")
}

// veth is a pod's cable to its node; the prefix is defaultVethPrefix in
// plugin/terway/cni.go.
func (t *terway) veth(pod *corev1.Pod) plugin.Veth {
	if t.modeOf(pod) == modeExclusive {
		return plugin.VethOf(t.Env, pod, exclusiveVeth, "cali")
	}
	return plugin.VethOf(t.Env, pod, podDevice, "cali")
}
