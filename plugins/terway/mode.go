package terway

import (
	"crypto/sha1" //nolint:gosec // a name, no secret
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/netstack"
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
	exclusiveVeth = "veth1" // of exclusive pods, to their node (defaultVethForENI)
	labelENIOnly  = "k8s.aliyun.com/exclusive-mode-eni-type"
)

// linkIP is what veths of pods have as their router (LinkIP).
func linkIP() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 1}) }

// modeOf tells how a pod is attached: by its devices, or by what its node has for
// it, or by the configuration.
func (t *terway) modeOf(pod *corev1.Pod) mode {
	if t.cfg.Mode != "" {
		return mode(t.cfg.Mode)
	}
	if _, ns := plugin.PodPlace(t.env, pod); ns != nil {
		if m := t.byDevices(pod, ns); m != "" {
			return m
		}
	}
	return t.byNode(pod)
}

// byDevices tells the mode by the pod's devices, "" if they do not tell.
func (t *terway) byDevices(pod *corev1.Pod, ns *netstack.NetNS) mode {
	dev, ok := ns.Device(podDevice)
	if !ok {
		return ""
	}
	switch dev.Kind {
	case "ipvlan":
		return modeIPvlan
	case "vlan":
		return modeVLAN
	}
	if _, ok := plugin.PodEnd(t.env, pod, podDevice); ok {
		return t.vethMode(pod)
	}
	if _, peer := ns.Device(exclusiveVeth); peer || dev.Kind == "" {
		return modeExclusive
	}
	return ""
}

// vethMode is the mode of a pod that has a veth: with an address of its node's own
// range it is of the mode VPC.
func (t *terway) vethMode(pod *corev1.Pod) mode {
	for _, ip := range plugin.PodIPs(pod) {
		if slices.ContainsFunc(t.env.IPCache.GetNodePodCIDRs(pod.Spec.NodeName), func(c netip.Prefix) bool { return c.Contains(ip) }) {
			return modeVPC
		}
	}
	return modeVeth
}

// byNode tells the mode of a pod whose devices do not.
func (t *terway) byNode(pod *corev1.Pod) mode {
	name := pod.Spec.NodeName
	ns := t.host(name)
	for _, ip := range plugin.PodIPs(pod) {
		if ns == nil || !ip.Is4() {
			continue
		}
		if _, _, ok := ruleFrom(ns, ip); ok {
			return modeVeth
		}
		for _, e := range ns.FIB.Routes(route.TableMain, netip.PrefixFrom(ip, 32)) {
			if e.Route != nil && strings.HasPrefix(e.Route.Dev, slavePrefix) {
				return modeIPvlan
			}
		}
	}
	conf, _ := configOf(t.env.Snapshot, name)
	switch {
	case t.exclusiveNode(name):
		return modeExclusive
	case strings.EqualFold(conf.VirtualType, "ipvlan"):
		return modeIPvlan
	}
	return t.vethMode(pod)
}

// exclusiveNode reports whether all pods of a node have ENIs of their own
// (NodeExclusiveENIMode in types/k8s.go).
func (t *terway) exclusiveNode(name string) bool {
	node, ok := t.env.IPCache.GetNodeFromName(name)
	return ok && strings.EqualFold(node.Labels[labelENIOnly], "eniOnly")
}

// hostEnd is the node's end of a pod's veth, by the pod's own end or else by its name
// (VethNameForPod; the prefix is defaultVethPrefix in plugin/terway/cni.go).
func (t *terway) hostEnd(pod *corev1.Pod, ifName string) string {
	if dev, ok := plugin.PodEnd(t.env, pod, ifName); ok {
		return dev
	}
	sum := sha1.Sum([]byte(pod.Namespace + "." + pod.Name)) //nolint:gosec // as above
	return "cali" + hex.EncodeToString(sum[:])[:11]
}
