package analyze

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack"
	"github.com/pathsnap/pathsnap/analyze/topology"
	"github.com/pathsnap/pathsnap/snapshot"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// atlas finds and keeps the namespaces of a snapshot. It implements
// [topology.Atlas]. Each is read and parsed on first use.
type atlas struct {
	snap *snapshot.Snapshot
	ips  *k8s.IPCache

	mu       sync.Mutex // walks of independent flows share the atlas
	netns    map[topology.Place]*netstack.NetNS
	problems map[topology.Place][]error
	places   map[string][]topology.Place
	hops     map[topology.Place]model.Hop
	homes    map[home]topology.Place
}

// A home is a pod on a node.
type home struct {
	base string
	pod  model.Hop
}

func newAtlas(snap *snapshot.Snapshot, ips *k8s.IPCache) *atlas {
	return &atlas{snap: snap, ips: ips, netns: map[topology.Place]*netstack.NetNS{}, problems: map[topology.Place][]error{},
		places: map[string][]topology.Place{}, hops: map[topology.Place]model.Hop{}, homes: map[home]topology.Place{}}
}

// NetNS implements [topology.Atlas].
func (a *atlas) NetNS(p topology.Place) *netstack.NetNS {
	a.mu.Lock()
	defer a.mu.Unlock()
	if ns, ok := a.netns[p]; ok {
		return ns
	}
	var ns *netstack.NetNS
	if info, err := a.load(p); err == nil {
		var problems []error
		ns, problems = netstack.New(info)
		a.problems[p] = append(a.problems[p], problems...)
	}
	a.netns[p] = ns
	return ns
}

// Problems returns what could not be understood in a place.
func (a *atlas) Problems(p topology.Place) []error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.problems[p]
}

func (a *atlas) load(p topology.Place) (*nodedump.NetNSInfo, error) {
	if name, ok := strings.CutPrefix(p.Base, "external/"); ok {
		return a.snap.ExternalNetNS(name, p.Netns)
	}
	return a.snap.NetNS(strings.TrimPrefix(p.Base, "nodes/"), p.Netns)
}

// Places implements [topology.Atlas].
func (a *atlas) Places(base string) []topology.Place {
	a.mu.Lock()
	defer a.mu.Unlock()
	if places, ok := a.places[base]; ok {
		return places
	}
	host := topology.Place{Base: base, Netns: nodedump.HostNetns}
	places := []topology.Place{host}
	if name, ok := strings.CutPrefix(base, "nodes/"); ok {
		a.hops[host] = model.Hop{Type: model.NetNodeTypeNode, ID: name}
		places = append(places, a.pods(base, name)...)
	} else {
		a.hops[host] = model.Hop{Type: model.NetNodeTypeExternal, ID: strings.TrimPrefix(base, "external/")}
	}
	a.places[base] = places
	return places
}

// pods names the pods' namespaces of a node.
func (a *atlas) pods(base, name string) (places []topology.Place) {
	dump, err := a.snap.Node(name)
	if err != nil {
		host := topology.Place{Base: base, Netns: nodedump.HostNetns}
		a.problems[host] = append(a.problems[host], fmt.Errorf("which namespaces node %s has, and whose they are: %w", name, err))
		return nil
	}
	load := func(key string) (*nodedump.NetNSInfo, error) { return a.snap.NetNS(name, key) }
	for _, n := range a.ips.PodNetns(dump, load) {
		p := topology.Place{Base: base, Netns: n.Key}
		places = append(places, p)
		a.hops[p] = model.Hop{Type: model.NetNodeTypeGeneric, ID: p.ID()}
		if n.PodName != "" {
			a.hops[p] = model.PodHop(n.Namespace, n.PodName)
			if h := (home{base, a.hops[p]}); a.homes[h] == (topology.Place{}) {
				a.homes[h] = p
			}
		}
	}
	return places
}

// hopOf names the vertex of a place.
func (a *atlas) hopOf(p topology.Place) model.Hop {
	a.Places(p.Base)
	a.mu.Lock()
	defer a.mu.Unlock()
	if hop, ok := a.hops[p]; ok {
		return hop
	}
	return model.Hop{Type: model.NetNodeTypeGeneric, ID: p.ID()}
}

// placeOf finds the place of a vertex that a namespace of the bundle is behind.
func (a *atlas) placeOf(hop model.Hop) (topology.Place, bool) {
	switch hop.Type {
	case model.NetNodeTypeNode:
		return topology.Place{Base: "nodes/" + hop.ID, Netns: nodedump.HostNetns}, true
	case model.NetNodeTypeExternal:
		return topology.Place{Base: "external/" + hop.ID, Netns: nodedump.HostNetns}, true
	case model.NetNodeTypeGeneric:
		base, key, ok := strings.Cut(hop.ID, "/netns/")
		return topology.Place{Base: base, Netns: key}, ok
	case model.NetNodeTypePod:
		return a.podPlace(hop)
	}
	return topology.Place{}, false
}

func (a *atlas) podPlace(hop model.Hop) (topology.Place, bool) {
	namespace, name, _ := strings.Cut(hop.ID, "/")
	pod, ok := a.ips.GetPodFromName(namespace, name)
	if !ok {
		return topology.Place{}, false
	}
	base := "nodes/" + pod.Spec.NodeName
	a.Places(base)
	a.mu.Lock()
	defer a.mu.Unlock()
	p, ok := a.homes[home{base, hop}]
	return p, ok
}

// Pod implements [topology.Atlas].
func (a *atlas) Pod(ip netip.Addr) (topology.Place, bool) {
	pod, ok := a.ips.GetPodFromIP(ip)
	if !ok {
		return topology.Place{}, false
	}
	return a.podPlace(model.PodHop(pod.Namespace, pod.Name))
}

// Owner implements [topology.Atlas]. An address that the cluster gives a machine
// and that none of its devices has is somebody else's to translate: a cloud's.
func (a *atlas) Owner(ip netip.Addr) (topology.Place, bool) {
	place := topology.Place{Netns: nodedump.HostNetns}
	if name, ok := a.ips.GetNodeNameFromIP(ip); ok {
		place.Base = "nodes/" + name
	} else if name, ok := a.ips.GetExternalFromIP(ip); ok {
		place.Base = "external/" + name
	} else {
		return topology.Place{}, false
	}
	if ns := a.NetNS(place); ns != nil {
		if _, ok := ns.FIB.DeviceOwning(ip); !ok {
			return topology.Place{}, false
		}
	}
	return place, true
}

var _ topology.Atlas = (*atlas)(nil)
