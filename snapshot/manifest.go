package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

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

// partsLine separates the head of a manifest from its parts, which are YAML
// and JSON at the same time: one part in one line.
const partsLine = "parts:\n"

// formatManifest writes a manifest, one part in one line.
func formatManifest(m *Manifest) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "version: %d\n", m.Version)
	for _, f := range [][2]string{{"tool", m.Tool}, {"created", m.Created}, {"kubernetes", m.Kubernetes}} {
		if f[1] != "" {
			fmt.Fprintf(&b, "%s: %s\n", f[0], quote(f[1]))
		}
	}
	if len(m.Parts) == 0 {
		b.WriteString("parts: []\n")
		return b.Bytes(), nil
	}
	b.WriteString(partsLine)
	for i := range m.Parts {
		line, err := compactJSON(&m.Parts[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Parts[i].Name, err)
		}
		b.WriteString("- ")
		b.Write(line)
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// parseManifest reads a manifest in any YAML, and fast if it has the form of
// formatManifest.
func parseManifest(data []byte) (*Manifest, error) {
	var head struct {
		Version int `json:"version"`
	}
	m, ok := parseManifestLines(data)
	if !ok {
		if err := yaml.Unmarshal(data, &head); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, ManifestName, err)
		}
		if err := checkVersion(head.Version); err != nil {
			return nil, err
		}
		m = &Manifest{}
		if err := yaml.Unmarshal(data, m); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrFormat, ManifestName, err)
		}
	}
	if err := checkVersion(m.Version); err != nil {
		return nil, err
	}
	if err := checkParts(m); err != nil {
		return nil, err
	}
	return m, nil
}

// parseManifestLines reads a manifest that has each part on one line as JSON.
func parseManifestLines(data []byte) (*Manifest, bool) {
	head, lines, found := bytes.Cut(data, []byte("\n"+partsLine))
	if !found {
		return nil, false
	}
	m := &Manifest{}
	if err := yaml.Unmarshal(head, m); err != nil || m.Parts != nil {
		return nil, false
	}
	m.Parts = make([]PartInfo, 0, bytes.Count(lines, []byte("\n")))
	for line := range bytes.Lines(lines) {
		line, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("- {"))
		if !ok {
			return nil, false
		}
		var p PartInfo
		if json.Unmarshal(slices.Concat([]byte("{"), line), &p) != nil {
			return nil, false
		}
		m.Parts = append(m.Parts, p)
	}
	return m, true
}

func checkVersion(v int) error {
	if v != FormatVersion {
		return fmt.Errorf("%w: %s: format version %d, this reads version %d", ErrFormat, ManifestName, v, FormatVersion)
	}
	return nil
}

// checkParts sorts the parts and refuses those that no writer makes.
func checkParts(m *Manifest) error {
	byName := func(a, b PartInfo) int { return strings.Compare(a.Name, b.Name) }
	if !slices.IsSortedFunc(m.Parts, byName) {
		slices.SortStableFunc(m.Parts, byName)
	}
	for i := range m.Parts {
		p := &m.Parts[i]
		if err := checkPart(p); err != nil {
			return fmt.Errorf("%s: %w", ManifestName, err)
		}
		if i > 0 && p.Name == m.Parts[i-1].Name {
			return fmt.Errorf("%w: %s: part %s is listed twice", ErrFormat, ManifestName, p.Name)
		}
	}
	return nil
}

// checkPart refuses an entry that contradicts itself.
func checkPart(p *PartInfo) error {
	if err := CheckName(p.Name); err != nil {
		return err
	}
	switch {
	case p.Name == ManifestName:
		return fmt.Errorf("%w: the manifest lists itself", ErrFormat)
	case !validStatus(p.Status):
		return fmt.Errorf("%w: part %s: unknown status %q", ErrFormat, p.Name, p.Status)
	case p.SHA256 != "" && !isSHA256(p.SHA256):
		return fmt.Errorf("%w: part %s: %q is no sha256", ErrFormat, p.Name, p.SHA256)
	case p.Status == nodedump.StatusOK && p.SHA256 == "":
		return fmt.Errorf("%w: part %s: status ok without a sha256", ErrFormat, p.Name)
	case p.Status == nodedump.StatusEmpty && p.SHA256 != "":
		return fmt.Errorf("%w: part %s: status empty with a sha256", ErrFormat, p.Name)
	case p.Size < 0:
		return fmt.Errorf("%w: part %s: size %d", ErrFormat, p.Name, p.Size)
	}
	return nil
}

// validStatus reports whether a manifest may hold s. Not-collected is what a
// reader says, never what is written.
func validStatus(s nodedump.Status) bool {
	switch s {
	case nodedump.StatusOK, nodedump.StatusEmpty, nodedump.StatusToolMissing, nodedump.StatusDenied,
		nodedump.StatusTruncated, nodedump.StatusTimedOut, nodedump.StatusFailed:
		return true
	default:
		return false
	}
}

func isSHA256(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// quote writes s as JSON, which is YAML too.
func quote(s string) string {
	b, err := compactJSON(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// compactJSON is json.Marshal that leaves <, > and & alone.
func compactJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
