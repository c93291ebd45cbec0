package netfilter

import "unsafe"

// Text returns data as a string that shares its memory: the text of a node's
// rules is large, and what is read from it points into it. Nobody changes the
// data of a part once it is read.
func Text(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }
