package restorer

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"floe/lib/record"
)

// schedFlags are SCHED_FLAG_RESET_ON_FORK, _RECLAIM and _DL_OVERRUN.
const schedFlags = 1 | 2 | 4

// setSched sets a thread's policy, nice value, and processors, where
// they differ from what it inherited.
func setSched(t *record.Thread) error {
	s := t.Sched
	if s == nil {
		return nil
	}
	tid := int(t.Tid)
	have, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return fmt.Errorf("thread %d: sched_getattr: %w", tid, err)
	}
	want := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: s.Policy, Flags: s.Flags & schedFlags, Nice: s.Nice,
		Priority: s.Priority, Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	if have.Policy != want.Policy || have.Nice != want.Nice || have.Priority != want.Priority || have.Runtime != want.Runtime ||
		have.Deadline != want.Deadline || have.Period != want.Period || have.Flags&schedFlags != want.Flags {
		if err := unix.SchedSetAttr(tid, &want, 0); err != nil {
			return fmt.Errorf("thread %d: scheduling policy %d, nice %d: %w", tid, s.Policy, s.Nice, err)
		}
	}
	if err := setNice(tid, s); err != nil {
		return err
	}
	return setAffinity(tid, s.Affinity)
}

// setNice sets the nice value that a thread has besides a policy that makes no
// use of it, and that sched_setattr(2) does not take then.
func setNice(tid int, s *record.Sched) error {
	const normal, batch = 0, 3 // SCHED_NORMAL, SCHED_BATCH: sched_setattr has set it
	if s.Policy == normal || s.Policy == batch {
		return nil
	}
	if err := unix.Setpriority(unix.PRIO_PROCESS, tid, int(s.Nice)); err != nil {
		return fmt.Errorf("thread %d: nice %d: %w", tid, s.Nice, err)
	}
	return nil
}

// setAffinity binds a thread to the processors of the image. On a machine that
// has none of them it may run anywhere.
func setAffinity(tid int, mask []byte) error {
	var have, want unix.CPUSet
	if err := unix.SchedGetaffinity(tid, &have); err != nil {
		return fmt.Errorf("thread %d: sched_getaffinity: %w", tid, err)
	}
	for i, b := range mask {
		for j := range 8 {
			if b>>j&1 != 0 {
				want.Set(8*i + j)
			}
		}
	}
	if len(bytes.Trim(mask, "\x00")) == 0 || want == have {
		return nil
	}
	if err := unix.SchedSetaffinity(tid, &want); err != nil && err != unix.EINVAL {
		return fmt.Errorf("thread %d: sched_setaffinity: %w", tid, err)
	}
	return nil
}
