// Package connectivity computes who may talk to whom by the policies of a
// cluster: every pod to every pod, to the nodes and to the addresses outside,
// by protocols and ports.
//
// It asks the policies once for each pair of ends that they tell apart, with
// sets of ports instead of single ports: pods that are equal to every policy
// are one [Group], addresses at whose borders no answer changes are one block.
// What policy.Check says about a single conversation is what the report says
// about its port.
package connectivity
