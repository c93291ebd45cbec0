package netstack

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Unknowns returns what is not known about the namespace as a whole, or was
// taken for granted: sections and parts that were not read, then every entry
// that was not understood, in the order of the files. None is there twice.
func (ns *NetNS) Unknowns() []model.Doubt { return ns.unknown }

// A partRow is a text of a namespace, and what its absence means to a walk.
type partRow struct {
	part    *nodedump.Part
	name    string // as bundles call it
	meaning string
}

func (ns *NetNS) parts() []partRow {
	i := ns.Info
	const empty, both = "taken as empty", "packets are taken both ways where it may matter"
	return []partRow{
		{&i.IPTables, "iptables-save.txt", both}, {&i.IPTablesLegacy, "iptables-legacy-save.txt", empty},
		{&i.IP6Tables, "ip6tables-save.txt", both}, {&i.IP6TablesLegacy, "ip6tables-legacy-save.txt", empty},
		{&i.NFT, "nft.json", empty}, {&i.IPSet, "ipset-save.txt", "the sets that rules name are not known"},
		{&i.IPVS, "ipvs.json", empty}, {&i.Conntrack, "conntrack.json", empty},
	}
}

// nftTells reports whether nft.json alone says what iptables-save of a family
// would: it shows all those rules, or that there are none, and those of the other
// backend are known.
func (ns *NetNS) nftTells(family string) bool {
	legacy := ns.Info.IPTablesLegacy
	if family == "ip6" {
		legacy = ns.Info.IP6TablesLegacy
	}
	return ns.nft.Iptables(family) || ns.nft.WithoutIptables(family) && legacy.Status.Known()
}

// Sections lists the names of the sections of netns.json that have a status of
// their own.
func Sections() []string {
	return []string{"interfaces", "routes", "routes6", "rules", "rules6", "neighbours", "fdb", "sockets", "programs", "sysctls"}
}

// unknowns gathers what Unknowns returns, and keeps the problems among them.
func (ns *NetNS) unknowns(problems []error) (doubts []model.Doubt) {
	seen := map[model.Doubt]bool{}
	add := func(d model.Doubt) bool {
		fresh := !seen[d]
		if seen[d] = true; fresh {
			doubts = append(doubts, d)
		}
		return fresh
	}
	for _, section := range Sections() {
		if d := ns.Unread(section); d != nil {
			add(*d)
		}
	}
	for _, row := range ns.parts() {
		if !row.part.Status.Known() && !ns.toldByNFT(row.part) {
			add(row.doubt())
		}
	}
	for _, p := range problems {
		if d := DoubtOf(p); add(d) {
			ns.problems = append(ns.problems, d)
		}
	}
	return doubts
}

// doubt says that the text is not known, and what that means.
func (row partRow) doubt() model.Doubt {
	name := row.name
	if row.part.File != "" {
		name = path.Base(row.part.File)
	}
	return model.Doubt{What: fmt.Sprintf("%s: %s: %s", name, row.part.StatusText(), row.meaning), Evidence: row.part.File}
}

// toldByNFT reports whether nft.json says what a text of iptables would.
func (ns *NetNS) toldByNFT(p *nodedump.Part) bool {
	return p == &ns.Info.IPTables && ns.nftTells("ip") || p == &ns.Info.IP6Tables && ns.nftTells("ip6")
}

// DoubtOf turns a problem that New returned into what it says and where.
func DoubtOf(problem error) model.Doubt {
	var u *netfilter.UnsupportedError
	if errors.As(problem, &u) {
		return model.Doubt{What: notUnderstood(u.What), Evidence: fmt.Sprintf("%s:%d", u.File, u.Line)}
	}
	at, what, found := strings.Cut(problem.Error(), ": ")
	if _, line, ok := strings.Cut(at, ":"); found && ok && strings.Trim(line, "0123456789") == "" {
		return model.Doubt{What: notUnderstood(what), Evidence: at}
	}
	return model.Doubt{What: notUnderstood(problem.Error())}
}

// notUnderstood says so, unless the text does.
func notUnderstood(what string) string {
	if strings.Contains(what, "not understood") {
		return what
	}
	return "not understood: " + what
}
