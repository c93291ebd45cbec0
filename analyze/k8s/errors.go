package k8s

import "errors"

var (
	// ErrNotFound indicates a name that the bundle does not have.
	ErrNotFound = errors.New("not found")
	// ErrWord indicates a word that names no endpoint, whatever the bundle.
	ErrWord = errors.New("not an endpoint")
	// ErrNoAddress indicates something that cannot send or receive packets.
	ErrNoAddress = errors.New("no address")
)
