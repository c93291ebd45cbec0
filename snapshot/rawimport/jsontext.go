package rawimport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot"
)

// parseEntries decodes the objects of the JSON arrays in data, which ip and
// bridge print one per call. Empty objects are what ip prints for filtered
// entries. convert gets an entry and its line.
func parseEntries[R, T any](data []byte, convert func(*R, int) (T, error)) ([]T, []bad, error) {
	var out []T
	var bads []bad
	d := snapshot.NewLineDecoder(data)
	err := arrays(d, func(raw json.RawMessage, line int) {
		if bytes.Equal(raw, []byte("{}")) {
			return
		}
		var r R
		if err := json.Unmarshal(raw, &r); err != nil {
			bads = append(bads, bad{line, err})
			return
		}
		v, err := convert(&r, line)
		if err != nil {
			bads = append(bads, bad{line, err})
			return
		}
		out = append(out, v)
	})
	if err != nil {
		return nil, bads, fmt.Errorf("%d: %w", d.Position(), err)
	}
	return out, bads, nil
}

// arrays calls entry for each element of all arrays up to the end.
func arrays(d *snapshot.LineDecoder, entry func(raw json.RawMessage, line int)) error {
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t != json.Delim('[') {
			return fmt.Errorf("expected a JSON array, not %v", t)
		}
		for d.More() {
			line := d.Position()
			var raw json.RawMessage
			if err := d.Decode(&raw); err != nil {
				return err
			}
			entry(raw, line)
		}
		if _, err := d.Token(); err != nil {
			return unexpected(err)
		}
	}
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// A number is an integer that may be written as a string, in decimal or hex.
type number int64

// UnmarshalJSON implements json.Unmarshaler. What is no number is an error,
// except null, which is 0.
func (n *number) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	if s == "null" {
		return nil
	}
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		return fmt.Errorf("%s is no number", data)
	}
	*n = number(v)
	return nil
}

// A word is a string that may be written as a number.
type word string

// UnmarshalJSON implements json.Unmarshaler.
func (w *word) UnmarshalJSON(data []byte) error {
	if data[0] != '"' {
		if string(data) != "null" {
			*w = word(data)
		}
		return nil
	}
	var s string
	err := json.Unmarshal(data, &s)
	*w = word(s)
	return err
}

// A flag is true if the key is there, unless its value says no. ip prints
// some flags as "key": null.
type flag struct{ set, on bool }

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(data []byte) error {
	f.set = true
	switch strings.Trim(string(data), `"`) {
	case "false", "0", "off", "no":
		f.on = false
	default:
		f.on = true
	}
	return nil
}

// orElse returns the flag, or what it is by default.
func (f flag) orElse(def bool) bool {
	if f.set {
		return f.on
	}
	return def
}

// A present is a key that is there, whatever its value.
type present bool

// UnmarshalJSON implements json.Unmarshaler.
func (p *present) UnmarshalJSON([]byte) error {
	*p = true
	return nil
}

// cidr returns the prefix that ip calls dst: "default", an address, or a
// prefix.
func cidr(dst string, version int) (string, error) {
	switch dst {
	case "default", "any", "all":
		if version == 6 {
			return "::/0", nil
		}
		return "0.0.0.0/0", nil
	}
	if addr, err := netip.ParseAddr(dst); err == nil {
		if addr.Zone() != "" || addr.Is6() != (version == 6) {
			return "", fmt.Errorf("%q is no IPv%d address", dst, version)
		}
		return netip.PrefixFrom(addr, addr.BitLen()).String(), nil
	}
	p, err := netip.ParsePrefix(dst)
	if err != nil || p.Addr().Is6() != (version == 6) {
		return "", fmt.Errorf("%q is no IPv%d prefix", dst, version)
	}
	return p.String(), nil
}

// address checks an address; "" and "any" are none.
func address(s string) (string, error) {
	if s == "" || s == "any" {
		return "", nil
	}
	if _, err := netip.ParseAddr(s); err != nil {
		return "", fmt.Errorf("%q is no address", s)
	}
	return s, nil
}

// table returns the number of a routing table. The numbers of other names are
// in a file of the machine that printed them; since a number is only what
// routes and rules have in common, any that is the same each time will do.
func table(name string) int {
	switch name {
	case "", "main":
		return 254
	case "local":
		return 255
	case "default":
		return 253
	case "unspec":
		return 0
	}
	if n, err := strconv.ParseUint(name, 0, 32); err == nil {
		return int(n)
	}
	const above = 1 << 30 // the numbers that people use
	return above | int(crc32.ChecksumIEEE([]byte(name))&(above-1))
}

// isJSON tells what ip -j and its like print from what they print without -j.
// Nothing at all is the JSON of older versions for an empty list.
func isJSON(data []byte) bool {
	data = bytes.TrimSpace(data)
	return len(data) == 0 || data[0] == '[' || data[0] == '{'
}
