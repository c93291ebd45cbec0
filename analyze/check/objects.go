package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// checkNodes is about Node objects. One that was not collected keeps every
// other check from its answer.
func checkNodes(s *scope) {
	for _, n := range s.nodes {
		if n.ns == nil {
			s.unknown(n.name, "", "node %s: its network namespace is not in the bundle", n.name)
		}
		if n.object == nil {
			s.misnamed(n)
			continue
		}
		for _, c := range n.object.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status != corev1.ConditionTrue {
				s.find(n.name, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "cluster/node-not-ready", Evidence: "cluster/nodes.yaml",
					Message: strings.TrimSuffix(fmt.Sprintf("node %s is not ready: %s", n.name, c.Message), ": "),
					Remedy:  "Look at the kubelet of node " + n.name + ": its endpoints are taken out of every Service."})
			}
		}
	}
	if len(s.nodes) == 0 {
		s.unknown("", "", "the bundle has no node")
	}
}

// misnamed tells that the dump of a node that nobody knows is that of a Node without one:
// it has its address.
func (s *scope) misnamed(n *host) {
	for _, node := range s.nodes {
		if n.ns == nil || node.ns != nil || node.object == nil {
			continue
		}
		for _, ip := range s.env.IPCache.GetNodeIPs(node.name) {
			if _, ok := n.ns.FIB.DeviceOwning(ip); ok {
				s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "bundle/misnamed", Evidence: n.ns.Info.File,
					Message: fmt.Sprintf("no Node is called %s, and its dump has the address %s of node %s, which has no dump: what is found on either is not so", n.name, ip, node.name),
					Remedy:  fmt.Sprintf("Call the directory of the dump nodes/%s, and import it again.", node.name)})
				return
			}
		}
	}
}

// checkPods is about the addresses of running pods.
func checkPods(s *scope) {
	if err := s.env.IPCache.Missing("pods"); err != nil {
		s.unknown("", "", "pods: %v", err)
	}
	for _, n := range s.nodes {
		for _, p := range n.pods {
			s.podAddress(n, p)
		}
	}
}

func (s *scope) podAddress(n *host, p *space) {
	if p.pod.Status.Phase != corev1.PodRunning {
		return
	}
	ips := podIPs(p.pod)
	if len(ips) == 0 {
		s.find(n.name, model.Suspicion{Level: model.SuspicionLevelWarning, Code: "pod/no-address", On: p.hop(), Evidence: "cluster/pods.yaml",
			Message: fmt.Sprintf("pod %s runs on node %s and has no address", p.name(), n.name),
			Remedy:  "See what the CNI plugin of node " + n.name + " says about the pod, and whether its pod CIDR is used up."})
		return
	}
	if p.ns == nil {
		s.unknown(n.name, "", "pod %s: its network namespace is not in the bundle", p.name())
		return
	}
	if p.ns.Unread("interfaces") != nil {
		return // said with the devices
	}
	for _, ip := range ips {
		if _, ok := p.ns.FIB.DeviceOwning(ip); !ok && !slices.ContainsFunc(p.ns.Info.Interfaces, isDown) {
			s.find(n.name, model.Suspicion{Level: model.SuspicionLevelCritical, Code: "pod/address-missing", On: p.hop(), Evidence: p.ns.Info.File,
				Message: fmt.Sprintf("no device of pod %s has its address %s", p.name(), ip), Remedy: "Recreate the pod."})
		}
	}
}

// podIPs are the addresses of a pod as its object has them.
func podIPs(pod *corev1.Pod) (ips []netip.Addr) {
	texts := []string{pod.Status.PodIP}
	for _, p := range pod.Status.PodIPs {
		texts = append(texts, p.IP)
	}
	for _, text := range texts {
		if ip, err := netip.ParseAddr(text); err == nil && !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	return ips
}
