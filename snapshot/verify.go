package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A Problem is something that Verify found.
type Problem struct {
	Part    string // name of the part or file
	Message string
	Note    bool // nothing is wrong with the bundle, but its reader should know
}

// Verify reads every part and says which are missing, damaged or unreadable,
// in the order of the manifest. Files that the manifest does not list are
// notes.
func Verify(s *Snapshot) []Problem {
	var out []Problem
	for i := range s.manifest.Parts {
		info := &s.manifest.Parts[i]
		if err := s.verifyPart(info); err != nil {
			out = append(out, Problem{Part: info.Name, Message: err.Error()})
		}
	}
	return append(out, s.unlisted()...)
}

func (s *Snapshot) verifyPart(info *PartInfo) error {
	p, err := s.read(info.Name)
	if err != nil {
		return err
	}
	if size := int64(len(p.Data)); size != info.Size {
		return fmt.Errorf("%w: %d bytes, the manifest says %d", ErrChecksum, size, info.Size)
	}
	if !p.Status.Known() || p.Data == nil {
		return nil
	}
	return s.parsePart(p)
}

// parsePart reads a part as its name says.
func (s *Snapshot) parsePart(p nodedump.Part) error {
	dir, base := path.Split(p.File)
	switch {
	case strings.Contains(dir, "/files/"):
		return nil
	case strings.HasPrefix(dir, "infra/"):
		return parseDocuments(p.Data)
	case base == "netns.json":
		_, err := parseNetNS(p.Data)
		return err
	case base == "conntrack.json":
		_, err := ParseConntrack(p.Data)
		return err
	case base == "ipvs.json":
		_, err := ParseIPVS(p.Data)
		return err
	case base == "node.json":
		return s.parseNode(dir, p.Data)
	case dir == "cluster/":
		_, err := yaml.YAMLToJSON(p.Data)
		return err
	case strings.HasSuffix(base, ".json") && !json.Valid(p.Data):
		return errors.New("no JSON")
	}
	return nil
}

// parseDocuments reads JSON documents that follow each other.
func parseDocuments(data []byte) error {
	for d := json.NewDecoder(bytes.NewReader(data)); ; {
		var document json.RawMessage
		if err := d.Decode(&document); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// parseNode reads node.json and looks for the network namespaces it names.
func (s *Snapshot) parseNode(dir string, data []byte) error {
	n := &nodedump.NodeNetworkStackDump{}
	if err := json.Unmarshal(data, n); err != nil {
		return err
	}
	if dir != NodeBase(n.Name, n.External)+"/" {
		return fmt.Errorf("it is about %s", NodeBase(n.Name, n.External))
	}
	for _, key := range n.Netns {
		if s.Part(dir+"netns/"+key+"/netns.json").Status == nodedump.StatusNotCollected {
			return fmt.Errorf("it names the network namespace %s, which the manifest does not list", show(key))
		}
	}
	return nil
}

// unlisted notes the files that the manifest does not list.
func (s *Snapshot) unlisted() []Problem {
	var out []Problem
	err := fs.WalkDir(s.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == ManifestName {
			return err
		}
		i, listed := s.index[name]
		switch {
		case !listed:
			out = append(out, Problem{Part: name, Message: "not in the manifest, ignored", Note: true})
		case s.manifest.Parts[i].SHA256 == "":
			out = append(out, Problem{Part: name, Message: "has no sha256 in the manifest, ignored", Note: true})
		}
		return nil
	})
	if err != nil {
		out = append(out, Problem{Part: ".", Message: err.Error()})
	}
	return out
}
