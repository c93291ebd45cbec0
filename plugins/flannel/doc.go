// Package flannel describes the flannel network: pods of a node on one bridge,
// nodes joined by a VXLAN (backend vxlan), by routes to each other (host-gw, or
// vxlan and ipip with DirectRouting), by an IPIP or a WireGuard device, or by
// whatever the cloud routes (alloc).
//
// What flannel means is read from its own records: net-conf.json in the
// kube-flannel-cfg ConfigMap, the annotations that flanneld keeps on each Node
// (backend type, VTEP address, public address), the nodes' pod CIDRs, the
// subnet.env that flanneld leaves on a node and the CNI configuration there.
// Where two of them say different things, that is a finding. Of backends that are
// not known the plugin has no opinion on the way between nodes, and what the
// kernel does is all there is.
package flannel
