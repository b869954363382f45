package image

import (
	"floe/lib/attr"
	"floe/lib/record"
)

// Sizes and flags of a thread's registrations.
const (
	robustListSize = 24 // struct robust_list_head
	rseqAlign      = 32
	minAltStack    = 2048 // MINSIGSTKSZ
	altStackFlags  = 1 | 2 | 1<<31
	ssDisable      = 2
	maxTSC         = 2 // PR_TSC_SIGSEGV
	noID           = 1<<32 - 1
	lowestNice     = -20
	highestNice    = 19
	maxRealtime    = 99
	ioprioClasses  = 3
	ioprioShift    = 13
	securebits     = 0xfff // <linux/securebits.h>, 6.14
)

// Policies of <linux/sched.h>.
const (
	schedOther    = 0
	schedFIFO     = 1
	schedRR       = 2
	schedBatch    = 3
	schedIdle     = 5
	schedDeadline = 6
)

func (im *Image) checkThread(t *record.Task, th *record.Thread) error {
	most := uint32(maxXstate)
	if n := im.Header.GetCpu().GetXsaveSize(); n != 0 {
		most = min(n, most)
	}
	switch {
	case th.Regs == nil && im.Header.Arch == "amd64":
		return taskError(t, "thread %d has no registers", th.Tid)
	case th.Creds == nil:
		return taskError(t, "thread %d has no credentials", th.Tid)
	case len(th.Xstate) > int(most):
		return taskError(t, "thread %d has %d bytes of extended state, more than %d", th.Tid, len(th.Xstate), most)
	case !th.GetRestart().GetKind().Known():
		return taskError(t, "thread %d: restart %d: %w", th.Tid, th.Restart.Kind, ErrUnknown)
	case th.PdeathSignal > signals:
		return taskError(t, "thread %d: signal %d: there is no such signal", th.Tid, th.PdeathSignal)
	case th.TscMode > maxTSC:
		return taskError(t, "thread %d: TSC mode %d", th.Tid, th.TscMode)
	}
	for _, check := range []func(*record.Task, *record.Thread) error{im.checkRegistered, checkCreds, checkSched} {
		if err := check(t, th); err != nil {
			return err
		}
	}
	if err := attr.CheckThread(th); err != nil {
		return taskError(t, "thread %d: %w", th.Tid, err)
	}
	return checkPending(t, th.Pending)
}

// checkRegistered checks what the thread has told the kernel of its memory.
func (im *Image) checkRegistered(t *record.Task, th *record.Thread) error {
	if th.RobustList != 0 && th.RobustListLen != robustListSize {
		return taskError(t, "thread %d: a list of robust futexes with a head of %d bytes", th.Tid, th.RobustListLen)
	}
	if r := th.Rseq; r != nil && r.Addr != 0 && (r.Addr%rseqAlign != 0 || r.Size < rseqAlign || r.Addr > im.ceiling()) {
		return taskError(t, "thread %d: an rseq area of %d bytes at %#x", th.Tid, r.Size, r.Addr)
	}
	if a := th.Altstack; a != nil && (a.Size != 0 || a.Flags != 0) {
		if a.Flags&^altStackFlags != 0 || a.Flags&ssDisable == 0 && a.Size < minAltStack {
			return taskError(t, "thread %d: a signal stack of %d bytes with flags %#x", th.Tid, a.Size, a.Flags)
		}
	}
	return nil
}

func checkCreds(t *record.Task, th *record.Thread) error {
	c := th.Creds
	for _, id := range append([]uint32{c.Ruid, c.Euid, c.Suid, c.Fsuid, c.Rgid, c.Egid, c.Sgid, c.Fsgid}, c.Groups...) {
		if id == noID {
			return taskError(t, "thread %d: user or group %d: there is none", th.Tid, id)
		}
	}
	switch {
	case c.Securebits&^securebits != 0:
		return taskError(t, "thread %d: securebits %#x: %w", th.Tid, c.Securebits, ErrUnknown)
	case len(c.Groups) > maxGroups:
		return taskError(t, "thread %d has %d groups", th.Tid, len(c.Groups))
	case c.CapEffective&^c.CapPermitted != 0:
		return taskError(t, "thread %d: capabilities %#x are in effect and not permitted", th.Tid, c.CapEffective&^c.CapPermitted)
	case c.CapAmbient&^(c.CapPermitted&c.CapInheritable) != 0:
		return taskError(t, "thread %d: ambient capabilities %#x are not permitted and inheritable", th.Tid, c.CapAmbient&^(c.CapPermitted&c.CapInheritable))
	}
	return nil
}

func checkSched(t *record.Task, th *record.Thread) error {
	s := th.Sched
	if s == nil {
		return nil // as it is inherited
	}
	wrong := false
	switch s.Policy {
	case schedOther, schedBatch, schedIdle:
		wrong = s.Priority != 0
	case schedFIFO, schedRR:
		wrong = s.Priority == 0 || s.Priority > maxRealtime
	case schedDeadline:
		wrong = s.Runtime == 0 || s.Runtime > s.Deadline || s.Period != 0 && s.Deadline > s.Period
	default:
		return taskError(t, "thread %d: scheduling policy %d can't be restored by this version", th.Tid, s.Policy)
	}
	switch {
	case wrong || s.Nice < lowestNice || s.Nice > highestNice:
		return taskError(t, "thread %d: scheduling policy %d with priority %d, nice %d: there is no such thing", th.Tid, s.Policy, s.Priority, s.Nice)
	case s.Ioprio>>ioprioShift > ioprioClasses || s.Ioprio != 0 && s.Ioprio>>ioprioShift == 0:
		return taskError(t, "thread %d: I/O priority %#x", th.Tid, s.Ioprio)
	case len(s.Affinity) > maxAffinity:
		return taskError(t, "thread %d has an affinity mask of %d bytes", th.Tid, len(s.Affinity))
	}
	return nil
}
