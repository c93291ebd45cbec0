package netns

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// A presence says whether a part of the kernel is there. Asking the part itself
// could make the kernel load it.
type presence uint8

const (
	absent presence = iota
	present
	unsure
)

// A kernel knows which of its parts may be asked without loading a module.
type kernel struct {
	frozen   bool            // it loads no modules: asking is always safe
	modules  []string        // that are loaded, sorted
	loaded   map[string]bool // modules, loaded or built in
	complete bool            // loaded has the built-in ones too
	symbols  map[string]bool // symbols of the parts that were looked for, if they could be read
}

// partSymbols names one symbol of each part of the kernel that is asked for;
// it finds parts that are built in where no list of them is left.
func partSymbols() map[string]string {
	return map[string]string{
		"nf_tables":            "nft_do_chain",
		"nf_conntrack_netlink": "ctnetlink_get_conntrack",
		"ip_set":               "ip_set_test",
		"tcp_diag":             "tcp_diag_dump",
		"udp_diag":             "udp_diag_dump",
		"inet_diag":            "inet_diag_bc_sk",
	}
}

// readKernel looks at the kernel whose files lie under root ("/").
func readKernel(root, release string) kernel {
	modules, err := os.ReadFile(path.Join(root, "proc/modules"))
	if err != nil && os.IsNotExist(err) {
		return kernel{frozen: true} // built without module support
	}
	k := kernel{loaded: map[string]bool{}}
	for line := range strings.Lines(string(modules)) {
		name, _, _ := strings.Cut(line, " ")
		k.loaded[name] = true
	}
	k.modules = slices.Sorted(maps.Keys(k.loaded))
	disabled, _ := os.ReadFile(path.Join(root, "proc/sys/kernel/modules_disabled"))
	if k.frozen = strings.TrimSpace(string(disabled)) == "1"; k.frozen {
		return k
	}
	builtin, err := os.ReadFile(path.Join(root, "lib/modules", release, "modules.builtin"))
	for line := range strings.Lines(string(builtin)) {
		name := strings.TrimSuffix(path.Base(strings.TrimSpace(line)), ".ko")
		k.loaded[strings.ReplaceAll(name, "-", "_")] = true
	}
	if k.complete = err == nil; !k.complete {
		k.symbols = readSymbols(path.Join(root, "proc/kallsyms"))
	}
	return k
}

// has says whether a part of the kernel is there.
func (k kernel) has(module string) presence {
	switch {
	case k.frozen, k.loaded[module], k.symbols[partSymbols()[module]]:
		return present
	case k.complete, k.symbols != nil:
		return absent
	}
	return unsure
}

// readSymbols returns those of partSymbols that the kernel has, nil if it does
// not tell.
func readSymbols(name string) map[string]bool {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	wanted := map[string]bool{}
	for _, symbol := range partSymbols() {
		wanted[symbol] = true
	}
	var found map[string]bool
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 3 {
			continue
		}
		if found == nil {
			found = map[string]bool{}
		}
		if wanted[string(fields[2])] {
			found[string(fields[2])] = true
		}
	}
	return found
}
