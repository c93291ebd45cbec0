package snapshot

import "github.com/pathsnap/pathsnap/snapshot/nodedump"

// NormalizeTables makes what iptables-save printed comparable: packet and byte
// counters go ("[12:34] " before a rule, behind a chain's policy they become
// "[0:0]"), and so do the "# Generated" and "# Completed" lines with their
// dates.
func NormalizeTables(text []byte) []byte { return text }

// FormatConntrack writes conntrack.json, one entry per line.
func FormatConntrack(t *nodedump.ConnTable) ([]byte, error) { return nil, nil }

// ParseConntrack reads conntrack.json. The Line fields are set.
func ParseConntrack(data []byte) (*nodedump.ConnTable, error) { return nil, nil }

// FormatIPVS writes ipvs.json: {"rules": [...]}, the lines of
// "ipvsadm-save -n", one per line.
func FormatIPVS(rules []string) ([]byte, error) { return nil, nil }

// ParseIPVS reads ipvs.json.
func ParseIPVS(data []byte) ([]string, error) { return nil, nil }
