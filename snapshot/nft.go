package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// An nftRuleset is what "nft -j list ruleset" prints.
type nftRuleset struct {
	Objects []json.RawMessage `json:"nftables"`
}

// NormalizeNFT makes what "nft -j list ruleset" printed comparable and
// readable: each object of the ruleset on a line of its own, packet and byte
// counters 0.
func NormalizeNFT(data []byte) ([]byte, error) {
	var ruleset nftRuleset
	if err := json.Unmarshal(data, &ruleset); err != nil {
		return nil, err
	}
	if ruleset.Objects == nil {
		return nil, errors.New(`no "nftables"`)
	}
	objects := make([]json.RawMessage, len(ruleset.Objects))
	for i, raw := range ruleset.Objects {
		line, err := zeroCounters(raw)
		if err != nil {
			return nil, fmt.Errorf("object %d: %w", i, err)
		}
		objects[i] = line
	}
	return formatObject([]field{array("nftables", &objects, func(*json.RawMessage, int) {})})
}

// zeroCounters rewrites {"counter": {"packets": 1, "bytes": 2}} anywhere in an
// object, whose keys become sorted.
func zeroCounters(raw json.RawMessage) (json.RawMessage, error) {
	if !bytes.Contains(raw, []byte(`"packets"`)) {
		var b bytes.Buffer
		err := json.Compact(&b, raw)
		return b.Bytes(), err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	zero(v)
	return compactJSON(v)
}

// zero sets the packets and bytes of all objects within v to 0, where both are
// numbers side by side.
func zero(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			zero(e)
		}
	case map[string]any:
		_, packets := v["packets"].(json.Number)
		_, count := v["bytes"].(json.Number)
		if packets && count {
			v["packets"], v["bytes"] = 0, 0
		}
		for _, e := range v {
			zero(e)
		}
	}
}
