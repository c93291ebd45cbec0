// Package providers lists what may lie between machines. To add a provider,
// write its package and add a line to All.
package providers

import (
	"github.com/pathsnap/pathsnap/analyze/infra"
	"github.com/pathsnap/pathsnap/providers/aliyun"
)

// All returns new descriptors of every provider, in the order of detection.
func All() []*infra.Descriptor {
	return []*infra.Descriptor{
		aliyun.Descriptor(),
		generic(), // the last: it takes what the others leave
	}
}
