package rawimport

import (
	"bytes"
	"errors"
	"strings"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// A sysctl is one line of "sysctl -a".
type sysctl struct{ key, value string }

// sysctls reads sysctl.txt. Only what lies under net is kept, and the kernel's
// release.
func (r *reader) sysctls() {
	list, status, reason := load(r, "sysctl.txt", parseSysctls)
	if status != nodedump.StatusOK {
		r.missing("sysctls", status, reason)
		return
	}
	r.info.Sysctls = map[string]string{}
	for _, s := range list {
		switch {
		case strings.HasPrefix(s.key, "net."):
			r.info.Sysctls[s.key] = s.value
		case s.key == "kernel.osrelease":
			r.kernel = s.value
		}
	}
}

// parseSysctls reads "sysctl -a". What it prints about keys that it could not
// read is no entry.
func parseSysctls(data []byte) ([]sysctl, []bad, error) {
	var out []sysctl
	for line := range bytes.Lines(data) {
		key, value, found := strings.Cut(string(line), "=")
		key = strings.TrimSpace(key)
		if found && key != "" && !strings.ContainsAny(key, " \t:\"") {
			out = append(out, sysctl{key, strings.TrimSpace(value)})
		}
	}
	if len(out) == 0 {
		return nil, nil, errors.New("1: no line has the form key = value")
	}
	return out, nil, nil
}
