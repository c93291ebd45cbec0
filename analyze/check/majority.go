package check

import (
	"maps"
	"slices"
	"strconv"
)

// against compares what nodes have. It returns the value of the majority and the
// nodes that have another one, where those are few: at most a third. most is ""
// if all agree, if nobody can say who is odd, or if there are fewer than three.
func against(values map[string]string) (most string, odd map[string]bool) {
	count := map[string]int{}
	for _, v := range values {
		count[v]++
	}
	if len(count) < 2 || len(values) < 3 {
		return "", nil
	}
	for _, v := range slices.Sorted(maps.Keys(count)) {
		if 3*(len(values)-count[v]) <= len(values) {
			most = v
		}
	}
	if most == "" {
		return "", nil
	}
	odd = map[string]bool{}
	for n, v := range values {
		odd[n] = v != most
	}
	return most, odd
}

// extreme is for two nodes: the one with the smaller number is the odd one.
func extreme(values map[string]string) (most string, odd map[string]bool) {
	least, largest := 0, 0
	for _, v := range values {
		n, err := strconv.Atoi(v)
		if err != nil {
			return "", nil
		}
		if least == 0 || n < least {
			least = n
		}
		largest = max(largest, n)
	}
	if least == largest {
		return "", nil
	}
	odd = map[string]bool{}
	for n, v := range values {
		odd[n] = v == strconv.Itoa(least)
	}
	return strconv.Itoa(largest), odd
}
