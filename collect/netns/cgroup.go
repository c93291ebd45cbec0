package netns

import (
	"regexp"
	"strings"
)

// podUIDs finds the UID of a pod in a cgroup path. The kubelet spells it in
// these ways:
//
//	/kubepods/burstable/pod<uid>/<container>                                  cgroupfs driver
//	/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<u_i_d>.slice/cri-containerd-<container>.scope
//	/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<u_i_d>.slice   --cgroup-root
//	/system.slice/containerd.service/kubepods-burstable-pod<u_i_d>.slice:cri-containerd:<container>
//
// A static pod has the 32 digits of a hash instead of a UUID.
const podUIDPattern = `kubepods.*[/-]pod([0-9a-fA-F]{8}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{4}[-_][0-9a-fA-F]{12}|[0-9a-fA-F]{32})(?:\.slice|[/:]|$)`

// newCgroupMatcher returns the matcher of podUID.
func newCgroupMatcher() *regexp.Regexp { return regexp.MustCompile(podUIDPattern) }

// podUID returns the UID of the pod that a /proc/PID/cgroup file names, or "".
func podUID(matcher *regexp.Regexp, cgroups string) string {
	for line := range strings.Lines(cgroups) {
		// hierarchy:controllers:path
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 || !strings.Contains(parts[2], "kubepods") {
			continue
		}
		if found := matcher.FindStringSubmatch(parts[2]); found != nil {
			return strings.ReplaceAll(found[1], "_", "-")
		}
	}
	return ""
}
