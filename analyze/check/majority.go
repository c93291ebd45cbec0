package check

import (
	"maps"
	"slices"
	"strconv"
)

// against compares what nodes have. It returns the value of the majority and the
// nodes that have another one, where those are few: at most a third. ok is false
// if all agree, if nobody can say who is odd, or if there are fewer than three.
func against(values map[string]string) (most string, odd map[string]bool, ok bool) {
	count := map[string]int{}
	for _, v := range values {
		count[v]++
	}
	if len(count) < 2 || len(values) < 3 {
		return "", nil, false
	}
	for _, v := range slices.Sorted(maps.Keys(count)) {
		if 3*(len(values)-count[v]) <= len(values) {
			most, ok = v, true
		}
	}
	if !ok {
		return "", nil, false
	}
	odd = map[string]bool{}
	for n, v := range values {
		odd[n] = v != most
	}
	return most, odd, true
}

// smaller returns the largest of the numbers that nodes have, and the nodes that
// have less. ok is false if all agree.
func smaller(values map[string]string) (largest string, odd map[string]bool, ok bool) {
	most := 0
	for _, v := range values {
		if n, err := strconv.Atoi(v); err == nil {
			most = max(most, n)
		}
	}
	largest, odd = strconv.Itoa(most), map[string]bool{}
	for n, v := range values {
		odd[n] = v != largest
		ok = ok || odd[n]
	}
	return largest, odd, ok
}
