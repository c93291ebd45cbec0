// Package aliyun is the provider of clusters on Alibaba Cloud: whether a packet
// between machines passes the VPC, by the answers of the public API that a
// bundle holds below infra/aliyun/.
//
// What the cloud does with a packet is taken from its documentation, which is
// named where it is followed; there is no kernel to ask. docs/providers.md says
// which answers are read, and what is not known.
package aliyun

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/snapshot"
	wire "github.com/pathsnap/pathsnap/snapshot/aliyun"
)

// Descriptor returns the provider.
func Descriptor() *infra.Descriptor {
	return &infra.Descriptor{
		Name:   "aliyun",
		Doc:    "Alibaba Cloud: route tables, security groups and ENIs of the VPC, as far as the bundle has them",
		Detect: detect,
		New:    create,
	}
}

// detect looks for the answers of the API, and for providerIDs.
func detect(s *snapshot.Snapshot) (found bool, saw string) {
	files := s.InfraFiles("aliyun")
	for _, name := range files {
		if s.Part(name).Status.Known() {
			return true, name
		}
	}
	if len(files) > 0 {
		return true, files[0]
	}
	nodes, err := s.Nodes()
	if err != nil {
		return false, "no file in infra/aliyun/, and no nodes to look at"
	}
	for i := range nodes {
		if _, ok := InstanceOf(nodes[i].Spec.ProviderID); ok {
			return true, fmt.Sprintf("providerID %s of node %s", nodes[i].Spec.ProviderID, nodes[i].Name)
		}
	}
	return false, "no file in infra/aliyun/, and no providerID like cn-hangzhou.i-1"
}

// InstanceOf returns the ID of the ECS instance that a node's providerID names:
// "REGION.INSTANCE", with or without "alicloud://" before it. It reports false
// for those of other clouds (NodeFromProviderID of cloud-provider-alibaba-cloud).
func InstanceOf(providerID string) (instance string, ok bool) {
	scheme, rest, has := strings.Cut(providerID, "://")
	if !has {
		scheme, rest = "alicloud", providerID
	}
	region, instance, ok := strings.Cut(rest, ".")
	ok = ok && scheme == "alicloud" && region != "" && strings.Contains(region, "-") && strings.HasPrefix(instance, "i-") && !strings.ContainsAny(instance, "./")
	if !ok {
		return "", false
	}
	return instance, true
}

// create reads the answers that the bundle holds.
func create(env infra.Env) (u infra.Underlay, notes []string, problems []error) {
	facts := &wire.Facts{}
	for _, name := range env.Snapshot.InfraFiles("aliyun") {
		part := env.Snapshot.Part(name)
		if part.Data == nil {
			problems = append(problems, fmt.Errorf("%s: %s: %s", name, part.Status, part.Reason))
			continue
		}
		bad, err := facts.Add(name, part.Data)
		if problems = append(problems, bad...); err != nil {
			problems = append(problems, err)
		}
	}
	if !slices.ContainsFunc(needed(), func(n need) bool { return facts.Given(n.action) }) {
		return nil, []string{"nothing in infra/aliyun/ tells of the VPC"}, problems
	}
	for _, what := range slices.Sorted(maps.Keys(facts.Cut())) {
		problems = append(problems, fmt.Errorf("%s: another page of %s follows, and the bundle does not have it", facts.Cut()[what], what))
	}
	v, bad := newVPC(facts, env)
	return v, missing(facts), append(problems, bad...)
}

// A need is an answer of the API, and what is not looked at without it.
type need struct{ action, what string }

func needed() []need {
	return []need{
		{"DescribeRouteEntryList", "the routes of the VPC"},
		{"DescribeNetworkInterfaces", "whose addresses ENIs may send from"},
		{"DescribeSecurityGroupAttribute", "the rules of the security groups"},
	}
}

// missing says what is taken to be good because nothing tells of it.
func missing(facts *wire.Facts) (notes []string) {
	for _, n := range needed() {
		if !facts.Given(n.action) {
			notes = append(notes, n.what+" (no "+n.action+")")
		}
	}
	return notes
}
