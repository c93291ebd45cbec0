// Package analyze walks packets through a snapshot: which way does this packet
// go, where does it end, why, and who is to blame.
//
// The walk follows reality: Send at the source, Receive at each hop, until
// every branch has ended; then the answer of each end is walked back. What the
// client would see of each branch is its Outcome.
package analyze
