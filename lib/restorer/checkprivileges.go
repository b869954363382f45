package restorer

import (
	"fmt"
	"iter"
	"maps"
	"os"

	"golang.org/x/sys/unix"

	"floe/lib/fds"
	"floe/lib/plan"
	"floe/lib/record"
)

// capabilityNames are those that restore may need.
var capabilityNames = map[int]string{
	unix.CAP_SETGID: "CAP_SETGID", unix.CAP_SETUID: "CAP_SETUID", unix.CAP_SETPCAP: "CAP_SETPCAP",
	unix.CAP_SYS_NICE: "CAP_SYS_NICE", unix.CAP_WAKE_ALARM: "CAP_WAKE_ALARM",
}

// checkCapabilities looks whether this process may do all that has to be done,
// and has what the tree's tasks are to have.
func (r *Restorer) checkCapabilities(report reasons) error {
	if !r.own.has(unix.CAP_SYS_ADMIN) && !r.own.has(unix.CAP_CHECKPOINT_RESTORE) {
		if err := report(fmt.Errorf("processes with wanted ids need CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE: run restore as root")); err != nil {
			return err
		}
	}
	needs := map[int]string{unix.CAP_SETGID: "groups of the tree's tasks", unix.CAP_SETPCAP: "capabilities of the tree's tasks"}
	for _, t := range r.im.Tasks {
		for th := range r.withCreds(t) {
			r.needs(th, needs)
			if err := r.checkCreds(th); err != nil {
				if err := report(taskErr(t, err)); err != nil {
					return err
				}
			}
		}
	}
	maps.Copy(needs, fds.Needs(r.im))
	for _, c := range []int{unix.CAP_SETGID, unix.CAP_SETUID, unix.CAP_SETPCAP, unix.CAP_SYS_NICE, unix.CAP_WAKE_ALARM} {
		if what := needs[c]; what != "" && !r.own.has(c) {
			if err := report(fmt.Errorf("%s need %s, which restore has not", what, capabilityNames[c])); err != nil {
				return err
			}
		}
	}
	return nil
}

// withCreds are a task's threads, one at a time: there may be very many. A zombie
// stands for its own.
func (r *Restorer) withCreds(t *record.Task) iter.Seq[*record.Thread] {
	return func(yield func(*record.Thread) bool) {
		if t.State == record.Task_ZOMBIE {
			if c := t.GetAttrs().GetZombie(); c != nil {
				yield(&record.Thread{Tid: t.Pid, Creds: c})
			}
			return
		}
		for _, tid := range t.Tids {
			if !yield(r.im.Thread(tid)) {
				return
			}
		}
	}
}

// checkCreds looks whether a thread's capabilities are to be had.
func (r *Restorer) checkCreds(th *record.Thread) error {
	if _, err := plan.Credentials(th.Creds, r.own.bounding); err != nil {
		return fmt.Errorf("thread %d: %w", th.Tid, err)
	}
	if missing := th.Creds.CapPermitted &^ r.own.permitted; missing != 0 {
		return fmt.Errorf("thread %d: it has capabilities %#x, which restore itself has not; run restore with them", th.Tid, missing)
	}
	return nil
}

// needs notes the capabilities that restoring a thread takes.
func (r *Restorer) needs(th *record.Thread, needs map[int]string) {
	c, uid := th.Creds, uint32(os.Getuid())
	for _, id := range []uint32{c.Ruid, c.Euid, c.Suid, c.Fsuid} {
		if id != uid {
			needs[unix.CAP_SETUID] = "users of the tree's tasks"
		}
	}
	const fifo, rr, deadline = 1, 2, 6 // SCHED_*
	s := th.GetSched()
	limit := func(resource int) uint64 { return r.own.limits[resource].Cur }
	switch p := s.GetPolicy(); {
	case p == fifo || p == rr:
		if uint64(s.Priority) > limit(unix.RLIMIT_RTPRIO) {
			needs[unix.CAP_SYS_NICE] = "real-time priorities"
		}
	case p == deadline:
		needs[unix.CAP_SYS_NICE] = "deadlines"
	case s != nil && s.Nice < ownNice() && uint64(20-s.Nice) > limit(unix.RLIMIT_NICE):
		needs[unix.CAP_SYS_NICE] = "nice values that are lower than restore's own"
	}
}

func ownNice() int32 {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return int32(20 - n) // the system call gives 40 to 1
}

// checkLimits looks whether the tasks' limits can be set, and whether this
// process's own leave room for them.
func (r *Restorer) checkLimits(report reasons) error {
	low := int32(0)
	for _, t := range r.im.Tasks {
		if t.State == record.Task_ZOMBIE {
			continue
		}
		low = min(low, t.OomScoreAdj)
		list, err := r.limitsOf(t)
		if err == nil {
			err = report.all(list)
		}
		if err != nil {
			return err
		}
	}
	if low < 0 && !r.own.canRaise && !ownOOMScore(low) {
		if err := report(fmt.Errorf("oom_score_adj %d is lower than restore's own can be without CAP_SYS_RESOURCE", low)); err != nil {
			return err
		}
	}
	dirs := len(r.im.Fs) + 1 // each one's own, and a root at a time
	if few := r.own.limits[unix.RLIMIT_NOFILE].Max / 2; uint64(len(r.im.OpenOrder)+dirs) < few {
		return nil
	}
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	if n, limit := len(r.im.OpenOrder)+dirs+len(open), r.own.limits[unix.RLIMIT_NOFILE].Max; uint64(n) > limit {
		return report(fmt.Errorf("restore needs %d open files; limit is %d (ulimit -Hn)", n, limit))
	}
	return nil
}

// limitsOf is what can't be set of a task's limits, and what is above restore's.
func (r *Restorer) limitsOf(t *record.Task) (list []error, _ error) {
	if _, err := plan.Limits(t.Limits, r.own.limits, r.own.canRaise); err != nil {
		list = append(list, taskErr(t, err))
	}
	if n := t.Limits[unix.RLIMIT_NOFILE].Max; n > r.own.limits[unix.RLIMIT_NOFILE].Max {
		most, err := setting("fs.nr_open")
		if err != nil {
			return nil, err
		}
		if n > most {
			list = append(list, taskErr(t, fmt.Errorf("its hard limit of open files is %d; this kernel's limit is %d (fs.nr_open)", n, most)))
		}
	}
	slots := r.im.Fds[t.FilesId]
	if n := len(slots); n > 0 && r.shares.OwnsFiles(t) {
		if top, limit := uint64(slots[n-1].Fd), r.own.limits[unix.RLIMIT_NOFILE].Max; top >= limit {
			list = append(list, taskErr(t, fmt.Errorf("it has descriptor %d; restore's own limit of open files is %d (ulimit -Hn)", top, limit)))
		}
	}
	return list, nil
}

// checkPipes looks whether pipes can be as large as they were.
func (r *Restorer) checkPipes(report reasons) error {
	const usual = 64 << 10 // what a pipe has from the start
	for id, p := range r.im.Pipes {
		if p.Capacity <= usual || r.own.has(unix.CAP_SYS_RESOURCE) {
			continue
		}
		most, err := setting("fs.pipe-max-size")
		if err != nil {
			return err
		}
		if uint64(p.Capacity) > most {
			if err := report(fmt.Errorf("pipe %d: its size is %d; limit is %d (fs.pipe-max-size) without CAP_SYS_RESOURCE", id, p.Capacity, most)); err != nil {
				return err
			}
		}
	}
	return nil
}
