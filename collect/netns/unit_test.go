package netns

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

func TestPodUID(t *testing.T) {
	const uid, under = "0a1b2c3d-1111-2222-3333-444455556666", "0a1b2c3d_1111_2222_3333_444455556666"
	const hash = "0123456789abcdef0123456789abcdef"
	for _, c := range []struct{ name, path, want string }{
		{"cgroupfs burstable", "0::/kubepods/burstable/pod" + uid + "/4f5e", uid},
		{"cgroupfs besteffort, v1", "12:cpuset:/kubepods/besteffort/pod" + uid + "/4f5e", uid},
		{"cgroupfs guaranteed", "0::/kubepods/pod" + uid + "/4f5e", uid},
		{"cgroupfs, pod itself", "0::/kubepods/pod" + uid, uid},
		{"systemd burstable, containerd", "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/cri-containerd-4f5e.scope", uid},
		{"systemd guaranteed, crio", "0::/kubepods.slice/kubepods-pod" + under + ".slice/crio-4f5e.scope", uid},
		{"systemd, docker", "1:name=systemd:/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + under + ".slice/docker-4f5e.scope", uid},
		{"--cgroup-root", "0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod" + under + ".slice/cri-containerd-4f5e.scope", uid},
		{"kind", "0::/docker/4f5e/kubelet/kubepods/burstable/pod" + uid + "/4f5e", uid},
		{"mixed drivers", "0::/system.slice/containerd.service/kubepods-burstable-pod" + under + ".slice:cri-containerd:4f5e", uid},
		{"cgroup namespace", "0::/../../kubepods-burstable.slice/kubepods-burstable-pod" + under + ".slice/x.scope", uid},
		{"static pod", "0::/kubepods/burstable/pod" + hash + "/4f5e", hash},
		{"static pod, systemd", "0::/kubepods.slice/kubepods-burstable-pod" + hash + ".slice", hash},
		{"second line", "2:cpu:/\n1:memory:/kubepods/pod" + uid + "/4f5e", uid},
		{"podman", "0::/machine.slice/libpod-4f5e.scope", ""},
		{"the kubelet's own", "0::/system.slice/kubelet.service", ""},
		{"kubepods without pod", "0::/kubepods.slice/kubepods-burstable.slice", ""},
		{"user session", "0::/user.slice/pod" + uid, ""},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, podUID(newCgroupMatcher(), c.path+"\n"))
		})
	}
}

func TestStatusOf(t *testing.T) {
	for _, c := range []struct {
		err  error
		want nodedump.Status
	}{
		{nil, nodedump.StatusOK},
		{truncated("x"), nodedump.StatusTruncated},
		{&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, nodedump.StatusDenied},
		{context.DeadlineExceeded, nodedump.StatusTimedOut},
		{os.ErrDeadlineExceeded, nodedump.StatusTimedOut},
		{errors.New("x"), nodedump.StatusFailed},
	} {
		status, reason := statusOf(c.err)
		require.Equal(t, c.want, status)
		require.Equal(t, c.err == nil, reason == "")
	}
}
