package freezer

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
	"floe/lib/cpu"
	"floe/lib/record"
)

// Header makes the stream's first record. The clocks are those of now.
func Header(root int, version string) (*record.Header, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return nil, fmt.Errorf("uname: %w", err)
	}
	boot, err := clocks.BootID()
	if err != nil {
		return nil, err
	}
	var ns unix.Stat_t
	if err := unix.Stat("/proc/self/ns/pid", &ns); err != nil {
		return nil, fmt.Errorf("/proc/self/ns/pid: %w", err)
	}
	h := &record.Header{
		Arch: runtime.GOARCH, PageSize: uint32(os.Getpagesize()), KernelRelease: unix.ByteSliceToString(u.Release[:]),
		KernelVersion: unix.ByteSliceToString(u.Version[:]), BootId: boot, PidnsInode: ns.Ino,
		ToolVersion: version, Hostname: unix.ByteSliceToString(u.Nodename[:]), RootPid: int32(root),
	}
	if h.Clocks, err = clocks.Now(); err != nil {
		return nil, err
	}
	o, err := clocks.ReadOffsets(strconv.Itoa(root))
	if err != nil {
		return nil, err
	}
	h.Clocks.MonotonicOffsetNs, h.Clocks.BoottimeOffsetNs = o.Monotonic, o.Boottime
	h.Cpu, err = cpu.Here()
	return h, err
}
