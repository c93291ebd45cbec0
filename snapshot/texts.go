package snapshot

import "bytes"

// NormalizeTables makes what iptables-save printed comparable: packet and byte
// counters go ("[12:34] " before a rule; behind a chain's policy they become
// "[0:0]"), and so do the comment lines with their dates.
func NormalizeTables(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case '#':
			if bytes.HasPrefix(line, []byte("# Generated")) || bytes.HasPrefix(line, []byte("# Completed")) {
				continue
			}
		case '[':
			if n := counterLen(line); n > 0 {
				line = bytes.TrimLeft(line[n:], " ")
			}
		case ':':
			if i := bytes.LastIndexByte(line, '['); i > 0 && counterLen(line[i:]) == len(line)-i {
				out = append(append(out, line[:i]...), "[0:0]\n"...)
				continue
			}
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

// counterLen returns the length of "[12:34]" at the start of b, 0 if there is
// none.
func counterLen(b []byte) int {
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return 0
	}
	packets, count, found := bytes.Cut(b[1:end], []byte(":"))
	if !found || !digits(packets) || !digits(count) {
		return 0
	}
	return end + 1
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
