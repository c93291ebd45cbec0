// Package policy says what the policies of a cluster allow, and why.
//
// All kinds of policy meet in one form, and one evaluation asks them:
//
//   - A [Tier] is policies of one standing. Tiers are asked by [Tier.Order]:
//     the Admin tier (AdminNetworkPolicy, ClusterNetworkPolicy), NetworkPolicies
//     (and Calico's default tier), the Baseline tier
//     (BaselineAdminNetworkPolicy, ClusterNetworkPolicy); Calico's own tiers by
//     their order between them.
//   - A [Policy] selects pods for a direction and has rules in order.
//   - A [Rule] holds for a [Flow] if one of its peers of the source, one of the
//     destination and one of its ports do. Its [Action] allows, denies, or
//     passes to the next tier.
//   - A tier in which a policy selects the pod and no rule holds ends as
//     [Tier.End] says: NetworkPolicies deny, admin policies pass. Behind the last
//     tier everything is allowed.
//
// What cannot be known (a peer that is a domain name, an address that a pod
// does not have yet) is netfilter.Maybe. It leaves a verdict open only if both
// answers are possible.
//
// # Another kind of policy
//
// A kind is one row of sources: a function that reads the objects of the
// snapshot and calls builder.add for each, with the tier that it belongs to. It
// needs a [Peer] for what its rules say about one end, and fills in [Rule]s;
// nothing else changes. A kind that has a language of its own keeps that in a
// package below this one, which knows neither tiers nor policies (such as
// policy/calico), and an adapter here. Policies that Calico evaluates in its
// default tier belong to the tier [TierNetworkPolicy], in which
// NetworkPolicies have the order [OrderOfNetworkPolicies].
package policy
