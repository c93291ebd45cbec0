package iptables

// Scan makes r look at every rule of a chain, one by one.
func (r *Ruleset) Scan() {
	for _, t := range r.tables {
		for _, c := range t.chains {
			c.index = nil
		}
	}
}

// Indexed returns how many chains of r are looked up.
func (r *Ruleset) Indexed() (n int) {
	for _, t := range r.tables {
		for _, c := range t.chains {
			if c.index != nil {
				n++
			}
		}
	}
	return n
}
