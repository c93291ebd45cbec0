// Package calico describes the Calico network: each pod on a veth of its own with
// a route to its address, and a route for every block of addresses of another
// node: through an IPIP or VXLAN tunnel, plain, or through WireGuard.
//
// What Calico means is read from its own objects: IPPools say how packets travel,
// BlockAffinities and IPAMBlocks which node has which addresses, annotations of
// Nodes under which address the others reach a node, and FelixConfigurations how
// its agent is set. The facts are those of github.com/projectcalico/calico: felix
// and confd's templates for BIRD. Where eBPF programs take the place of routes and
// rules, the plugin has no opinion.
package calico
