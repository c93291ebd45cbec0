package snapshot

// A Problem is something that Verify found.
type Problem struct {
	Part    string // name of the part or file
	Message string
	Note    bool // nothing is wrong with the bundle, but the reader should know
}

// Verify reads every part and says which are missing, damaged or unreadable.
// Files that the manifest does not list are notes.
func Verify(s *Snapshot) []Problem { return nil }

// Merge adds the parts of bundles that were made apart: the cluster on one
// machine, each node on its own. A part that two bundles have must have equal
// bytes in both; else ErrConflict names both. A part with content wins over a
// status without.
func Merge(w *Writer, parts ...*Snapshot) error { return nil }

// Extract writes a bundle to a directory, which is made if it does not exist
// and must be empty if it does. Only listed and undamaged parts are written.
func Extract(s *Snapshot, dir string) error { return nil }

// A Summary is what a bundle holds, for people.
type Summary struct {
	Manifest  Manifest // without Parts
	Nodes     []NodeSummary
	Externals []NodeSummary
	Resources []ResourceSummary
	Statuses  []StatusSummary // parts by status
	Parts     int
	Size      int64 // bytes of all parts
}

// A NodeSummary is what a bundle holds of one node.
type NodeSummary struct {
	Name       string
	Kernel     string
	Pods       int // with a network namespace of their own
	Namespaces int // network namespaces
	Size       int64
	Notes      []string
}

// A ResourceSummary is what a bundle holds of one resource of the cluster.
type ResourceSummary struct {
	PartInfo
	Items int
}

// A StatusSummary is the parts that ended with one status.
type StatusSummary struct {
	Status string
	Count  int
	Parts  []PartInfo // nil for ok and empty
}

// Info sums up a bundle.
func Info(s *Snapshot) (Summary, error) { return Summary{}, nil }
