package freezer

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/clocks"
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
		Arch: arch, PageSize: uint32(os.Getpagesize()), KernelRelease: unix.ByteSliceToString(u.Release[:]),
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
	h.Cpu, err = cpu()
	return h, err
}

// cpuinfo reads the first processor's vendor and flags.
func cpuinfo() (vendor string, flags []string, err error) {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	b := make([]byte, 8<<10) // the first processor's part is smaller
	n, err := f.Read(b)
	if err != nil {
		return "", nil, err
	}
	for line := range strings.Lines(string(b[:n])) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "vendor_id":
			vendor = strings.TrimSpace(value)
		case "flags":
			return vendor, strings.Fields(value), nil
		}
	}
	return "", nil, fmt.Errorf("/proc/cpuinfo: no flags in it")
}
