package route

import "strconv"

// A scope is how far away an address or destination is: larger is nearer
// (enum rt_scope_t).
type scope uint8

const (
	scopeGlobal  scope = 0
	scopeSite    scope = 200
	scopeLink    scope = 253
	scopeHost    scope = 254
	scopeNowhere scope = 255
)

func (s scope) String() string {
	switch s {
	case scopeGlobal:
		return "global"
	case scopeSite:
		return "site"
	case scopeLink:
		return "link"
	case scopeHost:
		return "host"
	case scopeNowhere:
		return "nowhere"
	}
	return strconv.Itoa(int(s))
}

// parseScope reads a scope as ip prints it; what it does not know is global.
func parseScope(s string) scope {
	switch s {
	case "", "global", "universe":
		return scopeGlobal
	case "site":
		return scopeSite
	case "link":
		return scopeLink
	case "host":
		return scopeHost
	case "nowhere":
		return scopeNowhere
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return scopeGlobal
	}
	return scope(n)
}
