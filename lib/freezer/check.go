package freezer

import (
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"floe/lib/procfs"
)

// Refuse tells why the tree of pid can't be frozen at all, before anything is
// touched.
func Refuse(pid int) error {
	if pid <= 0 {
		return fmt.Errorf("%d is no pid", pid)
	}
	s, err := procfs.ReadStat(pid)
	if err != nil {
		return fmt.Errorf("task %d: no such process", pid)
	}
	st, err := procfs.ReadStatus(pid)
	if err != nil {
		return fmt.Errorf("task %d: no such process", pid)
	}
	switch {
	case st.TGID != pid:
		return fmt.Errorf("task %d (%s) is a thread of process %d; name the process", pid, s.Comm, st.TGID)
	case pid == 1:
		return fmt.Errorf("task 1 (%s) is the init of this pid namespace and can't be frozen from inside it", s.Comm)
	case s.Flags&procfs.PFKthread != 0:
		return fmt.Errorf("task %d (%s) is a kernel thread", pid, s.Comm)
	case s.State == 'Z' || s.State == 'X':
		return fmt.Errorf("task %d (%s) is dead: a zombie that its parent has not waited for", pid, s.Comm)
	case st.Tracer != 0:
		return fmt.Errorf("task %d (%s) is already traced by task %d; end that first (strace, gdb, another freeze)", pid, s.Comm, st.Tracer)
	}
	for own := os.Getpid(); own > 0; {
		if own == pid {
			if own == os.Getpid() {
				return fmt.Errorf("task %d is freeze itself", pid)
			}
			return fmt.Errorf("task %d (%s) is an ancestor of freeze, which would freeze itself; run freeze from elsewhere", pid, s.Comm)
		}
		up, err := procfs.ReadStat(own)
		if err != nil {
			break
		}
		own = up.PPID
	}
	return nil
}

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
	if t.busy {
		return t.escapes()
	}
	return nil
}

// escapes looks for a child that was made while the tree was being frozen and
// whose parent ended: it went to the reaper, outside the tree.
func (t *Tree) escapes() error {
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
		if t.byPID[pid] != nil {
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
