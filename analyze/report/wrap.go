package report

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean leaves out what cannot be seen, and makes line breaks spaces: a bundle
// is a stranger's file, and its names must not steer a terminal or a picture.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsGraphic(r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
}

// wrap breaks s into lines of at most width runes, between words only.
func wrap(s string, width int) []string {
	var lines []string
	line, n := "", 0
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' }) {
		size := len([]rune(word))
		switch {
		case line == "":
			line, n = word, size
		case n+1+size <= width:
			line, n = line+" "+word, n+1+size
		default:
			lines = append(lines, line)
			line, n = word, size
		}
	}
	lines = append(lines, line)
	for i := range lines {
		lines[i] = strings.ReplaceAll(lines[i], nbsp, " ")
	}
	return lines
}

// elide shortens s in its middle to at most n runes, where names differ least.
func elide(s string, n int) string {
	r := []rune(s)
	if len(r) <= n || n < 3 {
		return s
	}
	head := (n - 1) / 2
	return string(r[:head]) + "…" + string(r[len(r)-(n-1-head):])
}
