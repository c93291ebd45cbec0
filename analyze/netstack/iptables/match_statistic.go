package iptables

import (
	"fmt"
	"strconv"

	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
)

// statistic is "-m statistic": it holds for a share of the traffic.
type statistic struct{ weights [2]float64 } // of it, and of the rest

func (m *statistic) pick(f *netfilter.Frame) bool {
	return f.Choices.Pick(m.weights[:]) == 0
}

func matchStatistic(b *building, options []option) error {
	share, invert := -1.0, false
	for _, o := range options {
		var err error
		switch o.name {
		case "probability":
			share, err = strconv.ParseFloat(o.arg(), 64)
			invert = o.not
		case "every":
			var n uint64
			if n, err = parseUint(o.arg(), 32); err == nil && n > 0 {
				share = 1 / float64(n)
			}
			invert = o.not
		}
		if err != nil {
			return fmt.Errorf("%w: %q", errNumber, o.arg())
		}
	}
	if !(share >= 0 && share <= 1) {
		return errArgs
	}
	if invert {
		share = 1 - share
	}
	b.rule.picks = append(b.rule.picks, &statistic{[2]float64{share, 1 - share}})
	return nil
}
