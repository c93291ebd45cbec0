// Package calico reads the selectors of Calico's policies.
//
// A selector is an expression over labels, such as
//
//	app == 'web' && tier in {'a', "b"} && !has(old)
//
// in the language that libcalico-go/lib/selector of github.com/projectcalico/calico
// defines. The package knows neither policies nor tiers: who has which labels
// is the business of the caller.
package calico
