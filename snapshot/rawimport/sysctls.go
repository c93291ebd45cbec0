package rawimport

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A sysctl is one line of "sysctl -a".
type sysctl struct {
	key, value string
	line       int
}

// sysctls reads sysctl.txt. Only what lies under net is kept, and the kernel's
// release.
func (r *reader) sysctls() {
	list, status, reason := load(r, "sysctl.txt", parseSysctls)
	if status != nodedump.StatusOK {
		r.missing("sysctls", status, reason)
		return
	}
	r.info.Sysctls, r.info.SysctlLines = map[string]string{}, map[string]int{}
	for _, s := range list {
		switch {
		case strings.HasPrefix(s.key, "net."):
			r.info.Sysctls[s.key] = s.value
			r.info.SysctlLines[s.key] = s.line
		case s.key == "kernel.osrelease":
			r.kernel = s.value
		}
	}
}

// parseSysctls reads "sysctl -a". What it prints about keys that it could not
// read is no entry.
func parseSysctls(data []byte) ([]sysctl, []bad, error) {
	var out []sysctl
	n := 0
	for line := range bytes.Lines(data) {
		n++
		key, value, found := strings.Cut(string(line), "=")
		key = strings.TrimSpace(key)
		if found && key != "" && !strings.ContainsAny(key, " \t:\"") {
			out = append(out, sysctl{key, strings.TrimSpace(value), n})
		}
	}
	if len(out) == 0 {
		return nil, nil, errors.New("1: no line has the form key = value")
	}
	return out, nil, nil
}
