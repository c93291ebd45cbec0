package route

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// dumpNetns reads a live network namespace with ip -j.
func dumpNetns(t *testing.T, netns string) *nodedump.NetNSInfo {
	t.Helper()
	info := &nodedump.NetNSInfo{Key: netns, File: "netns.json", Sysctls: map[string]string{}}
	for _, l := range ipJSON(t, netns, "-d", "addr") {
		info.Interfaces = append(info.Interfaces, toInterface(l))
	}
	for _, family := range []int{4, 6} {
		flag := "-" + strconv.Itoa(family)
		for i, r := range ipJSON(t, netns, "-d", flag, "route", "show", "table", "all") {
			info.Routes = append(info.Routes, toRoute(r, family, 1000*family+i))
		}
		for i, r := range ipJSON(t, netns, "-d", flag, "rule") {
			info.Rules = append(info.Rules, toRule(r, family, 100*family+i))
		}
	}
	out, _ := exec.Command("ip", "netns", "exec", netns, "sysctl", "-a").Output()
	for _, line := range strings.Split(string(out), "\n") {
		if name, value, ok := strings.Cut(line, " = "); ok && strings.HasPrefix(name, "net.") {
			info.Sysctls[name] = value
		}
	}
	return info
}

type object = map[string]any

func ipJSON(t *testing.T, netns string, args ...string) (list []object) {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", netns, "-j"}, args...)...).Output()
	require.NoError(t, err, args)
	if len(strings.TrimSpace(string(out))) > 0 {
		require.NoError(t, json.Unmarshal(out, &list), string(out))
	}
	return list
}

func text(o object, key string) string {
	switch v := o[key].(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

func integer(o object, key string) int {
	n, _ := strconv.ParseInt(text(o, key), 0, 64)
	return int(n)
}

func texts(o object, key string) (list []string) {
	values, _ := o[key].([]any)
	for _, v := range values {
		list = append(list, fmt.Sprint(v))
	}
	return list
}

func toInterface(l object) nodedump.Interface {
	dev := nodedump.Interface{Name: text(l, "ifname"), Index: integer(l, "ifindex"), MTU: integer(l, "mtu"),
		Flags: texts(l, "flags"), Group: groupID(text(l, "group"))}
	infos, _ := l["addr_info"].([]any)
	for _, i := range infos {
		a := i.(object)
		if text(a, "local") == "" {
			continue
		}
		addr := nodedump.Addr{Prefix: text(a, "local") + "/" + text(a, "prefixlen"), Scope: text(a, "scope"), Peer: text(a, "address")}
		for _, flag := range []string{"secondary", "tentative", "dadfailed", "deprecated", "temporary"} {
			if a[flag] == true {
				addr.Flags = append(addr.Flags, flag)
			}
		}
		dev.Addrs = append(dev.Addrs, addr)
	}
	return dev
}

func tableID(s string) int {
	switch s {
	case "", "main":
		return TableMain
	case "local":
		return TableLocal
	case "default":
		return TableDefault
	}
	n, _ := strconv.Atoi(s)
	return n
}

func via(o object) string {
	if v, ok := o["via"].(object); ok {
		return text(v, "host")
	}
	return text(o, "gateway")
}

func toRoute(o object, family, line int) nodedump.Route {
	r := nodedump.Route{Family: family, Table: tableID(text(o, "table")), Type: text(o, "type"), Dst: text(o, "dst"),
		Dev: text(o, "dev"), Via: via(o), Src: text(o, "prefsrc"), Scope: text(o, "scope"), Protocol: text(o, "protocol"),
		Metric: integer(o, "metric"), TOS: tosValue(o), Flags: texts(o, "flags"), Line: line}
	hops, _ := o["nexthops"].([]any)
	for _, h := range hops {
		h := h.(object)
		r.NextHops = append(r.NextHops, nodedump.NextHop{Dev: text(h, "dev"), Via: via(h), Weight: integer(h, "weight"), Flags: texts(h, "flags")})
	}
	return r
}

func toRule(o object, family, line int) nodedump.Rule {
	r := nodedump.Rule{Family: family, Priority: integer(o, "priority"), From: selector(o, "src"), To: selector(o, "dst"),
		IIf: text(o, "iif"), OIf: text(o, "oif"), Mark: uint32(integer(o, "fwmark")), Mask: uint32(integer(o, "fwmask")),
		TOS: tosValue(o), IPProto: text(o, "ipproto"), SPort: ports(o, "sport"), DPort: ports(o, "dport"), Line: line}
	_, r.Not = o["not"]
	if o["uid_start"] != nil {
		r.UIDRange = text(o, "uid_start") + "-" + text(o, "uid_end")
	}
	if o["suppress_prefixlen"] != nil {
		n := integer(o, "suppress_prefixlen")
		r.SuppressPrefixLen = &n
	}
	if group := text(o, "suppress_ifgroup"); group != "" {
		n := groupID(group)
		r.SuppressIfGroup = &n
	}
	switch {
	case o["goto"] != nil:
		r.Action, r.Goto = "goto", integer(o, "goto")
	case o["table"] != nil:
		r.Table = tableID(text(o, "table"))
	default:
		r.Action = text(o, "action")
		if _, ok := o["nop"]; ok {
			r.Action = "nop"
		}
	}
	return r
}

func ports(o object, key string) string {
	if s := text(o, key+"_start"); s != "" {
		return s + "-" + text(o, key+"_end")
	}
	return text(o, key)
}

// tosValue reads a TOS: ip prints the class selectors by name.
func tosValue(o object) int {
	if class, ok := strings.CutPrefix(text(o, "tos"), "CS"); ok {
		n, _ := strconv.Atoi(class)
		return n << 5
	}
	return integer(o, "tos")
}

// groupID reads the group of a device: ip prints group 0 as "default".
func groupID(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

func selector(o object, key string) string {
	s := text(o, key)
	if s == "all" {
		return ""
	}
	if n := text(o, key+"len"); n != "" {
		s += "/" + n
	}
	return s
}
