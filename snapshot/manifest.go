package snapshot

import (
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// FormatVersion is the version of the bundle format that this package writes
// and reads.
const FormatVersion = 1

// ManifestName is the name of the manifest in a bundle.
const ManifestName = "manifest.yaml"

// A Manifest lists the parts of a bundle and how the collection of each ended.
type Manifest struct {
	Version    int        `json:"version"`
	Tool       string     `json:"tool,omitempty"`       // name and version of what wrote the bundle
	Created    string     `json:"created,omitempty"`    // RFC 3339
	Kubernetes string     `json:"kubernetes,omitempty"` // version of the API server
	Parts      []PartInfo `json:"parts"`                // sorted by name
}

// A PartInfo is the entry of one part in the manifest. A part without SHA256
// has no file in the bundle.
type PartInfo struct {
	Name   string          `json:"name"`
	Status nodedump.Status `json:"status"`
	Reason string          `json:"reason,omitempty"` // why, unless Status is ok or empty
	SHA256 string          `json:"sha256,omitempty"` // of the file, lower-case hex
	Size   int64           `json:"size,omitempty"`   // of the file, in bytes
}
