package rawimport

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// routes reads the routes. "ip route show table all" prints those of IPv6 too if
// it is not told which are wanted: they count if there are no others.
func (r *reader) routes() {
	var strays []nodedump.Route
	parse := func(data []byte, version int) (own []nodedump.Route, bads []bad, err error) {
		all, bads, err := parseRoutes(data, version)
		for _, one := range all {
			if one.Family == version {
				own = append(own, one)
			} else {
				strays = append(strays, one)
			}
		}
		return own, bads, err
	}
	r.info.Routes = byFamily(r, "routes", [2]family{{4, "ip-route4.json"}, {6, "ip-route6.json"}}, parse)
	if len(strays) > 0 && r.info.Sections["routes6"] == nodedump.StatusNotCollected {
		r.info.Routes = append(r.info.Routes, strays...)
		delete(r.info.Sections, "routes6")
		delete(r.info.Reasons, "routes6")
	}
}

// version tells the IP version of a route in what was asked for another.
func (r *rawRoute) version(asked int) int {
	switch {
	case asked == 4 && (strings.Contains(r.Dst, ":") || r.Pref != "" || strings.Contains(r.Gateway, ":")):
		return 6
	}
	return asked
}

// A rawRoute is an entry of "ip -j route show table all".
type rawRoute struct {
	Type     string       `json:"type"`
	Dst      string       `json:"dst"`
	From     string       `json:"from"`
	Gateway  string       `json:"gateway"`
	Via      rawVia       `json:"via"`
	Dev      string       `json:"dev"`
	Table    word         `json:"table"`
	Protocol word         `json:"protocol"`
	Scope    word         `json:"scope"`
	Src      string       `json:"prefsrc"`
	Metric   number       `json:"metric"`
	TOS      number       `json:"tos"`
	Flags    []string     `json:"flags"`
	Metrics  []rawMetrics `json:"metrics"`
	NextHops []rawNextHop `json:"nexthops"`
	Encap    string       `json:"encap"`
	Pref     word         `json:"pref"` // of a router, which only IPv6 has
	NHID     number       `json:"nhid"`
}

type rawVia struct {
	Host string `json:"host"`
}

type rawMetrics struct {
	MTU      number `json:"mtu"`
	HopLimit number `json:"hoplimit"`
}

type rawNextHop struct {
	Gateway string   `json:"gateway"`
	Via     rawVia   `json:"via"`
	Dev     string   `json:"dev"`
	Weight  number   `json:"weight"`
	Flags   []string `json:"flags"`
	Encap   string   `json:"encap"`
}

// parseRoutes reads "ip -j -4|-6 route show table all", or what it prints
// without -j.
func parseRoutes(data []byte, version int) ([]nodedump.Route, []bad, error) {
	parse := routesOfText
	if isJSON(data) {
		parse = parseEntries[rawRoute, nodedump.Route]
	}
	return parse(data, func(r *rawRoute, line int) (nodedump.Route, error) {
		out, err := r.convert(r.version(version))
		out.Line = line
		return out, err
	})
}

func (r *rawRoute) convert(version int) (nodedump.Route, error) {
	out := nodedump.Route{
		Family: version, Type: r.Type, Dev: r.Dev, Scope: string(r.Scope), Protocol: string(r.Protocol),
		Metric: int(r.Metric), TOS: int(r.TOS), Encap: r.Encap, NHID: int(r.NHID),
	}
	if r.Pref != "medium" {
		out.Pref = string(r.Pref)
	}
	if len(r.Flags) > 0 {
		out.Flags = r.Flags
	}
	if out.Type == "unicast" {
		out.Type = ""
	}
	if out.Scope == "global" {
		out.Scope = ""
	}
	for _, m := range r.Metrics {
		out.MTU, out.HopLimit = max(out.MTU, int(m.MTU)), max(out.HopLimit, int(m.HopLimit))
	}
	if r.Dst == "" {
		return out, errors.New("a route without dst")
	}
	if r.From != "" && r.From != "default" && r.From != "all" {
		return out, fmt.Errorf("route to %s: it depends on the source, %s", r.Dst, r.From)
	}
	out.Table = table(string(r.Table))
	if err := r.addresses(&out); err != nil {
		return out, fmt.Errorf("route to %s: %w", r.Dst, err)
	}
	return out, nil
}

// addresses fills in where the route leads.
func (r *rawRoute) addresses(out *nodedump.Route) error {
	var errs [3]error
	out.Dst, errs[0] = cidr(r.Dst, out.Family)
	out.Via, errs[1] = gateway(r.Gateway, r.Via)
	out.Src, errs[2] = address(r.Src)
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	for _, h := range r.NextHops {
		hop, err := h.convert()
		if err != nil {
			return err
		}
		out.NextHops = append(out.NextHops, hop)
	}
	return nil
}

func (h *rawNextHop) convert() (nodedump.NextHop, error) {
	via, err := gateway(h.Gateway, h.Via)
	out := nodedump.NextHop{Dev: h.Dev, Via: via, Weight: max(1, int(h.Weight)), Encap: h.Encap}
	if len(h.Flags) > 0 {
		out.Flags = h.Flags
	}
	return out, err
}

// gateway returns the next hop: of the route's own family, or of another.
func gateway(own string, other rawVia) (string, error) {
	if own == "" {
		own = other.Host
	}
	return address(own)
}
