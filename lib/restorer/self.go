package restorer

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"floe/lib/plan"
	"floe/lib/procfs"
	"floe/lib/record"
)

// self is what the puppets inherit from this process.
type self struct {
	limits    []*record.Limit
	bounding  uint64 // capabilities
	permitted uint64
	effective uint64
	canRaise  bool // CAP_SYS_RESOURCE
	caller    plan.Caller
	memory    uint64 // bytes that this machine has, swap included
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
