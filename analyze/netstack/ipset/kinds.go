package ipset

import (
	"cmp"
	"slices"
)

// A Kind documents one type of set.
type Kind struct {
	Name string
	Why  string // what is left open about it; "" if it is as in the kernel
}

// Kinds returns every type of set that is understood, sorted by name.
func Kinds() []Kind {
	rows := kinds()
	list := make([]Kind, len(rows))
	for i, k := range rows {
		list[i] = Kind{k.name, k.why}
	}
	slices.SortFunc(list, func(a, b Kind) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Types returns the names of the types of set that are understood, sorted.
func Types() (names []string) {
	for _, k := range Kinds() {
		names = append(names, k.Name)
	}
	return names
}

// A kind is a row of the table of types.
type kind struct {
	name string
	dims []dim // nil for a list of sets
	why  string
}

func kinds() []kind {
	return []kind{
		{"bitmap:ip", []dim{dimIP}, ""},
		{"bitmap:ip,mac", []dim{dimIP, dimMAC}, "an address without a MAC takes that of the first packet that asks; that later rules compare with it is not followed"},
		{"bitmap:port", []dim{dimPort}, ""},
		{"hash:ip", []dim{dimIP}, ""},
		{"hash:net", []dim{dimNet}, ""},
		{"hash:ip,port", []dim{dimIP, dimPort}, ""},
		{"hash:net,port", []dim{dimNet, dimPort}, ""},
		{"hash:ip,port,ip", []dim{dimIP, dimPort, dimIP}, ""},
		{"hash:ip,port,net", []dim{dimIP, dimPort, dimNet}, ""},
		{"hash:net,net", []dim{dimNet, dimNet}, ""},
		{"hash:net,port,net", []dim{dimNet, dimPort, dimNet}, ""},
		{"hash:net,iface", []dim{dimNet, dimIface}, "a network that has entries of bridge ports only may hide a shorter one, by chance of its hash"},
		{"hash:mac", []dim{dimMAC}, ""},
		{"hash:ip,mac", []dim{dimIP, dimMAC}, ""},
		{"hash:ip,mark", []dim{dimIP, dimMark}, ""},
		{"list:set", nil, ""},
	}
}

func byName(rows []kind) map[string]kind {
	m := make(map[string]kind, len(rows))
	for _, k := range rows {
		m[k.name] = k
	}
	return m
}
