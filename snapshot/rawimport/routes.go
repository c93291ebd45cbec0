package rawimport

import (
	"errors"
	"fmt"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func (r *reader) routes() {
	r.info.Routes = byFamily(r, "routes", [2]family{{4, "ip-route4.json"}, {6, "ip-route6.json"}}, parseRoutes)
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
}

type rawVia struct {
	Host string `json:"host"`
}

type rawMetrics struct {
	MTU number `json:"mtu"`
}

type rawNextHop struct {
	Gateway string   `json:"gateway"`
	Via     rawVia   `json:"via"`
	Dev     string   `json:"dev"`
	Weight  number   `json:"weight"`
	Flags   []string `json:"flags"`
}

// parseRoutes reads "ip -j -4|-6 route show table all", or what it prints
// without -j.
func parseRoutes(data []byte, version int) ([]nodedump.Route, []bad, error) {
	parse := routesOfText
	if isJSON(data) {
		parse = parseEntries[rawRoute, nodedump.Route]
	}
	return parse(data, func(r *rawRoute, line int) (nodedump.Route, error) {
		out, err := r.convert(version)
		out.Line = line
		return out, err
	})
}

func (r *rawRoute) convert(version int) (nodedump.Route, error) {
	out := nodedump.Route{
		Family: version, Type: r.Type, Dev: r.Dev, Scope: string(r.Scope), Protocol: string(r.Protocol),
		Metric: int(r.Metric), TOS: int(r.TOS), Encap: r.Encap,
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
		out.MTU = int(m.MTU)
	}
	if r.Dst == "" {
		return out, errors.New("a route without dst")
	}
	if r.From != "" && r.From != "default" && r.From != "all" {
		return out, fmt.Errorf("route to %s: it depends on the source, %s", r.Dst, r.From)
	}
	out.Table = table(string(r.Table))
	var errs [3]error
	out.Dst, errs[0] = cidr(r.Dst, version)
	out.Via, errs[1] = gateway(r.Gateway, r.Via)
	out.Src, errs[2] = address(r.Src)
	if err := errors.Join(errs[:]...); err != nil {
		return out, fmt.Errorf("route to %s: %w", r.Dst, err)
	}
	for _, h := range r.NextHops {
		hop, err := h.convert()
		if err != nil {
			return out, fmt.Errorf("route to %s: %w", r.Dst, err)
		}
		out.NextHops = append(out.NextHops, hop)
	}
	return out, nil
}

func (h *rawNextHop) convert() (nodedump.NextHop, error) {
	via, err := gateway(h.Gateway, h.Via)
	out := nodedump.NextHop{Dev: h.Dev, Via: via, Weight: max(1, int(h.Weight))}
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
