package rawimport

import (
	"errors"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A rawNeighbour is an entry of "ip -j neigh".
type rawNeighbour struct {
	Dst    string   `json:"dst"`
	Dev    string   `json:"dev"`
	LLAddr string   `json:"lladdr"`
	State  []string `json:"state"`
	Proxy  present  `json:"proxy"`
}

// parseNeighbours reads "ip -j neigh", with or without those of "ip -j neigh
// show proxy" behind them, or what it prints without -j.
func parseNeighbours(data []byte) ([]nodedump.Neighbour, []bad, error) {
	parse := neighboursOfText
	if isJSON(data) {
		parse = parseEntries[rawNeighbour, nodedump.Neighbour]
	}
	return parse(data, func(n *rawNeighbour, line int) (nodedump.Neighbour, error) {
		out := nodedump.Neighbour{Dev: n.Dev, MAC: n.LLAddr, Proxy: bool(n.Proxy), Line: line}
		if len(n.State) > 0 {
			out.State = n.State[0]
		}
		var err error
		out.IP, err = address(n.Dst)
		if out.IP == "" || out.Dev == "" {
			err = errors.Join(err, errors.New("a neighbour without dst or dev"))
		}
		return out, err
	})
}
