package freezer

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// check looks at a tree that stands still: processes that were found dead, and
// children that got away.
func (t *Tree) check() error {
	var live []*Process
	for _, proc := range t.Procs {
		s, err := procfs.ReadStat(proc.PID)
		if err != nil {
			return errAgain
		}
		proc.Stat = s
		proc.Threads = slices.DeleteFunc(proc.Threads, func(th *Thread) bool { return th.gone })
		if s.State == 'Z' && !proc.Zombie || !proc.Zombie && len(proc.Threads) == 0 {
			return errAgain
		}
		if !proc.Zombie {
			if i := slices.IndexFunc(proc.Threads, func(th *Thread) bool { return int(th.TID) == proc.PID }); i < 0 {
				return errAgain
			} else if i > 0 {
				proc.Threads[0], proc.Threads[i] = proc.Threads[i], proc.Threads[0]
			}
		}
		live = append(live, proc)
	}
	t.Procs = live
	for _, th := range t.threads {
		if !th.gone && th.Proc == nil {
			return errAgain // a newborn whose parent has gone
		}
	}
	if last := lastPID(); t.busy || last != t.lastPID {
		return t.escapes(t.between(last))
	}
	return nil
}

// between tells of a pid whether it can have been given out since the tree was
// begun, when last was the last one. Pids go up and, past pid_max, begin again:
// no kernel gives out usualMax of them in so little time.
func (t *Tree) between(last int) func(pid int) bool {
	const (
		usualMax = 32768
		little   = 50 * time.Millisecond
	)
	if t.busy || t.lastPID == 0 || last < t.lastPID || pidMax() < usualMax || time.Since(t.begin) > little {
		return func(int) bool { return true }
	}
	return func(pid int) bool { return t.lastPID < pid && pid <= last }
}

// pidMax is the kernel's pid_max; 0 when it does not say.
func pidMax() int {
	b, _ := procfs.ReadFile("/proc/sys/kernel/pid_max")
	n, _ := strconv.Atoi(strings.TrimSpace(string(b)))
	return n
}

// lastPID is the pid (or thread id) that was given out last in this pid
// namespace; 0 when the kernel does not say. /proc/loadavg, field 5.
func lastPID() int {
	b, err := procfs.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 5 {
		return 0
	}
	n, _ := strconv.Atoi(f[4])
	return n
}

// escapes looks for a child that was made while the tree was being frozen and
// whose parent ended: it went to the reaper, outside the tree.
func (t *Tree) escapes(possible func(pid int) bool) error {
	pids, err := procfs.Processes()
	if err != nil {
		return err
	}
	// A clock tick is 10 ms; one tick early is near enough.
	begin := t.begin.Add(-20_000_000)
	var now, boot unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return err
	}
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &boot); err != nil {
		return err
	}
	const tick = 10_000_000 // ns; USER_HZ is 100
	since := uint64(boot.Nano()-(now.Nano()-begin.UnixNano())) / tick
	for _, pid := range pids {
		if t.byPID[pid] != nil || !possible(pid) {
			continue
		}
		s, err := procfs.ReadStat(pid)
		if err != nil || s.StartTime < since {
			continue
		}
		if t.byPID[s.PPID] != nil || t.byPID[s.Session] != nil || t.byPID[s.PGRP] != nil {
			return errAgain
		}
	}
	return nil
}
