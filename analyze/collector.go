package analyze

import (
	"fmt"
	"sync"

	"github.com/pathsnap/pathsnap/analyze/k8s"
	"github.com/pathsnap/pathsnap/snapshot"
)

// collector gives the pods and nodes of a snapshot, each read once. It
// implements [CollectorManager] and is shared by all walks.
type collector struct {
	snap *snapshot.Snapshot
	ips  *k8s.IPCache

	mu    sync.Mutex
	pods  map[string]*k8s.Pod
	nodes map[string]*k8s.NodeInfo
}

func newCollector(snap *snapshot.Snapshot, ips *k8s.IPCache) *collector {
	return &collector{snap: snap, ips: ips, pods: map[string]*k8s.Pod{}, nodes: map[string]*k8s.NodeInfo{}}
}

// CollectPod implements [CollectorManager].
func (c *collector) CollectPod(namespace, name string) (*k8s.Pod, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := namespace + "/" + name
	if pod, ok := c.pods[key]; ok {
		return pod, nil
	}
	pod, ok := c.ips.LoadPod(c.snap, namespace, name)
	if !ok {
		return nil, fmt.Errorf("no pod %s in the bundle", key)
	}
	c.pods[key] = pod
	return pod, nil
}

// CollectNode implements [CollectorManager].
func (c *collector) CollectNode(name string) (*k8s.NodeInfo, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if node, ok := c.nodes[name]; ok {
		return node, nil
	}
	node, ok := c.ips.LoadNode(c.snap, name)
	if !ok {
		return nil, fmt.Errorf("no node %s in the bundle", name)
	}
	c.nodes[name] = node
	return node, nil
}
