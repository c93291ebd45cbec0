package snapshot

import (
	"fmt"
	"strings"
)

const (
	maxNameLen    = 1024
	maxElementLen = 255
)

// CheckName returns an ErrUnsafe if name cannot be the name of a part: a
// relative slash-separated path whose elements have only letters, digits and
// "._-+@=,~%", are not "." or "..", and do not begin with "-".
func CheckName(name string) error {
	if name == "" || len(name) > maxNameLen {
		return fmt.Errorf("%w: %s: the name has %d bytes, not 1 to %d", ErrUnsafe, show(name), len(name), maxNameLen)
	}
	if strings.HasPrefix(name, "/") {
		return fmt.Errorf("%w: %s: the name is absolute", ErrUnsafe, show(name))
	}
	for element := range strings.SplitSeq(name, "/") {
		if why := badElement(element); why != "" {
			return fmt.Errorf("%w: %s: the name %s", ErrUnsafe, show(name), why)
		}
	}
	return nil
}

// badElement says what is wrong with one element of a name, "" if nothing is.
func badElement(e string) string {
	switch {
	case e == "":
		return "has an empty element"
	case e == "..":
		return `has ".."`
	case e == ".":
		return `has "."`
	case e[0] == '-':
		return `has an element that begins with "-"`
	case len(e) > maxElementLen:
		return fmt.Sprintf("has an element of more than %d bytes", maxElementLen)
	}
	for i := range len(e) {
		if c := e[i]; !isAlnum(c) && strings.IndexByte("._-+@=,~%", c) < 0 {
			return fmt.Sprintf("has the byte %q", c)
		}
	}
	return ""
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// show quotes a name for an error and keeps it short.
func show(name string) string {
	const most = 120
	if len(name) > most {
		return fmt.Sprintf("%q...", name[:most])
	}
	return fmt.Sprintf("%q", name)
}
