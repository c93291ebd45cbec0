package snapshot

import "github.com/pathsnap/pathsnap/snapshot/nodedump"

// Node returns what is known of a node, nodes/<name>/node.json.
func (s *Snapshot) Node(name string) (*nodedump.NodeNetworkStackDump, error) {
	return nil, notCollected(nodedump.Part{File: "nodes/" + name + "/node.json"})
}

// External returns what is known of a host outside the cluster,
// external/<name>/node.json.
func (s *Snapshot) External(name string) (*nodedump.NodeNetworkStackDump, error) {
	return nil, notCollected(nodedump.Part{File: "external/" + name + "/node.json"})
}

// NetNS returns a network namespace of a node with all its texts. File and the
// Line fields are set.
func (s *Snapshot) NetNS(node, key string) (*nodedump.NetNSInfo, error) {
	return nil, notCollected(nodedump.Part{File: "nodes/" + node + "/netns/" + key + "/netns.json"})
}

// ExternalNetNS is NetNS for a host outside the cluster.
func (s *Snapshot) ExternalNetNS(name, key string) (*nodedump.NetNSInfo, error) {
	return nil, notCollected(nodedump.Part{File: "external/" + name + "/netns/" + key + "/netns.json"})
}
