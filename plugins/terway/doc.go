// Package terway describes terway, the network of Alibaba Cloud's Kubernetes: pods
// have addresses of the VPC, and the VPC itself carries packets between nodes.
//
// How a pod is attached is a matter of each pod, and is read from the node's own
// state: a veth and a route in the VPC's route table (VPC), a veth and policy
// routing by the ENI that has the pod's address (ENIIP), an ipvlan on that ENI,
// an ENI of the pod's own, or a VLAN of a trunk ENI. docs/plugins/terway.md lists
// what is asserted of each, and what is not known.
//
// Names and numbers are those of AliyunContainerService/terway: priorities of
// rules and 169.254.1.1 from plugin/datapath/consts_linux.go, tables from
// GetRouteTableID in plugin/driver/utils/utils_linux.go, the names of veths from
// pkg/link/veth.go, routes and rules of each mode from the file of its name in
// plugin/datapath (that of VPC was there until version 1.10).
package terway
