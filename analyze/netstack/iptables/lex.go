package iptables

import "errors"

var errQuote = errors.New("quote that does not end")

// split appends the words of line to words: separated by blanks, in double
// quotes where they contain some, with a backslash before a quote or a
// backslash. Words without escapes share line's memory.
func split(words []string, line string) ([]string, error) {
	for i := 0; i < len(line); {
		switch c := line[i]; {
		case blank(c):
			i++
		case c == '"' || c == '\'':
			word, n, err := quoted(line[i+1:], c)
			if err != nil {
				return words, err
			}
			words = append(words, word)
			i += n + 1
		default:
			start := i
			for i < len(line) && !blank(line[i]) {
				i++
			}
			words = append(words, line[start:i])
		}
	}
	return words, nil
}

// quoted reads the rest of a quoted word and returns how long it was with its
// closing quote.
func quoted(s string, quote byte) (word string, n int, err error) {
	var unescaped []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == quote:
			if unescaped != nil {
				return string(unescaped), i + 1, nil
			}
			return s[:i], i + 1, nil
		case s[i] == '\\' && i+1 < len(s):
			if unescaped == nil {
				unescaped = append(make([]byte, 0, len(s)), s[:i]...)
			}
			i++
			unescaped = append(unescaped, s[i])
		case unescaped != nil:
			unescaped = append(unescaped, s[i])
		}
	}
	return "", 0, errQuote
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' }
