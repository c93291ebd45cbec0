// Package linux is the plugin of every network that no plugin of its own is
// written for: kindnet, kube-router, the VPC networks of clouds, and whatever
// else routes with plain Linux.
//
// It has no expectation of the way that packets take: what the kernels do is
// all there is. It names the CNI that it recognises, and knows Services as every
// plugin does. Where a CNI acts in eBPF programs, the namespaces show them, and
// the walk is unknown from there on.
package linux
