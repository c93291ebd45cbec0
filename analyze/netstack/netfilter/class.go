package netfilter

// A Class says how far a part of a rule is modelled.
type Class uint8

// The classes.
const (
	Exact   Class = iota + 1 // as the kernel
	Partly                   // exact, but for the cases that Why names
	Open                     // left open on purpose: both branches are followed
	Passive                  // does not change the packet's way
)

func (c Class) String() string {
	return [...]string{"", "exact", "partly", "open", "passive"}[c]
}

// An Entry documents one part of a rule language.
type Entry struct {
	Name  string
	Class Class
	Why   string // why it is not exact, or what it means
}
