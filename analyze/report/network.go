package report

import (
	"fmt"
	"strings"
)

// A Network is one that nodes of the bundle are in.
type Network struct {
	Plugin   string   // that serves it, "" if none does
	CNI      string   // its name, "" if it was not recognised
	Evidence string   // what it was recognised by
	Nodes    []string // nil if all nodes are in it
}

type jsonNetwork struct {
	Plugin   string   `json:"plugin"`
	CNI      string   `json:"cni"`
	Evidence string   `json:"evidence"`
	Nodes    []string `json:"nodes"`
}

func networksJSON(list []Network) []jsonNetwork {
	out := []jsonNetwork{}
	for _, n := range list {
		out = append(out, jsonNetwork{n.Plugin, n.CNI, n.Evidence, append([]string{}, n.Nodes...)})
	}
	return out
}

// networksText says in one line what the networks are; of the plugin alone if
// nobody looked at the nodes.
func networksText(plugin string, list []Network) string {
	if len(list) == 0 {
		list = []Network{{Plugin: plugin, CNI: plugin}}
	}
	var parts []string
	for _, n := range list {
		text := "network plugin " + n.Plugin
		switch {
		case n.CNI == "" && n.Plugin == "":
			text = "network plugin not recognized"
		case n.CNI == "":
			text += " (not recognized)"
		case n.Evidence != "":
			text += " (" + n.Evidence + ")"
		}
		if len(n.Nodes) > 0 {
			text += " on " + someNodes(n.Nodes)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}

// someNodes names nodes, not more than a line can bear.
func someNodes(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
