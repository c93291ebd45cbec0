// Package collect reads the live world into a bundle: the objects of a cluster
// with client-go, and what package netns dumps of the machine it runs on.
//
// It reads only: the API server gets list and get requests, never one for
// Secrets. What analysis does not need is dropped as it comes in.
package collect
