// Package netns dumps the network namespaces of the machine it runs on: its
// own, and those of the pods. It needs Linux and root; elsewhere Collect
// returns ErrUnsupported.
//
// It only reads. It changes no state and loads no kernel module: a query that
// would make the kernel load one (nf_tables, ip_set, conntrack over netlink,
// socket diagnosis) is only sent where that part of the kernel is there
// already, and a save tool is only run where there is something to save.
//
// # How a namespace gets the name of its pod
//
// There is no CRI client here. Its gRPC stack would double the size of the
// binary, it speaks only where the runtime's socket is reachable, and all it
// could tell lies on the node's disk as well. The sources, best first:
//
//   - the cgroup path of a process in the namespace carries the UID of the pod,
//     under every cgroup driver;
//   - the UID leads to namespace and name through what the caller knows
//     (Options.Pods), through the directory names under /var/log/pods, or
//     through what the kubelet keeps under /var/lib/kubelet/pods;
//   - without a UID: an address of the namespace that exactly one pod of
//     Options.Pods has.
//
// The environment of processes is never read: it holds passwords. A namespace
// that no source names keeps the key "netns-..."; a reader may still find its
// pod by address.
package netns
