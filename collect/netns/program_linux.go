package netns

import (
	"cmp"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

// Numbers of traffic control that golang.org/x/sys lacks.
const (
	sizeofTcmsg    = 20
	tcHandleRoot   = 0xFFFFFFFF
	tcHandleIn     = 0xFFFFFFF2 // of a clsact or ingress queue
	tcHandleOut    = 0xFFFFFFF3
	tcHandleIngr   = 0xFFFFFFF1
	tcaBPFName     = 7
	tcaBPFID       = 11
	xdpAttached    = 2
	xdpFirstProg   = 4
	xdpProgKinds   = 4
	bpfQuerySize   = 64
	bpfMaxPrograms = 64
)

// xdpPrograms reads the XDP programs of a device from its link message.
func xdpPrograms(dev string, xdp attrs) (programs []nodedump.Program) {
	if !xdp.on(xdpAttached) {
		return nil
	}
	modes := []string{"xdp", "xdp", "xdpgeneric", "xdpoffload"} // any, driver, generic, hardware
	for i := range uint16(xdpProgKinds) {
		if id := xdp.num(xdpFirstProg + i); id != 0 {
			programs = append(programs, nodedump.Program{Hook: "xdp", Dev: dev, Kind: "bpf", Name: modes[i], ID: id})
		}
	}
	slices.SortStableFunc(programs, func(a, b nodedump.Program) int { return a.ID - b.ID })
	return slices.CompactFunc(programs, func(a, b nodedump.Program) bool { return a.ID == b.ID })
}

// readPrograms adds the filters of traffic control to the XDP programs that
// came with the devices.
func (d *dumper) readPrograms() error {
	msgs, err := d.conn.all(routeDump(unix.RTM_GETQDISC, unix.AF_UNSPEC, sizeofTcmsg), d.deadline)
	if err != nil && !lacking(err) {
		return err
	}
	for _, msg := range msgs {
		if err := d.queueFilters(msg); err != nil {
			return err
		}
	}
	for index, name := range d.names {
		d.tcxPrograms(index, name)
	}
	d.cgroupPrograms()
	slices.SortStableFunc(d.info.Programs, func(a, b nodedump.Program) int {
		return cmp.Or(strings.Compare(a.Dev, b.Dev), strings.Compare(a.Hook, b.Hook), strings.Compare(a.Kind, b.Kind),
			strings.Compare(a.Name, b.Name), a.ID-b.ID)
	})
	d.info.Programs = slices.Compact(d.info.Programs)
	return nil
}

// queueFilters reads the filters that hang at one queueing discipline.
func (d *dumper) queueFilters(msg []byte) error {
	if len(msg) < sizeofTcmsg {
		return nil
	}
	index, handle := binary.NativeEndian.Uint32(msg[4:]), binary.NativeEndian.Uint32(msg[8:])
	parent := binary.NativeEndian.Uint32(msg[12:])
	parents := map[uint32]string{}
	kind := after(msg, sizeofTcmsg).str(unix.TCA_KIND)
	if kind == "netem" {
		d.info.Programs = append(d.info.Programs, nodedump.Program{Hook: "qdisc", Dev: d.devName(int(index)), Kind: kind})
	}
	switch kind {
	case "clsact":
		parents[tcHandleIn], parents[tcHandleOut] = "tc-ingress", "tc-egress"
	case "ingress":
		parents[handle] = "tc-ingress"
	default:
		if handle == 0 || parent != tcHandleRoot {
			return nil // the default queue, which cannot have filters
		}
		parents[handle] = "tc-egress"
	}
	for parent, hook := range parents {
		q := routeDump(unix.RTM_GETTFILTER, unix.AF_UNSPEC, sizeofTcmsg)
		binary.NativeEndian.PutUint32(q.data[4:], index)
		binary.NativeEndian.PutUint32(q.data[12:], parent)
		filters, err := d.conn.all(q, d.deadline)
		if err != nil && !lacking(err) {
			return err
		}
		for _, filter := range filters {
			d.addFilter(hook, int(index), after(filter, sizeofTcmsg))
		}
	}
	return nil
}

// addFilter adds one filter. One without options is only the head of a list.
func (d *dumper) addFilter(hook string, index int, a attrs) {
	options := a.nest(unix.TCA_OPTIONS)
	if len(options) == 0 {
		return
	}
	d.info.Programs = append(d.info.Programs, nodedump.Program{
		Hook: hook, Dev: d.devName(index), Kind: a.str(unix.TCA_KIND), Name: bpfName(a.str(unix.TCA_KIND), options), ID: bpfID(a.str(unix.TCA_KIND), options),
	})
}

// bpfName returns the name of a BPF filter.
func bpfName(kind string, options attrs) string {
	if kind != "bpf" {
		return ""
	}
	return options.str(tcaBPFName)
}

// bpfID returns the number of a BPF filter's program.
func bpfID(kind string, options attrs) int {
	if kind != "bpf" {
		return 0
	}
	return options.num(tcaBPFID)
}

// tcxPrograms asks for the programs that hang at a device without any queueing
// discipline, which only kernels since 6.6 have; older ones refuse.
func (d *dumper) tcxPrograms(index int, dev string) {
	for attach, hook := range map[uint32]string{unix.BPF_TCX_INGRESS: "tc-ingress", unix.BPF_TCX_EGRESS: "tc-egress"} {
		ids, err := queryPrograms(uint32(index), attach)
		if err != nil {
			continue
		}
		for _, id := range ids {
			d.info.Programs = append(d.info.Programs, nodedump.Program{Hook: hook, Dev: dev, Kind: "bpf", Name: "tcx", ID: int(id)})
		}
	}
}

// queryPrograms is bpf(BPF_PROG_QUERY) for a device of the thread's namespace.
func queryPrograms(target, attach uint32) ([]uint32, error) {
	var ids [bpfMaxPrograms]uint32
	var query struct { // union bpf_attr, query
		target, attach, queryFlags, attachFlags uint32
		ids                                     uint64
		count, pad                              uint32
		rest                                    [bpfQuerySize - 32]byte
	}
	query.target, query.attach, query.count = target, attach, bpfMaxPrograms
	query.ids = uint64(uintptr(unsafe.Pointer(&ids[0])))
	_, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_PROG_QUERY, uintptr(unsafe.Pointer(&query)), unsafe.Sizeof(query))
	if errno != 0 && !errors.Is(errno, unix.ENOSPC) {
		return nil, errno
	}
	return ids[:min(query.count, bpfMaxPrograms)], nil
}

// cgroupPrograms asks for the programs that hang at the root of the cgroups and
// so at the sockets of every process, whatever its namespace, such as those that
// translate Service addresses in connect(2).
func (d *dumper) cgroupPrograms() {
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		root, err := os.Open(dir)
		if err != nil {
			continue
		}
		for attach, name := range map[uint32]string{
			unix.BPF_CGROUP_INET_INGRESS: "ingress", unix.BPF_CGROUP_INET_EGRESS: "egress",
			unix.BPF_CGROUP_INET4_CONNECT: "connect4", unix.BPF_CGROUP_INET6_CONNECT: "connect6",
			unix.BPF_CGROUP_UDP4_SENDMSG: "sendmsg4", unix.BPF_CGROUP_UDP6_SENDMSG: "sendmsg6",
		} {
			ids, _ := queryPrograms(uint32(root.Fd()), attach) // refused: not the second version of cgroups
			for _, id := range ids {
				d.info.Programs = append(d.info.Programs, nodedump.Program{Hook: "cgroup", Kind: "bpf", Name: name, ID: int(id)})
			}
		}
		root.Close()
	}
}
