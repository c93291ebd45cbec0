package k8s

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// notFound says that word does not name one of names, and which come near.
func notFound[V any](kind, word string, names map[string]V) error {
	if len(names) == 0 {
		return fmt.Errorf("%s %s %w: the bundle has none", kind, word, ErrNotFound)
	}
	near := nearest(word, sortedKeys(names))
	if len(near) == 0 {
		return fmt.Errorf("%s %s %w", kind, word, ErrNotFound)
	}
	return fmt.Errorf("%s %s %w; did you mean %s?", kind, word, ErrNotFound, strings.Join(near, " or "))
}

// nearest returns up to three equally near names that could be meant by word:
// those with few letters changed, and the same name in another namespace.
func nearest(word string, names []string) []string {
	type candidate struct {
		name string
		cost int
	}
	var found []candidate
	for _, name := range names {
		cost := distance(word, name)
		if base(word) == base(name) {
			cost = min(cost, 1)
		}
		if cost <= max(2, len(word)/4) {
			found = append(found, candidate{name, cost})
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.cost, b.cost) })
	var out []string
	for _, f := range found[:min(3, len(found))] {
		if f.cost == found[0].cost {
			out = append(out, f.name)
		}
	}
	return out
}

// base returns the name without its namespace.
func base(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// distance returns how many letters must be put in, left out, replaced or
// swapped with their neighbour to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, up, upup := rows[i%3], rows[(i+2)%3], rows[(i+1)%3]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			row[j] = min(up[j]+1, row[j-1]+1, up[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], upup[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
