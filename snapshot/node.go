package snapshot

import (
	"encoding/json"
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Node returns what is known of a node, nodes/<name>/node.json.
func (s *Snapshot) Node(name string) (*nodedump.NodeNetworkStackDump, error) {
	return s.node(NodeBase(name, false))
}

// External returns what is known of a host outside the cluster,
// external/<name>/node.json.
func (s *Snapshot) External(name string) (*nodedump.NodeNetworkStackDump, error) {
	return s.node(NodeBase(name, true))
}

// NetNS returns a network namespace of a node with all its texts. File and the
// Line fields are set.
func (s *Snapshot) NetNS(node, key string) (*nodedump.NetNSInfo, error) {
	return s.netns(NodeBase(node, false), key)
}

// ExternalNetNS is NetNS for a host outside the cluster.
func (s *Snapshot) ExternalNetNS(name, key string) (*nodedump.NetNSInfo, error) {
	return s.netns(NodeBase(name, true), key)
}

func (s *Snapshot) node(base string) (*nodedump.NodeNetworkStackDump, error) {
	file := base + "/node.json"
	data, err := s.readSome(file)
	if err != nil {
		return nil, err
	}
	n := &nodedump.NodeNetworkStackDump{}
	if err := json.Unmarshal(data, n); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return n, nil
}

func (s *Snapshot) netns(base, key string) (*nodedump.NetNSInfo, error) {
	dir := base + "/netns/" + key + "/"
	file := dir + "netns.json"
	data, err := s.readSome(file)
	if err != nil {
		return nil, err
	}
	n, err := parseNetNS(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	n.File, n.Key = file, key
	for _, t := range netnsTexts(n) {
		*t.part = s.Part(dir + t.file)
	}
	return n, nil
}

// readSome reads a part that must have content.
func (s *Snapshot) readSome(name string) ([]byte, error) {
	data, err := s.Read(name)
	if err == nil && len(data) == 0 {
		return nil, notCollected(s.Part(name))
	}
	return data, err
}
