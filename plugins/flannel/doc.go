// Package flannel describes the flannel network: pods of a node on one bridge,
// nodes joined by a VXLAN (backend vxlan) or by routes to each other
// (backend host-gw).
//
// What flannel means is read from its own records: net-conf.json in the
// kube-flannel-cfg ConfigMap, the annotations that flanneld keeps on each Node
// (backend type, VTEP address, public address), and the nodes' pod CIDRs.
// Other backends are not modelled yet: then the plugin has no opinion on the
// way between nodes, and what the kernel does is all there is.
package flannel
