package restorer

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
)

// self is what the puppets inherit from this process, and what this kernel can.
type self struct {
	limits    []*record.Limit
	bounding  uint64 // capabilities
	permitted uint64
	effective uint64
	canRaise  bool // CAP_SYS_RESOURCE
	caller    plan.Caller
	memory    uint64 // bytes that this machine has, swap included

	droppable bool // the kernel has MAP_DROPPABLE
	seals     bool // and mseal(2)
	timerIDs  bool // and PR_TIMER_CREATE_RESTORE_IDS
}

func readSelf() (self, error) {
	s := self{caller: plan.Caller{Group: int32(unix.Getpgrp())}}
	if sid, err := unix.Getsid(0); err == nil {
		s.caller.Session = int32(sid)
	}
	for r := range 16 {
		var l unix.Rlimit
		if err := unix.Prlimit(0, r, nil, &l); err != nil {
			return s, fmt.Errorf("limit %d: %w", r, err)
		}
		s.limits = append(s.limits, &record.Limit{Cur: l.Cur, Max: l.Max})
	}
	status, err := procfs.ReadFile("/proc/self/status")
	if err != nil {
		return s, err
	}
	caps := func(name string) uint64 {
		_, rest, _ := bytes.Cut(status, []byte("\n"+name+":\t"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		v, _ := strconv.ParseUint(string(line), 16, 64)
		return v
	}
	s.bounding, s.permitted, s.effective = caps("CapBnd"), caps("CapPrm"), caps("CapEff")
	s.canRaise = s.has(unix.CAP_SYS_RESOURCE)
	if s.memory, err = Memory(); err != nil {
		return s, err
	}
	s.droppable = canMap(unix.MAP_DROPPABLE)
	_, _, e := unix.Syscall(unix.SYS_MSEAL, 0, 0, 0)
	s.seals = e == 0
	const prTimerCreateRestoreIDs, get = 77, 2 // <linux/prctl.h>, 6.15
	s.timerIDs = unix.Prctl(prTimerCreateRestoreIDs, get, 0, 0, 0) == nil
	return s, nil
}

// Memory is how much memory this machine has, bytes, swap included.
func Memory() (uint64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("sysinfo: %w", err)
	}
	return (info.Totalram + info.Totalswap) * uint64(info.Unit), nil
}

// has tells whether this process has a capability.
func (s *self) has(capability int) bool { return s.effective>>capability&1 != 0 }

// canMap tells whether the kernel knows a flag of mmap(2).
func canMap(flag int) bool {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANONYMOUS|flag)
	if err != nil {
		return false
	}
	_ = unix.Munmap(b)
	return true
}

// hasGuards tells whether the kernel has MADV_GUARD_INSTALL.
func hasGuards() bool {
	b, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ, unix.MAP_ANONYMOUS|unix.MAP_PRIVATE)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Munmap(b) }()
	return unix.Madvise(b, unix.MADV_GUARD_INSTALL) == nil
}

// setting is a number that the kernel lets be set, of /proc/sys.
func setting(name string) (uint64, error) {
	path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
	b, err := procfs.ReadFile(path)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}
