package k8s

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// nodeDumps adds what the dumps of the nodes tell: the addresses of their
// devices, and their pods if there are no Pod objects.
func (b *builder) nodeDumps() {
	owners := map[netip.Addr][]string{}
	for _, name := range b.snap.NodeNames() {
		n := b.node(name)
		ips, err := b.deviceIPs(snapshot.NodeBase(name, false), nodedump.HostNetns)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		n.dumped = true
		for _, ip := range ips {
			owners[ip] = append(owners[ip], name)
			if !slices.Contains(n.ips, ip) {
				n.ips = append(n.ips, ip)
			}
		}
		if len(n.podCIDRs) == 0 {
			b.subnetEnv(name, n)
		}
	}
	for ip, names := range owners {
		if len(names) == 1 { // docker0 and the like have the same address everywhere
			b.c.nodesByDev[ip] = names[0]
		}
	}
	if errors.Is(b.c.missing["pods"], snapshot.ErrNotCollected) {
		b.dumpedPods()
	}
}

func (b *builder) externalDumps() {
	for _, name := range b.snap.ExternalNames() {
		ips, err := b.deviceIPs(snapshot.NodeBase(name, true), nodedump.HostNetns)
		if err != nil {
			b.errs = append(b.errs, err)
		}
		b.c.externals[name] = ips
		for _, ip := range ips {
			if _, twice := b.c.externalIP[ip]; !twice {
				b.c.externalIP[ip] = name
			}
		}
	}
}

// deviceIPs returns the global addresses of a namespace's devices, in their
// order. It reads no more of the namespace than that, because it is asked for
// every node.
func (b *builder) deviceIPs(base, key string) ([]netip.Addr, error) {
	file := base + "/netns/" + key + "/netns.json"
	data, err := b.snap.Read(file)
	if err != nil {
		return nil, err
	}
	var info struct {
		Interfaces []nodedump.Interface `json:"interfaces"`
	}
	if err := json.Unmarshal(data, &info); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return globalIPs(info.Interfaces), nil
}

// globalIPs returns the addresses that others can know a namespace by.
func globalIPs(interfaces []nodedump.Interface) (ips []netip.Addr) {
	for _, dev := range interfaces {
		if dev.Name == "kube-ipvs0" { // has the addresses of Services
			continue
		}
		for _, a := range dev.Addrs {
			p, err := netip.ParsePrefix(a.Prefix)
			if err != nil || a.Scope != "" && a.Scope != "global" {
				continue
			}
			ip := p.Addr().Unmap()
			if !ip.IsLoopback() && !ip.IsLinkLocalUnicast() && !slices.Contains(ips, ip) {
				ips = append(ips, ip)
			}
		}
	}
	return ips
}

// dumpedPods makes pods of what the nodes say about their pods.
func (b *builder) dumpedPods() {
	for _, name := range b.snap.NodeNames() {
		node, err := b.snap.Node(name)
		if err != nil {
			b.errs = append(b.errs, err)
			continue
		}
		for _, p := range node.Pods {
			if p.Name != "" {
				b.dumpedPod(name, p)
			}
		}
	}
}

func (b *builder) dumpedPod(node string, p nodedump.PodNetInfo) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.UID)},
		Spec:       corev1.PodSpec{NodeName: node, HostNetwork: p.HostNetwork || p.Netns == nodedump.HostNetns},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning},
	}
	ips := b.node(node).ips
	if !pod.Spec.HostNetwork {
		var err error
		if ips, err = b.deviceIPs(snapshot.NodeBase(node, false), p.Netns); err != nil {
			b.errs = append(b.errs, err)
		}
	}
	for _, ip := range ips {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: ip.String()})
	}
	b.pod(pod)
}
